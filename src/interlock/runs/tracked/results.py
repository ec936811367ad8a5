"""Tell the trackers what became of a run, once it is archived and judged; again whenever that has changed.

    up_to_date, said = track_run(home, run_id, settings=..., config=..., workspace=...)

The archive is the source. Local files are written first, then a mirror brings W&B up to date with them. Never raises:
the sentence that is returned says what happened; verdicts, records and exit codes are settled before this is called.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from interlock.contracts.decision import Decision
from interlock.contracts.reproduction import Reproduction
from interlock.contracts.stage import StageRecord
from interlock.contracts.tracking import Tracking, WandbTracking
from interlock.errors import InterlockError, StageError
from interlock.provenance.attempts import list_attempts
from interlock.provenance.environment import redact_text
from interlock.registry.archive import read_card
from interlock.registry.decided import spent
from interlock.registry.derive import DECISION, DECISIONS, JUDGEMENTS, statements
from interlock.registry.judged import newest_judgement
from interlock.registry.layout import CARD, RECORDS, run_folder
from interlock.registry.queries import archived_run, show_model
from interlock.registry.recorded import refuse_unrecorded
from interlock.runs.tracked.contents import (
    Told,
    alerts,
    gate_table,
    identity,
    item_table,
    lineage,
    summary,
    tags,
)
from interlock.runs.tracked.curves import charts, logged_curves
from interlock.runs.tracked.described import described, tracking_of
from interlock.stages.entry import explained
from interlock.stages.place import read_composed
from interlock.stages.verdicts import read_archived
from interlock.tracking.jsonl import CURVES, RUN, CurveReader, JsonlTracker, run_tracking
from interlock.tracking.launch import complete
from interlock.tracking.replay import read_run


def track_run(
    home: Path,
    run_id: str,
    *,
    settings: Tracking,
    config: Mapping[str, Any],
    workspace: Path,
    wait_s: float | None = None,
) -> tuple[bool, str]:
    """Bring trackers up to date with the archive; returns whether they are, and a sentence for the person, if any.

    `config` is the composed configuration at hand; what the archive recorded wins over it. `wait_s`: as in
    `tracking.launch.complete`.
    """
    try:
        write_local(home, run_id, settings=settings, config=config, workspace=workspace)
        return complete(home, run_id, settings, wait_s=wait_s) if isinstance(settings, WandbTracking) else (True, "")
    except Exception as error:  # showing a run must not undo it, whatever the reason
        return False, redact_text(f"run {run_id} is not tracked: {_said(error)}")


def _said(error: Exception) -> str:
    if isinstance(error, InterlockError):
        return str(error)
    return explained(error) if isinstance(error, OSError) else f"{type(error).__name__}: {error}"


def track_again(home: Path, run_id: str, *, params: Path, workspace: Path) -> str:
    """The same after something is known of the run that was not; `params` is the composed file with the settings.

    Returns the sentence alone. A file that cannot be read stands for local files.
    """
    try:
        config = read_composed(params)
    except StageError:
        config = {}
    return track_run(home, run_id, settings=tracking_of(config), config=config, workspace=workspace)[1]


def write_local(home: Path, run_id: str, *, settings: Tracking, config: Mapping[str, Any], workspace: Path) -> None:
    """Write the run's tracking folder from the archive: all of it for a mirror, else what is quick to have.

    A run without a card keeps what its training wrote.
    """
    if not (run_folder(home, run_id) / "models" / CARD).is_file():
        return
    folder, told = run_tracking(home, run_id), gathered(home, run_id)
    known = read_run(folder).config if (folder / RUN).is_file() else config
    whole = _merged({key: value for key, value in known.items() if key != "interlock"}, told.params)
    tracker = JsonlTracker(folder)
    tracker.begin(
        described(
            run_id, lane=told.card.lane, config=whole, labels=told.labels, tags=tags(told), identity=identity(told)
        )
    )
    if not (folder / CURVES).is_file():
        for step, values in logged_curves(told.models):
            tracker.curve(step, values)
    tracker.summary(summary(told))
    if isinstance(settings, WandbTracking):
        _write_for_mirror(tracker, told, settings=settings, workspace=workspace)
    tracker.finish(exit_code=0)


def gathered(home: Path, run_id: str) -> Told:
    """What the archive and the registry say of a run with a card.

    Raises ProvenanceError for a card that no event recorded, RegistryError for a judgement that is not as the log
    names it, RegistryError and ValidationError for damage.
    """
    refuse_unrecorded(home, [run_id])
    row = archived_run(home, run_id)
    decisions = statements(home, run_id, DECISIONS)
    decided = [Decision.model_validate_json((folder / DECISION).read_bytes()) for folder in decisions]
    newest = newest_judgement(home, run_id)
    judgement = newest[1] if newest else None
    about = (judgement.judgement_id, judgement.verdict) if judgement else None
    upon = [found for found in decided if (found.judgement_id, found.verdict) == about]
    standing = [found for found in upon if row and found.decision_id == row.decision_id] or upon
    model = show_model(home, row.model_id).model if row and row.model_id else None
    starts = [files.start for files in list_attempts(home, run_id=run_id, skip_damaged=True)]
    return Told(
        home=home,
        card=read_card(home, run_id),
        params=_params(home, run_id),
        labels={name: value for start in starts for name, value in start.labels.items()},
        judgement=judgement,
        decision=standing[-1] if standing else None,
        spent=spent(home, run_id),
        model_id=model.id if model else "",
        stage=model.stage if model else "",
        reproduced=_reproduced(run_folder(home, run_id)),
        waived=row.waived if row else "",
    )


def _write_for_mirror(tracker: JsonlTracker, told: Told, *, settings: WandbTracking, workspace: Path) -> None:
    # Pages' facts bring much along that a run shown by local files alone has no use for.
    from interlock.runs.review.facts import hit_rate, query_texts

    measured = read_archived(told.models, run_id=told.card.run_id)
    if told.judgement:
        tracker.table(gate_table(told.judgement))
    for alert in alerts(told):
        tracker.alert(alert)
    texts = query_texts(told.card, told.home, workspace=workspace) if settings.item_rows else {}
    items = item_table(told, measured, metric=hit_rate(measured), limit=settings.item_rows, texts=texts)
    if items is not None:
        tracker.table(items)
    tracker.close()
    points = CurveReader(run_tracking(told.home, told.card.run_id)).points(ended=True)
    for chart in charts(measured, points):
        tracker.chart(chart)
    tracker.lineage(lineage(told, models=settings.models))


def _reproduced(run: Path) -> str:
    """The level of the newest reproduction; its folders are named by time."""
    newest = max((run / "reproductions").glob("*/reproduction.json"), default=None)
    return Reproduction.model_validate_json(newest.read_bytes()).level if newest else ""


def _params(home: Path, run_id: str) -> dict[str, Any]:
    """The configuration that the run's stages read, which may be older than what is composed now."""
    records = sorted((run_folder(home, run_id) / "models" / RECORDS).glob("*.json"))
    folders = [*statements(home, run_id, JUDGEMENTS)[-1:], *statements(home, run_id, DECISIONS)[-1:]]
    params: dict[str, Any] = {}
    for path in (*records, *(folder / "record.json" for folder in folders)):
        if path.is_file():  # a judgement made by hand has no record
            params = _merged(params, StageRecord.model_validate_json(path.read_bytes()).params)
    return params


def _merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in over.items():
        both = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
        merged[key] = _merged(merged[key], value) if both else value
    return merged
