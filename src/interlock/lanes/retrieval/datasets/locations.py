"""Where a dataset's path leads: absolute, relative to the workspace, or `data://name` in the data folder.

Does not interpolate environment variables in general; Hydra does that (`${oc.env:NAME}`) before a path gets here.
"""

import os
from collections.abc import Mapping
from pathlib import Path

from interlock.contracts.lane import LaneBody
from interlock.errors import DataError
from interlock.provenance.workspace import main_checkout

DATA_SCHEME = "data://"
DATA_VARIABLE = "INTERLOCK_DATA_DIR"
_BESIDE_CHECKOUT = Path("..") / "shared" / "data"


def data_folder(root: Path, environ: Mapping[str, str] = os.environ) -> Path | None:
    """The folder behind `data://`: the variable if set (even when it is wrong), else the default if it exists."""
    if named := environ.get(DATA_VARIABLE):
        return Path(named)
    default = main_checkout(root) / _BESIDE_CHECKOUT  # a temporary experiment's folder has nothing beside it
    return default.resolve() if default.is_dir() else None


def resolve_location(location: str, *, root: Path, environ: Mapping[str, str] = os.environ) -> Path:
    """Return the path that `location` stands for. Raises DataError when nothing is there."""
    if location.startswith(DATA_SCHEME):
        path = _in_data_folder(location, root=root, environ=environ)
    else:
        path = root / Path(location).expanduser()
    if not path.exists():
        raise DataError(
            "no such file or folder",
            path=path,
            key="lane.data.path",
            value=location,
            hint=f"relative paths start at {root}; {DATA_SCHEME}NAME starts at ${DATA_VARIABLE}",
        )
    return path


def _in_data_folder(location: str, *, root: Path, environ: Mapping[str, str]) -> Path:
    folder = data_folder(root, environ)
    if folder is None or not folder.is_dir():
        raise DataError(
            f"the data folder is missing: {DATA_VARIABLE} is {environ.get(DATA_VARIABLE) or 'not set'}",
            key="lane.data.path",
            value=location,
            hint=f"set {DATA_VARIABLE} to the folder that holds {location.removeprefix(DATA_SCHEME)}, or give a path",
        )
    path = (folder / location.removeprefix(DATA_SCHEME)).resolve()
    if not path.is_relative_to(folder.resolve()):
        raise DataError(
            f"the path leaves the data folder {folder}",
            key="lane.data.path",
            value=location,
            hint="name a folder inside it, without ..",
        )
    return path


def source_paths(body: LaneBody, workspace: Path) -> list[Path]:
    """Files and folders that the lane's data is read from, for DVC to watch; none for data of the environment."""
    location = getattr(getattr(body, "data", None), "path", None)
    return [resolve_location(location, root=workspace)] if isinstance(location, str) else []
