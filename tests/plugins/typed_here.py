"""Commands typed in this process, which loads their packages once: a process for each takes a second of CPU time.

    here = Here(path)                           # a checkout as tests/pipeline makes it
    here.interlock("decide", run)               # stdout and stderr together; the exit code must be 0

For what a process is not the point of. Not for kills, signals or lanes whose code a test changes: what runs is this
repository's code, to which `running` lets the checkout's own point, so that its stages agree to run.
"""

import os
import shutil
import signal
import sys
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path

import pytest

from interlock.cli.main import main
from interlock.runs.runner import run_lane
from interlock.stages.place import Place
from interlock.stages.progress import Silent

ROOT = Path(__file__).resolve().parents[2]


class Here:
    """A checkout in a folder, and the commands a user types in it; `env` is added to this process's while one runs."""

    def __init__(self, path, **env):
        self.path, self.env = path, {"COLUMNS": "400", "NO_COLOR": "1", **env}

    @classmethod
    def running(cls, path, **env):
        """In a checkout in which stages run, too."""
        for part in ("src", "pipelines"):
            shutil.rmtree(path / part)
            (path / part).symlink_to(ROOT / part)
        return cls(path, **env)

    def finished(self, *lanes):
        """Compose, and run these lanes where DVC would have them."""
        self.interlock("compose")
        with pytest.MonkeyPatch.context() as patch:
            patch.delenv("INTERLOCK_HOME", raising=False)
            for lane in lanes:
                run_lane(Place.of_workspace(self.path, lane), progress=Silent())
        return self

    def copied(self, path):
        """The same in a copy."""
        shutil.copytree(self.path, path, symlinks=True)
        return Here(path, **self.env)

    def said(self, *arguments, code=0):
        """What a command writes to stdout and to stderr."""
        out, err, on_sigterm = StringIO(), StringIO(), signal.getsignal(signal.SIGTERM)
        with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
            patch.chdir(self.path)
            patch.setattr(sys, "argv", ["interlock", *arguments])
            # Nothing here outlives its test; what survives a power cut is tested where files are written.
            patch.setattr(os, "fsync", lambda descriptor: None)
            patch.delenv("INTERLOCK_HOME", raising=False)
            for name, value in self.env.items():
                patch.setenv(name, value)
            with pytest.raises(SystemExit) as ended:
                main()
        signal.signal(signal.SIGTERM, on_sigterm)
        said = out.getvalue(), err.getvalue()
        assert (ended.value.code or 0) == code, f"{arguments} ended with {ended.value.code}\n{''.join(said)}"
        return said

    def interlock(self, *arguments, code=0):
        """Both together."""
        return "".join(self.said(*arguments, code=code))

    def edit(self, file, old, new):
        """Replace text in a file; it must be there."""
        path = self.path / file
        text = path.read_text()
        assert old in text, f"{old!r} is not in {file}"
        path.write_text(text.replace(old, new))
