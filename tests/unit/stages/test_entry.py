"""Every ending has one message and a documented exit code."""

import errno
import os

import pytest

from interlock.errors import ConfigError, DataError, ExitCode, Fault, InterlockError
from interlock.stages.entry import guarded


def ends_with(error):
    def action():
        raise error

    return guarded(action)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (InterlockError("no"), 1),
        (DataError("bad", path="corpus.jsonl", key="line 3", value="{", hint="mend the line"), 1),
        (ConfigError([Fault(key="seed", problem="is wrong", value="x")]), 2),
        (KeyboardInterrupt(), 130),
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "model.safetensors"), 1),
        (PermissionError(errno.EACCES, os.strerror(errno.EACCES), "out"), 1),
    ],
)
def test_exit_codes(error, code):
    assert ends_with(error) == code


def test_success():
    assert guarded(lambda: None) == ExitCode.PASS


def test_messages_name_place_value_and_way_out(capsys):
    ends_with(DataError("is not JSON", path="corpus.jsonl", key="line 3", value="{", hint="mend the line"))
    assert capsys.readouterr().err == "ERROR: corpus.jsonl: line 3: is not JSON (got '{')\n  way out: mend the line\n"
    ends_with(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "model.safetensors"))
    assert "model.safetensors: No space left on device" in capsys.readouterr().err


def test_a_defect_is_not_hidden():
    with pytest.raises(ZeroDivisionError):
        ends_with(ZeroDivisionError())
