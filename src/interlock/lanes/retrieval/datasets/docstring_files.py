"""Reads documentation out of installed packages: files by their installation record, docstrings by `ast`.

Nothing is imported or executed. What a package computes at run time (docstrings assigned or templated in code) and
what stands in compiled modules is not seen.
"""

import ast
import gc
import hashlib
import os
import re
import warnings
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib.metadata import Distribution, PackageNotFoundError, PackagePath, distribution
from itertools import chain, repeat
from multiprocessing import get_context
from pathlib import PurePosixPath
from typing import TypeVar

from interlock.errors import DataError
from interlock.lanes.retrieval.datasets.card import Source
from interlock.lanes.spec import Progress

WORTH_PROCESSES = 4
"""Packages from which reading in processes of their own pays for starting them."""

Config = TypeVar("Config")
Found = TypeVar("Found")

SKIPPED_FOLDERS = frozenset(
    {
        "test",
        "tests",
        "testing",
        "_testing",
        "deprecated",
        "_deprecated",
        "extern",
        "externals",
        "third_party",
        "vendor",
        "vendored",
        "vendored_packages",
        "_vendor",
        "_vendored",
        "_vendored_packages",
    }
)
"""Folders whose files are not the package's own current documentation."""


@dataclass(frozen=True, order=True)
class Docstring:
    """One docstring; orders by where it stands, not by when it was read."""

    package: str
    """Normalised distribution name."""
    module: str
    """Dotted module name."""
    name: str
    """Qualified name inside the module, empty for the module itself; `#2` marks the second of a name."""
    text: str
    """The text with its indentation removed."""

    @property
    def identifier(self) -> str:
        """Unique over all packages that can be installed together, e.g. `torch.nn.modules.linear:Linear.forward`."""
        return f"{self.module}:{self.name}" if self.name else self.module


@contextmanager
def collector_paused() -> Iterator[None]:
    """Hold the cycle collector while many syntax trees are made: they have no cycles, and looking costs a quarter."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def normalised_name(package: str) -> str:
    """A distribution name in the form in which all its spellings are equal (PEP 503)."""
    return re.sub(r"[-_.]+", "-", package).lower()


def each_package(
    read: Callable[[str, Config], Found], packages: Iterable[str], config: Config, *, progress: Progress
) -> Iterator[Found]:
    """`read(package, config)` of every package in the order of their names, side by side: parsing takes the time.

    `read` must be a function of a module, because it may run in another process.
    """
    names = sorted(map(normalised_name, packages))
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    with ExitStack() as stack:
        found: Iterable[Found] = map(read, names, repeat(config))
        if len(names) >= WORTH_PROCESSES and cores > 1:
            pool = stack.enter_context(ProcessPoolExecutor(cores, mp_context=get_context("spawn")))
            found = pool.map(read, names, repeat(config))
        yield from progress.track(found, "documentation of packages", len(names))


def open_package(package: str) -> tuple[Source, list[PackagePath]]:
    """Describe an installed package and list its own `.py` files.

    The order of the files is fixed by their names but mixes the package's parts, so that a reader that stops early
    has seen modules from all over it. Raises DataError when the package is missing or has no record of its files.
    """
    try:
        found = distribution(package)
    except PackageNotFoundError:
        raise DataError(
            "the package is not installed",
            key="lane.data.packages",
            value=package,
            hint="install the locked dependencies (make .venv), or take it out of the list",
        ) from None
    files = found.files
    if files is None:
        raise DataError(
            "the package was installed without a record of its files",
            key="lane.data.packages",
            value=package,
            hint="install it with pip, or take it out of the list",
        )
    ours = [file for file in files if _is_documentation(file)]
    ours.sort(key=lambda file: hashlib.sha256(file.as_posix().encode()).digest())
    return Source(name=package, version=found.version, licence=_licence(found)), ours


def read_docstrings(package: str, file: PackagePath) -> list[Docstring]:
    """Every docstring of one file. Raises DataError when it cannot be read, ValueError when it cannot be parsed."""
    data = _read(package, file)
    if b'"""' not in data and b"'''" not in data:
        return []  # parsing is what costs; a docstring of several paragraphs needs triple quotes
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # invalid escapes in other people's strings
        try:
            tree = ast.parse(data)
        except (SyntaxError, ValueError, RecursionError) as error:
            raise ValueError(f"{file}: {error}") from None
    module = _module_name(file)
    seen: dict[str, int] = {}
    result = []
    for name, text in _walk(tree, ""):
        seen[name] = seen.get(name, 0) + 1
        unique = name if seen[name] == 1 else f"{name}#{seen[name]}"
        result.append(Docstring(package, module, unique, text))
    return result


def _licence(found: Distribution) -> str:
    """The licence as the package's metadata state it, shortened to one line."""
    every = [found.metadata.get_all(key) or [] for key in ("License-Expression", "License")]
    for stated in chain.from_iterable(every):
        if "\n" not in stated and len(stated) < 80:
            return str(stated)
    classifiers = found.metadata.get_all("Classifier") or ()
    return ", ".join(sorted(line.rpartition(" :: ")[2] for line in classifiers if line.startswith("License :: ")))


def _is_documentation(file: PurePosixPath) -> bool:
    if file.suffix != ".py" or ".." in file.parts or SKIPPED_FOLDERS & set(file.parts[:-1]):
        return False
    return not file.name.startswith(("test_", "conftest"))


def _read(package: str, file: PackagePath) -> bytes:
    try:
        return file.read_binary()
    except OSError as error:
        raise DataError(
            f"a file of the package cannot be read: {error.strerror}",
            path=str(file),
            key="lane.data.packages",
            value=package,
            hint=f"the installation is damaged: pip install --force-reinstall {package}",
        ) from None


def _module_name(file: PurePosixPath) -> str:
    parts = file.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


_DOCUMENTED = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
_NESTING = ast.If | ast.Try | ast.With | ast.ExceptHandler
_BLOCKS = ("body", "handlers", "orelse", "finalbody")


def _walk(node: ast.AST, prefix: str) -> Iterator[tuple[str, str]]:
    """Yield (qualified name, docstring) of everything a reader could look up, in source order."""
    if isinstance(node, _DOCUMENTED):
        name = getattr(node, "name", "")
        prefix = f"{prefix}.{name}" if prefix else name
        if text := ast.get_docstring(node):
            yield prefix, text
    for child in chain.from_iterable(getattr(node, block, ()) for block in _BLOCKS):
        if isinstance(child, _DOCUMENTED | _NESTING):
            yield from _walk(child, prefix)
