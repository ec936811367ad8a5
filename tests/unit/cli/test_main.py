"""What the entry point says of an interrupted command."""

import pytest
import typer

from interlock.cli import main as entry
from interlock.errors import ExitCode


def interrupted():
    raise KeyboardInterrupt


def tells_of_a_cancelled_job():
    raise typer.Exit(ExitCode.INTERRUPTED)


@pytest.mark.parametrize(("command", "says"), [(interrupted, True), (tells_of_a_cancelled_job, False)])
def test_ctrl_c_is_told_and_the_code_of_a_cancelled_job_is_not(command, says, monkeypatch, capsys):
    app = typer.Typer()
    app.command()(command)
    monkeypatch.setattr(entry, "app", app)
    monkeypatch.setattr("sys.argv", ["interlock"])
    with pytest.raises(SystemExit) as ended:
        entry.main()
    assert ended.value.code == ExitCode.INTERRUPTED
    assert ("the same command goes on from there" in capsys.readouterr().err) == says
