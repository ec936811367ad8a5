"""Atomic writes that cannot be made are told by the name that the caller knows."""

import errno
import os

import pytest

from interlock.provenance.files import atomic_file, write_atomic


def test_a_folder_that_may_not_be_written_is_told_by_the_files_own_name(tmp_path, monkeypatch):
    def refused(path, *args, **kept):
        raise PermissionError(errno.EACCES, "Permission denied", path)

    monkeypatch.setattr(os, "open", refused)  # permissions do not bind everybody who runs tests
    with pytest.raises(PermissionError) as caught:
        write_atomic(tmp_path / "x.html", "text")
    assert caught.value.filename == str(tmp_path / "x.html")


@pytest.mark.parametrize("call", ["replace", "fsync"])
def test_whatever_fails_names_the_file_and_leaves_nothing(tmp_path, monkeypatch, call):
    def refused(*names):
        raise OSError(errno.ENOSPC, "No space left on device", *names[:1] if call == "replace" else ())

    monkeypatch.setattr(os, call, refused)
    with pytest.raises(OSError, match="No space") as caught:
        write_atomic(tmp_path / "x.html", "text")
    assert (caught.value.filename, caught.value.filename2) == (str(tmp_path / "x.html"), None)
    assert list(tmp_path.iterdir()) == []


def test_an_error_about_another_file_keeps_its_name(tmp_path):
    with pytest.raises(FileNotFoundError) as caught, atomic_file(tmp_path / "x.html"):
        (tmp_path / "gone").read_bytes()
    assert caught.value.filename == str(tmp_path / "gone")
