"""`interlock reproduce RUN`: run an archived run again from its card and state the level reached.

Works in a temporary folder with a home of its own: the archive, the registry, tracking and DVC's outputs are out of
reach. The archived run is verified first, and what is found is kept beside it as `reproductions/*/reproduction.json`.
"""

import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from interlock.commands.screen import print_json, say
from interlock.contracts.reproduction import MetricDifference, Reproduction, Tolerances
from interlock.errors import ExitCode, ProvenanceError, UsageError
from interlock.provenance.workspace import interlock_home
from interlock.registry.archive import read_card
from interlock.registry.layout import MODEL_STAGES
from interlock.registry.queries import find_run
from interlock.registry.verify import verify_run
from interlock.reports.figures import figure
from interlock.runs.reproduction.reproduce import reproduce as reproduced
from interlock.stages.entry import interrupt
from interlock.stages.progress import Lines

_LEVELS = {
    "bit_exact": "bit-exact: every reproducible file is equal, byte for byte",
    "within_tolerance": "within tolerance: bytes differ, no weight and no metric by more than stated",
    "differs": "differs",
}


def reproduce(
    workspace: Path,
    run: str,
    *,
    stage: str,
    keep: bool,
    with_current_code: bool,
    tolerances: Tolerances,
    as_json: bool,
) -> ExitCode:
    """Reproduce the run up to `stage`; PASS for bit-exact and within tolerance, FAIL when it differs."""
    if stage not in MODEL_STAGES:
        raise UsageError("is no stage that a card covers", key="--stage", value=stage, hint=", ".join(MODEL_STAGES))
    home = interlock_home(workspace)
    row = find_run(home, run)
    _require_intact(home, row.run_id)
    signal.signal(signal.SIGTERM, interrupt)
    with _scratch(keep) as scratch:
        result, path = reproduced(
            home,
            row.run_id,
            workspace=workspace,
            scratch=scratch,
            last=stage,
            with_current_code=with_current_code,
            tolerances=tolerances,
            progress=Lines(),
        )
        if as_json:
            print_json({**result.model_dump(mode="json"), "kept_as": str(path)})
        else:
            _tell(result, path)
    return ExitCode.FAIL if result.level == "differs" else ExitCode.PASS


def _require_intact(home: Path, run_id: str) -> None:
    """Raise RegistryError for a run without a card, ProvenanceError when the archive differs from what it recorded."""
    read_card(home, run_id)
    broken = verify_run(home, run_id).first_broken
    if broken:
        raise ProvenanceError(
            f"the archived run does not hold, so nothing was run: {broken.name}: {broken.detail}",
            path=home / broken.path,
            hint=broken.way_out or f"interlock verify {run_id} shows every link",
        )


@contextmanager
def _scratch(keep: bool) -> Iterator[Path]:
    """A temporary folder, removed also after Ctrl-C unless it is to be kept."""
    folder = Path(tempfile.mkdtemp(prefix="interlock-reproduce-")).resolve()
    try:
        yield folder
    finally:
        if keep:
            print(f"kept: {folder}", file=sys.stderr)
        else:
            shutil.rmtree(folder, ignore_errors=True)


def _tell(result: Reproduction, path: Path) -> None:
    say(f"run {result.run_id}: {_LEVELS[result.level]}")
    for stage in result.stages:
        equal = stage.files - len([name for name in stage.differing if name != "record.json"])
        code = "the workspace's code" if stage.code == "workspace" else f"the code of commit {stage.code[:12]}"
        other = f"; differ: {', '.join(stage.differing)}" if stage.differing else ""
        say(f"  {stage.stage:<9} {max(equal, 0)} of {stage.files} files equal, with {code}{other}")
    if result.first_difference:
        first = result.first_difference
        say(f"  first difference: {first.stage}/{first.file}, {first.where}")
    for item in result.weights:
        share = f"{item.largest_relative:.2g} of its tensor's largest weight"
        say(f"  weights {item.stage}/{item.file}: largest difference {item.largest_absolute:.3g}, {share}")
    for metric in result.metrics:
        say(f"  {_metric(metric)}")
    if result.level != "bit_exact":
        say(f"  tolerances: weights {result.tolerances.weights:g}, metrics {result.tolerances.metrics:g}")
    promise = "; ".join(result.caveats) or "same code, packages, machine class: equal bits are promised"
    say(f"  {'not promised: ' if result.caveats else ''}{promise}")
    say(f"  kept as {path}")


def _metric(metric: MetricDifference) -> str:
    values = [figure(value) if value is not None else "none" for value in (metric.archived, metric.reproduced)]
    text = f"{metric.name}: {values[0]} -> {values[1]}"
    if metric.absolute is not None:
        text += f", difference {metric.absolute:.3g}"
    if metric.items:
        text += f"; {metric.items_changed} of {metric.items} items score differently"
        text += f", by at most {metric.largest_item:.3g}" if metric.items_changed else ""
    return text
