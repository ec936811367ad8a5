"""Run an archived run again from its card, in a folder and a home of its own, and say how equal the result is.

    preconditions (configuration, data, code, environment) -> stages, one process each -> comparison with the archive

The configuration comes from the archived stage records, the code from the workspace or from the commit that still has
the recorded digest, the data from its source. Nothing of the project is written but the result, beside the run
(`interlock.contracts.reproduction`). Judgements and decisions are not repeated here: they follow from the measurements,
and `interlock judge RUN` makes them again without training.
"""

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from interlock.contracts.card import RunCard
from interlock.contracts.reproduction import (
    Level,
    MetricDifference,
    Reproduction,
    StageComparison,
    Tolerances,
    WeightsDifference,
)
from interlock.contracts.stage import Observations, StageName, StageRecord
from interlock.errors import ProvenanceError, RegistryError, StageError
from interlock.lanes.spec import Progress
from interlock.provenance.canonical import plain, sha256_json
from interlock.provenance.environment import environment, host_name
from interlock.provenance.files import write_atomic, write_json
from interlock.registry.archive import read_card
from interlock.registry.layout import MODEL_STAGES, RECORDS, id_folder, run_folder
from interlock.runs.reproduction.code_roots import CodeRoot, commit_root, has_commit, run_stage_at, workspace_root
from interlock.runs.reproduction.differing_stages import (
    MEASURED_BY,
    ArchivedStage,
    Found,
    compare_metrics,
    compare_stage,
)
from interlock.runs.reproduction.inputs import give_inputs
from interlock.stages.place import Place, load_record

REPRODUCTIONS = "reproductions"
REPRODUCTION = "reproduction.json"
_CURRENT_CODE = "give --with-current-code to run the workspace's code instead; the result then says so"


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What will run: checked, before anything does."""

    card: RunCard
    archived: Mapping[StageName, ArchivedStage]
    """The stages to run again, in order."""
    roots: Mapping[StageName, CodeRoot]
    """Whose code each of them runs."""
    caveats: tuple[str, ...]
    """Why equal bits are not promised."""
    with_current_code: bool
    tolerances: Tolerances


def reproduce(
    home: Path,
    run_id: str,
    *,
    workspace: Path,
    scratch: Path,
    last: StageName = "export",
    with_current_code: bool = False,
    tolerances: Tolerances | None = None,
    progress: Progress,
) -> tuple[Reproduction, Path]:
    """Run the stages up to `last` again inside the empty folder `scratch`; returns the result and where it is kept.

    The caller has verified the archived run. Raises ProvenanceError when the data differs, StageError when the code is
    not at hand or a stage fails, RegistryError for a run without a card. Only a finished comparison is written.
    """
    started, clock = datetime.now(UTC), time.monotonic()
    card = read_card(home, run_id)
    archived = {stage: item for stage, item in archived_stages(home, card).items() if _is_up_to(stage, last)}
    place = _place(workspace, scratch, card, archived)
    give_inputs(home, place.folder, (item.record for item in archived.values()))
    with ExitStack() as stack:
        plan = _plan(stack, place, scratch, card, archived, with_current_code, tolerances or Tolerances())
        for caveat in plan.caveats:
            progress.message(f"equal bits are not promised: {caveat}")
        compared = tuple(_run_again(plan, place, scratch, progress))
    result = _result(plan, place, compared, started=started, duration_s=time.monotonic() - clock)
    return result, _keep(home, result, started)


def archived_stages(home: Path, card: RunCard) -> dict[StageName, ArchivedStage]:
    """The archived stage records of a run, with the commit each was made at. Raises RegistryError."""
    folder = run_folder(home, card.run_id)
    found: dict[StageName, ArchivedStage] = {}
    for stage in MODEL_STAGES:
        skipped = ".skipped" if card.stages[stage].status == "skipped" else ""
        path = folder / "models" / RECORDS / f"{stage}{skipped}.json"
        try:
            record = StageRecord.model_validate_json(path.read_bytes())
        except (OSError, ValidationError) as error:
            raise RegistryError(
                "the archived record cannot be read", path=path, hint="interlock verify says what else is wrong"
            ) from error
        commit, dirty = _made_at(folder, card, stage)
        found[stage] = ArchivedStage(
            record=record, models=folder / "models", card=card, git_commit=commit, git_dirty=dirty
        )
    return found


def _made_at(folder: Path, card: RunCard, stage: StageName) -> tuple[str, bool]:
    """Commit of the stage's execution and whether its workspace was dirty; training's, where that is not kept."""
    attempt = id_folder(folder / "attempts", card.observations.attempts[stage])
    try:
        seen = Observations.model_validate_json((attempt / f"{stage}.observations.json").read_bytes())
    except (OSError, ValidationError):
        return card.git_commit, bool(card.observations.git_dirty)
    return seen.git_commit or "", bool(seen.git_dirty)


def _is_up_to(stage: StageName, last: StageName) -> bool:
    return MODEL_STAGES.index(stage) <= MODEL_STAGES.index(last)


def _place(workspace: Path, scratch: Path, card: RunCard, archived: Mapping[StageName, ArchivedStage]) -> Place:
    """Write the configuration that the records carry."""
    config: dict[str, Any] = {}
    for item in archived.values():
        if sha256_json(item.record.params) != item.record.params_sha256:
            raise ProvenanceError(
                "the archived record does not carry the configuration that the stage read",
                path=item.models / RECORDS,
                key=item.record.stage,
                hint="this run cannot be repeated from its card alone; run it again: dvc repro",
            )
        _merge(config, item.record.params)
    params = scratch / "params.yaml"
    write_atomic(params, yaml.safe_dump(plain(config), sort_keys=True, allow_unicode=True))
    return Place(workspace=workspace, folder=scratch / "lane", params=params, lane=card.lane)


def _merge(target: dict[str, Any], values: Mapping[str, Any]) -> None:
    """Top level and `lane.*`: deeper, two stages see the same."""
    for key, value in values.items():
        if key == "lane" and isinstance(value, Mapping):
            target.setdefault(key, {}).update(value)
        else:
            target[key] = value


def _plan(
    stack: ExitStack,
    place: Place,
    scratch: Path,
    card: RunCard,
    archived: Mapping[StageName, ArchivedStage],
    with_current_code: bool,
    tolerances: Tolerances,
) -> Plan:
    home = scratch / "home"
    roots = [workspace_root(place, home)]
    commits = dict.fromkeys(item.git_commit for item in archived.values() if item.git_commit)
    for commit in () if with_current_code else commits:
        if all(any(_fits(item, root) for root in roots) for item in archived.values()):
            break
        found = stack.enter_context(commit_root(place, commit, folder=scratch, home=home))
        roots += [found] if found else []
    chosen = {stage: _choose(item, roots, with_current_code) for stage, item in archived.items()}
    missing = [stage for stage, root in chosen.items() if root is None]
    if missing:
        raise _no_code(missing, archived, place.workspace)
    known = {stage: root for stage, root in chosen.items() if root is not None}
    _require_data(archived["prepare"], known["prepare"])
    return Plan(
        card=card,
        archived=archived,
        roots=known,
        caveats=tuple(_caveats(card, archived, known)),
        with_current_code=with_current_code,
        tolerances=tolerances,
    )


def _fits(item: ArchivedStage, root: CodeRoot, *, environment_too: bool = True) -> bool:
    key = root.keys[item.record.stage]
    return key["code_sha256"] == item.record.code_sha256 and (
        not environment_too or key["lock_sha256"] == item.record.lock_sha256
    )


def _choose(item: ArchivedStage, roots: Sequence[CodeRoot], with_current_code: bool) -> CodeRoot | None:
    """The first folder with the run's code and environment, else the first with its code."""
    for environment_too in (True, False):
        for root in roots:
            if _fits(item, root, environment_too=environment_too):
                return root
    return roots[0] if with_current_code else None


def _no_code(missing: Sequence[StageName], archived: Mapping[StageName, ArchivedStage], workspace: Path) -> StageError:
    item = archived[missing[0]]
    commit = item.git_commit
    if not commit:
        why, way = "it was made without git", ""
    elif not has_commit(workspace, commit):
        why, way = f"its commit {commit[:12]} is not in this repository", "fetch that commit; or "
    elif item.git_dirty:
        why, way = f"it ran with changes that commit {commit[:12]} does not hold", ""
    else:
        why = f"commit {commit[:12]} holds other code (another lane package may be installed)"
        way = "install the lane's package as it was; or "
    return StageError(
        f"the code of {', '.join(missing)} is no longer the run's: {why}",
        path=workspace,
        hint=way + _CURRENT_CODE,
    )


def _require_data(item: ArchivedStage, root: CodeRoot) -> None:
    wanted, found = item.record.sources_sha256, root.keys["prepare"]["sources_sha256"]
    if wanted == found:
        return
    problem = "is missing" if found is None else "is not what the run read"
    raise ProvenanceError(
        f"the data that prepare reads {problem}: its digest is {found or 'none'}",
        path=item.models / RECORDS / "prepare.json",
        key="sources_sha256",
        value=wanted,
        hint="restore the data as it was (dvc checkout, dvc pull, the same package versions) and call again",
    )


def _caveats(
    card: RunCard, archived: Mapping[StageName, ArchivedStage], roots: Mapping[StageName, CodeRoot]
) -> Iterator[str]:
    other_code = [stage for stage, root in roots.items() if not _fits(archived[stage], root, environment_too=False)]
    if other_code:
        yield f"the code of {', '.join(other_code)} is the workspace's, not the run's"
    if any(root.keys[stage]["lock_sha256"] != archived[stage].record.lock_sha256 for stage, root in roots.items()):
        yield "the lock or the installed packages are not those of the run"
    now = environment()
    for name in sorted(set(now) & set(card.env)):
        if now[name] != card.env[name] and name not in ("os", "platform", "cpu_model", "cpu_isa"):
            yield f"{name.replace('_', ' ')} was {card.env[name] or 'absent'} and is {now[name] or 'absent'}"
    threads, processors = card.hardware.get("threads"), os.cpu_count() or 1
    if isinstance(threads, int) and threads > processors:
        yield f"the run used {threads} threads and this machine has {processors} processors"
    if card.reproducibility == "seeded":
        yield "the run allowed operations that are not deterministic (hardware.deterministic=false)"


def _run_again(plan: Plan, place: Place, scratch: Path, progress: Progress) -> Iterator[tuple[StageComparison, Found]]:
    """Run and compare stage by stage; training on other data would say nothing, so that ends it."""
    for stage, item in plan.archived.items():
        root = plan.roots[stage]
        progress.message(f"{stage}: running again with the code of {root.name}")
        here = Place(workspace=root.folder, folder=place.folder, params=place.params, lane=place.lane)
        run_stage_at(root.folder, here, stage, home=scratch / "home")
        compared = compare_stage(item, place.folder, root, plan.tolerances)
        yield compared
        if stage == "prepare" and compared[0].differing:
            return


def _result(
    plan: Plan, place: Place, compared: Sequence[tuple[StageComparison, Found]], *, started: datetime, duration_s: float
) -> Reproduction:
    stages = tuple(stage for stage, _ in compared)
    first = next((found.first for _, found in compared if found.first), None)
    weights = tuple(item for _, found in compared for item in found.weights)
    ran = {stage.stage for stage in stages}
    trained = load_record(place.folder / "train").run_id if "train" in ran else None
    metrics: tuple[MetricDifference, ...] = ()
    if any(stage.differing for stage in stages) and trained and MEASURED_BY in ran:
        metrics = compare_metrics(plan.archived, place.folder, run_id=trained, stages=ran)
    return Reproduction(
        run_id=plan.card.run_id,
        level=_level(stages, weights, metrics, plan.tolerances),
        reproduced_run_id=trained,
        is_promised=not plan.caveats,
        caveats=plan.caveats,
        first_difference=first,
        stages=stages,
        weights=weights,
        metrics=metrics,
        tolerances=plan.tolerances,
        with_current_code=plan.with_current_code,
        started_at=started.isoformat(timespec="seconds"),
        duration_s=round(duration_s, 3),
        host=host_name(),
        environment=environment(),
    )


def _level(
    stages: Sequence[StageComparison],
    weights: Sequence[WeightsDifference],
    metrics: Sequence[MetricDifference],
    tolerances: Tolerances,
) -> Level:
    if not any(stage.differing for stage in stages):
        return "bit_exact"
    tolerable = all(stage.tolerated for stage in stages)
    tolerable = tolerable and all(item.largest_relative <= tolerances.weights for item in weights)
    tolerable = tolerable and all(
        item.absolute is not None and item.absolute <= tolerances.metrics * max(1.0, abs(item.archived or 0.0))
        for item in metrics
        if item.archived is not None or item.reproduced is not None
    )
    return "within_tolerance" if tolerable else "differs"


def _keep(home: Path, result: Reproduction, started: datetime) -> Path:
    """Write the result into a folder of its own; an earlier one is never touched."""
    name = f"{started:%Y%m%dT%H%M%SZ}-{sha256_json(result)[:8]}"
    path = id_folder(run_folder(home, result.run_id) / REPRODUCTIONS, name) / REPRODUCTION
    write_json(path, result)
    return path
