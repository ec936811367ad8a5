"""Where dataset paths lead, and what is said when they lead nowhere."""

from pathlib import Path

import pytest

from interlock.errors import DataError
from interlock.lanes.retrieval.datasets.locations import data_folder, resolve_location


def test_relative_absolute_and_data_paths(tmp_path: Path) -> None:
    root, data = tmp_path / "checkout", tmp_path / "shared" / "data"
    (root / "mine").mkdir(parents=True)
    (data / "wiki").mkdir(parents=True)
    assert resolve_location("mine", root=root, environ={}) == root / "mine"
    assert resolve_location(str(data), root=root, environ={}) == data
    assert resolve_location("data://wiki", root=root, environ={}) == data / "wiki"
    named = {"INTERLOCK_DATA_DIR": str(tmp_path / "shared")}
    assert resolve_location("data://data/wiki", root=root, environ=named) == data / "wiki"
    assert data_folder(tmp_path / "elsewhere", {}) is None


@pytest.mark.parametrize(
    ("location", "environ", "expected"),
    [
        ("data://wiki", {}, "INTERLOCK_DATA_DIR is not set"),
        ("data://wiki", {"INTERLOCK_DATA_DIR": "/nowhere"}, "INTERLOCK_DATA_DIR is /nowhere"),
        ("data://wiki", {"INTERLOCK_DATA_DIR": "."}, "no such file or folder (got 'data://wiki')"),
        ("data://../x", {"INTERLOCK_DATA_DIR": "."}, "the path leaves the data folder"),
        ("wiki", {}, "no such file or folder (got 'wiki')"),
    ],
)
def test_what_leads_nowhere_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, location: str, environ: dict[str, str], expected: str
) -> None:
    (tmp_path / "root").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError) as caught:
        resolve_location(location, root=tmp_path / "root", environ=environ)
    assert expected in str(caught.value)
    assert "way out: " in str(caught.value)
