"""`interlock run`: hand the command line to Hydra as it stands, run each job's stages, answer with one exit code.

The configuration is checked before Hydra starts, so that a mistyped key is refused with its nearest name instead of
failing inside a job. `-m` goes to `interlock.commands.sweep_jobs`, which plans all jobs first.
"""

import signal
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from interlock.commands.running import prepared_place, require_writable, run_place, shown
from interlock.commands.screen import say
from interlock.commands.sweep_jobs import run_sweep
from interlock.config.compose import Composition, compose_lane, first_values, hydra_settings
from interlock.config.hydra_main import is_multirun, only_prints, overrides_of, run_main
from interlock.config.validate import validate
from interlock.contracts.verdict import EXIT_CODES, Verdict
from interlock.errors import ExitCode, UsageError
from interlock.provenance.workspace import interlock_home
from interlock.stages.entry import interrupt
from interlock.stages.progress import terminal_progress


def run_hydra(workspace: Path, argv: Sequence[str]) -> ExitCode:
    """Run all jobs; returns the folded exit code. Raises ConfigError, UsageError before anything runs."""
    overrides = overrides_of(argv)
    if is_multirun(argv) and not only_prints(argv):
        return run_sweep(workspace, argv)
    conf, plain = workspace / "conf", first_values(overrides)
    validate(compose_lane(conf, plain), subject="configuration")
    if not only_prints(argv):
        folder = workspace / str(hydra_settings(conf, plain).run.dir)
        require_writable(interlock_home(workspace), folder, setting="hydra.run.dir")
    signal.signal(signal.SIGTERM, interrupt)
    job = SingleJob(workspace)
    run_main(conf, argv, job)
    return job.answer(may_be_empty=only_prints(argv))


@dataclass
class SingleJob:
    """The one job of a run without `-m`. An error of ours is a result, not a crash."""

    workspace: Path
    codes: list[ExitCode] = field(default_factory=list)
    __name__ = "job"

    def __call__(self, number: int | None, lane: str, composition: Composition) -> None:
        """Run all stages and archive them."""
        if number is not None:
            raise UsageError("a file asks for a sweep", key="hydra.mode", hint="give -m instead: interlock run -m")
        try:
            place = prepared_place(self.workspace, lane, composition)
            judgement = run_place(place, progress=terminal_progress())
        except Exception as error:  # a defect, too, is shown and answered
            self.codes.append(shown(error))
            return
        say(f"run {judgement.run_id}: {judgement.verdict}  {' '.join(composition.overrides)}".rstrip())
        if judgement.verdict is not Verdict.PASS:
            say(f"every gate with its reason: interlock runs show {judgement.run_id}")
        self.codes.append(EXIT_CODES[judgement.verdict])

    def answer(self, *, may_be_empty: bool) -> ExitCode:
        """The exit code; no result at all is an error, unless Hydra only printed something."""
        return self.codes[0] if self.codes else ExitCode.PASS if may_be_empty else ExitCode.ERROR
