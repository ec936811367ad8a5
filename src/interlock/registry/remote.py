"""A folder that several homes share: files by content, and one event log for each writer.

    <remote>/interlock/objects/<2 digits>/<sha256>     any file of a run; never changed
                      /logs/<writer>.jsonl             written by that writer alone; only grows

Needs nothing of the folder but atomic renames: no locks, no server. Two homes never write the same name with different
bytes. A log is written after every file that it names, so a push that is killed leaves nothing that anybody believes,
only files that the next push finds there. What comes from the folder is checked by `interlock.registry.pull`.
"""

import configparser
import os
import re
from dataclasses import dataclass
from pathlib import Path

from interlock.errors import ProvenanceError, RegistryError, UsageError
from interlock.provenance.digest import sha256_file
from interlock.provenance.files import write_atomic
from interlock.registry.archive import checked_copy
from interlock.registry.events import WRITER_PATTERN

FOLDER = "interlock"
"""Beside DVC's own `files/` in the same remote."""
_SECTION = re.compile(r"""^['"]?remote\s+"(?P<name>.+)"['"]?$""")
_WAY_OUT = "name a shared folder: --remote PATH, or make one DVC's default: dvc remote add --default NAME PATH"


@dataclass(frozen=True)
class Remote:
    """The shared folder; `root` is its `interlock/`."""

    root: Path

    def log(self, writer: str) -> Path:
        """The log of a writer."""
        return self.root / "logs" / f"{writer}.jsonl"

    def logs(self) -> dict[str, Path]:
        """Every log by its writer. Files of other names are no logs. Raises RegistryError when nobody pushed here."""
        if not self.root.is_dir():
            raise RegistryError("nobody has pushed here yet", path=self.root, hint="interlock push, in any clone")
        found = {path.stem: path for path in sorted((self.root / "logs").glob("*.jsonl"))}
        return {writer: path for writer, path in found.items() if re.fullmatch(WRITER_PATTERN, writer)}

    def has(self, sha256: str) -> bool:
        """Whether a file with this digest was put here."""
        return self._object(sha256).is_file()

    def put(self, source: Path, sha256: str, *, anew: bool = False) -> int:
        """Add a file unless it is here, or `anew`; returns the bytes written.

        Raises ProvenanceError when the source is not that file, FileNotFoundError when there is none.
        """
        target = self._object(sha256)
        if target.is_file() and not anew:
            return 0
        self._make(target.parent)
        checked_copy(
            source, target, sha256, hint="interlock verify names everything that was changed; nothing is shared"
        )
        return target.stat().st_size

    def fetch(self, sha256: str, target: Path) -> None:
        """Copy a file from here, checked. Raises ProvenanceError when it is missing or was changed."""
        source = self._object(sha256)
        if not source.is_file():
            raise ProvenanceError("is not on the remote", path=source, hint="whoever made it: interlock push --repair")
        checked_copy(source, target, sha256, hint="whoever made it: interlock push --repair")

    def is_damaged(self, sha256: str) -> bool:
        """Whether the file is here with other bytes than its name says."""
        return self.has(sha256) and sha256_file(self._object(sha256)) != sha256

    def put_log(self, writer: str, data: bytes) -> None:
        """Replace a writer's log at once."""
        self._make(self.log(writer).parent)
        write_atomic(self.log(writer), data)

    def _object(self, sha256: str) -> Path:
        return self.root / "objects" / sha256[:2] / sha256

    def _make(self, folder: Path) -> None:
        """Make folders that the others of the team can write into, if they can write into the shared one."""
        for path in (*reversed(folder.parents), folder):
            if path.is_relative_to(self.root) and not path.is_dir():
                path.mkdir(parents=True, exist_ok=True)
                os.chmod(path, self._shared().stat().st_mode & 0o7777)

    def _shared(self) -> Path:
        return self.root.parent if self.root.parent.is_dir() else self.root


def find_remote(workspace: Path, chosen: Path | None) -> Remote:
    """The folder that was named, or DVC's default remote when that is a folder.

    Raises UsageError for what is no folder, and for a named one that does not even have a parent: a mistyped path.
    """
    folder = (workspace / chosen.expanduser()).resolve() if chosen else _dvc_default(workspace)
    if folder.exists() and not folder.is_dir():
        raise UsageError("is not a folder", key="--remote", value=str(folder), hint=_WAY_OUT)
    if chosen and not folder.parent.is_dir():
        hint = f"check the path, or make {folder.parent} first"
        raise UsageError(
            "the folder that it should lie in does not exist", key="--remote", value=str(folder), hint=hint
        )
    return Remote(folder / FOLDER)


def _dvc_default(workspace: Path) -> Path:
    """Read DVC's own files, without loading DVC. Names in `config.local` win, as they do there."""
    settings = configparser.ConfigParser(interpolation=None, strict=False)
    urls: dict[str, Path | str] = {}
    for name in ("config", "config.local"):
        path = _dvc_folder(workspace) / name
        if not path.is_file():
            continue
        here = configparser.ConfigParser(interpolation=None, strict=False)
        try:
            here.read_string(path.read_text())
        except (configparser.Error, UnicodeDecodeError) as error:
            raise UsageError(f"cannot be read: {error}", key=str(path), hint=_WAY_OUT) from error
        settings.read_dict({"core": dict(here["core"]) if here.has_section("core") else {}})
        for section in here.sections():
            if (match := _SECTION.match(section)) and (url := here[section].get("url")):
                urls[match["name"]] = url if "://" in url else (path.parent / Path(url).expanduser()).resolve()
    default = settings["core"].get("remote") if settings.has_section("core") else None
    if default is None:
        raise UsageError("no folder to share: DVC has no default remote here", key="--remote", hint=_WAY_OUT)
    found = urls.get(default)
    if isinstance(found, Path):
        return found
    problem = f"DVC's default remote {default!r} is " + ("not a folder" if found else "not defined")
    raise UsageError(problem, key="--remote", value=found, hint=_WAY_OUT)


def _dvc_folder(workspace: Path) -> Path:
    """`.dvc` of the repository that the workspace is, or lies in."""
    return next(
        (path / ".dvc" for path in (workspace, *workspace.parents) if (path / ".dvc").is_dir()), workspace / ".dvc"
    )
