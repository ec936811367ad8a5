"""SHA-256 of files and folders, streamed. A folder's digest covers relative names, sizes and bytes."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

from interlock.contracts.stage import Artifact
from interlock.errors import ProvenanceError


def sha256_file(path: Path) -> str:
    """Hex digest of the file's bytes. Raises FileNotFoundError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def describe_files(folder: Path, names: Iterable[str]) -> dict[str, Artifact]:
    """Digest and size of each named file under `folder`, sorted by name."""
    return {
        name: Artifact(sha256=sha256_file(folder / name), size_bytes=(folder / name).stat().st_size)
        for name in sorted(names)
    }


def files_under(folder: Path) -> list[str]:
    """Relative POSIX names of all files under `folder`, sorted; parts of unfinished atomic writes are left out."""
    return sorted(
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and not (path.name.startswith(".") and path.name.endswith(".part"))
    )


def verify_files(folder: Path, artifacts: dict[str, Artifact]) -> None:
    """Raise ProvenanceError naming the first file that is missing or differs from its recorded digest."""
    for name, artifact in artifacts.items():
        path = folder / name
        if not path.is_file():
            raise ProvenanceError("file is missing", path=path, hint="run the stage again: dvc repro")
        if path.stat().st_size != artifact.size_bytes or sha256_file(path) != artifact.sha256:
            raise ProvenanceError(
                "file differs from its recorded digest",
                path=path,
                value=artifact.sha256,
                hint="it was changed after it was written; restore it with dvc checkout or run the stage again",
            )
