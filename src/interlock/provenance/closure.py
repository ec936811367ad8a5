"""The import closure of a stage: which files of the project can run in it. Found by reading the code, not running it.

The same function gives a stage's DVC dependencies and its code digest, so the two cannot disagree.

    files = import_closure(["pipelines/train.py", "interlock.lanes.toy.train"], source_root=root / "src")
    code_digest(files, root)

Followed: every import statement, also inside functions, `try` and `match`; `from package import module`; relative
imports; the `__init__.py` of every parent package. A script's own folder is searched as Python does.
Not followed: imports under `if TYPE_CHECKING:`, which never run and therefore cannot change a result; modules named by
strings (`import_module(name)`), which the caller adds as roots; compiled modules and data files beside the code; and
installed packages other than those named, which the lock's digest covers.
"""

import ast
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

from interlock.errors import StageError
from interlock.provenance.canonical import sha256_json
from interlock.provenance.digest import sha256_file


@dataclass(frozen=True)
class _Import:
    """One import statement, unresolved."""

    level: int
    """Leading dots of a relative import."""
    module: str
    names: tuple[str, ...]
    """Imported names that may be submodules; empty for `import module`."""


@dataclass(frozen=True)
class _Source:
    """A file that takes part."""

    path: Path
    module: str
    """Dotted name; empty for a script."""

    @property
    def package(self) -> str:
        """The package that relative imports start from."""
        return self.module if self.path.name == "__init__.py" else self.module.rpartition(".")[0]


def import_closure(
    roots: Sequence[str], *, source_root: Path, packages: Sequence[str] = ("interlock",)
) -> tuple[Path, ...]:
    """Files that the roots can import, themselves included: absolute, sorted, each once.

    `roots` are dotted modules or paths of Python files. Modules under `source_root` are followed, and those of
    `packages` wherever they are installed. Raises StageError for a root that does not exist and for a syntax error.
    """
    finder = _Finder(source_root.resolve(), tuple(packages))
    found: dict[Path, None] = {}
    waiting = [source for root in roots for source in finder.root(root)]
    while waiting:
        source = waiting.pop()
        if source.path in found:
            continue
        found[source.path] = None
        waiting.extend(finder.imported_by(source))
    return tuple(sorted(found))


def code_digest(files: Iterable[Path], root: Path) -> str:
    """SHA-256 over the files' relative names and bytes; independent of order and of where the project lies.

    A file outside `root` (a plug-in's) is named from its top package down. Raises FileNotFoundError.
    """
    resolved = root.resolve()
    named = sorted((_name(path.resolve(), resolved), sha256_file(path)) for path in set(files))
    return sha256_json({"scheme": "interlock-code-1", "files": named})


def _name(path: Path, root: Path) -> str:
    if path.is_relative_to(root):
        return path.relative_to(root).as_posix()
    top = path.parent
    while (top / "__init__.py").is_file():
        top = top.parent
    return path.relative_to(top).as_posix()


@dataclass(frozen=True)
class _Finder:
    """Turns dotted names into files, without importing anything."""

    source_root: Path
    packages: tuple[str, ...]
    found: dict[tuple[str, tuple[Path, ...]], list[_Source]] = field(default_factory=dict, compare=False)
    """Answers already given: most files import the same few modules."""

    def root(self, root: str) -> list[_Source]:
        """The sources of one root. Raises StageError when there is none."""
        if root.endswith(".py"):
            path = Path(root).resolve()
            sources = [self._of_file(path)] if path.is_file() else []
        else:
            sources = self._with_parents(root, self._bases(root))
            if not any(source.module == root for source in sources):
                sources = []
        if not sources:
            raise StageError(
                "no such module or file",
                key="import closure",
                value=root,
                hint=f"it must lie under {self.source_root} or in one of the packages {', '.join(self.packages)}",
            )
        return sources

    def imported_by(self, source: _Source) -> Iterator[_Source]:
        """Sources of every module that the file's import statements name."""
        status = source.path.stat()
        for statement in _imports(source.path, status.st_mtime_ns, status.st_size):
            module = _absolute(statement, source)
            bases = self._bases(module, script=None if source.module else source.path)
            for name in (module, *(f"{module}.{name}" for name in statement.names if name != "*")):
                yield from self._with_parents(name, bases)
            if "*" in statement.names:  # may name any submodule in `__all__`: take them all
                yield from self._submodules(module, bases)

    def _bases(self, module: str, *, script: Path | None = None) -> tuple[Path, ...]:
        """Folders in which the module's top package is looked for; none for code that is not ours."""
        top = module.partition(".")[0]
        if script is not None and _is_module(script.parent, top):
            return (script.parent,)
        if _is_module(self.source_root, top):
            return (self.source_root,)
        if top in self.packages:
            return _installed(top)
        return ()

    def _with_parents(self, module: str, bases: tuple[Path, ...]) -> list[_Source]:
        sources = self.found.get((module, bases))
        if sources is None:
            parts = module.split(".")
            names = [".".join(parts[: count + 1]) for count in range(len(parts))]
            paths = [(_file_of(base, name), name) for base in bases for name in names]
            sources = self.found[module, bases] = [_Source(path, name) for path, name in paths if path is not None]
        return sources

    def _submodules(self, module: str, bases: tuple[Path, ...]) -> Iterator[_Source]:
        for base in bases:
            for path in sorted((base / module.replace(".", "/")).glob("*.py")):
                if path.name != "__init__.py":
                    yield _Source(path, f"{module}.{path.stem}")

    def _of_file(self, path: Path) -> _Source:
        if not path.is_relative_to(self.source_root):
            return _Source(path, "")
        parts = path.relative_to(self.source_root).with_suffix("").parts
        return _Source(path, ".".join(parts[:-1] if parts[-1] == "__init__" else parts))


def _is_module(folder: Path, top: str) -> bool:
    return bool(top) and ((folder / top).is_dir() or (folder / f"{top}.py").is_file())


def _file_of(base: Path, module: str) -> Path | None:
    stem = os.path.join(base, *module.split("."))  # asked for thousands of times: text is quicker than Path
    for candidate in (os.path.join(stem, "__init__.py"), f"{stem}.py"):
        if os.path.isfile(candidate):
            return Path(candidate)
    return None


@lru_cache(maxsize=64)
def _installed(package: str) -> tuple[Path, ...]:
    """Folders that hold an installed top-level package or module."""
    try:
        spec = find_spec(package)
    except (ImportError, ValueError):
        return ()
    if spec is None:
        return ()
    if spec.submodule_search_locations is not None:
        return tuple(Path(place).resolve().parent for place in spec.submodule_search_locations)
    return (Path(spec.origin).resolve().parent,) if spec.origin else ()


def _absolute(statement: _Import, source: _Source) -> str:
    if statement.level == 0:
        return statement.module
    package = source.package.split(".")
    base = package[: len(package) - statement.level + 1]
    return ".".join((*base, statement.module) if statement.module else base)


@lru_cache(maxsize=4096)
def _imports(path: Path, modified_ns: int, size_bytes: int) -> tuple[_Import, ...]:
    """Import statements of a file; parsed once per version of the file (time and size are the cache's key)."""
    try:
        tree = ast.parse(path.read_bytes(), filename=str(path))
    except (SyntaxError, ValueError) as error:
        line = getattr(error, "lineno", None)
        raise StageError(
            f"not valid Python, so its imports are unknown: {error}",
            path=path,
            key=f"line {line}" if line else None,
            hint="correct the file",
        ) from error
    return tuple(_statements(tree.body))


def _statements(body: Iterable[ast.AST]) -> Iterator[_Import]:
    """Imports among statements and the blocks inside them; expressions are skipped, they cannot hold imports."""
    for node in body:
        if isinstance(node, ast.Import):
            yield from (_Import(0, alias.name, ()) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield _Import(node.level, node.module or "", tuple(alias.name for alias in node.names))
        else:
            yield from _statements(_blocks(node))


def _blocks(node: ast.AST) -> Iterator[ast.AST]:
    skipped = _never_runs(node)
    for block in ("body", "orelse", "finalbody", "handlers", "cases"):
        if block != skipped:
            inner = getattr(node, block, ())
            yield from inner if isinstance(inner, list) else ()  # a lambda's body is one expression


def _never_runs(node: ast.AST) -> str | None:
    """The block of an `if TYPE_CHECKING` (or `if not TYPE_CHECKING`) that only type checkers see."""
    if not isinstance(node, ast.If):
        return None
    test, skipped = node.test, "body"
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        test, skipped = test.operand, "orelse"
    name = test.id if isinstance(test, ast.Name) else test.attr if isinstance(test, ast.Attribute) else ""
    return skipped if name == "TYPE_CHECKING" else None
