"""The evidence of a shadow: read, checked against the candidate and its raw files, and judged by the service levels.

    shadow = read_shadow(Path("shadow.json"), candidate, production=production, lane=lane)
    rows = level_rows(settings.service_levels, shadow, kind="query_tower", is_first=False)

A file of another candidate, of other bytes, or whose raw records differ from their digests is refused, because whoever
gave it meant something else. Numbers are compared with the configured levels here: the file holds no verdict.
"""

import contextlib
import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from interlock.contracts.release import Observation, ServiceLevel, ShadowReport
from interlock.contracts.verdict import Cause, GateResult, Verdict
from interlock.errors import ProvenanceError, UsageError
from interlock.gates.comparison import compare
from interlock.gates.statistics import Bounds
from interlock.provenance.digest import sha256_file
from interlock.provenance.files import inside
from interlock.runs.releasing.rows import blocked, compared, span, unmeasured
from interlock.runs.releasing.situation import Shadow
from interlock.runs.releasing.version import Version

SHADOW = "shadow.json"
"""Its name beside the decision."""
_SIZE_MAX_BYTES = 4 << 20


def read_shadow(path: Path, candidate: Version, *, production: Version | None, lane: str) -> Shadow:
    """Read a shadow report and check that it is about this candidate beside this production.

    Raises UsageError for a file that is none or speaks of other models, ProvenanceError where a raw record is missing
    or differs from its digest.
    """
    data = _bytes(path)
    _refuse_repeated(data, path)
    try:
        report = ShadowReport.model_validate_json(data)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        problem = first["msg"].removeprefix("Value error, ")
        raise UsageError(
            f"is no shadow report: {where}: {problem}", path=path, key="--evidence",
            hint="give the shadow.json that a shadow wrote; interlock.contracts.release.ShadowReport is its form",
        ) from error  # fmt: skip
    _refuse_other_models(report, path, candidate, production=production, lane=lane)
    _check_files(report, path)
    return Shadow(text=data.decode(), sha256=hashlib.sha256(data).hexdigest(), report=report)


def level_rows(
    levels: Mapping[str, ServiceLevel], shadow: Shadow | None, *, kind: str, is_first: bool
) -> Iterator[GateResult]:
    """A row `slo.<name>` for every level that applies to the lane's kind and to this release."""
    elsewhere = "beside_production" if is_first else "first_release"
    for name, level in sorted(levels.items()):
        if (level.lanes and kind not in level.lanes) or level.when == elsewhere:
            continue
        gate = f"slo.{name}"
        if shadow is None:
            yield unmeasured(
                gate, f"{level.metric} was observed in no shadow", severity=level.severity, unit=level.unit,
                on_failure="Run the candidate in shadow and give what it observed with --evidence.",
            )  # fmt: skip
            continue
        observation = shadow.report.observations.get(level.metric)
        yield _row(gate, level, observation, f"{SHADOW}#/observations/{level.metric}@sha256:{shadow.sha256}")


def _row(gate: str, level: ServiceLevel, seen: Observation | None, evidence: str) -> GateResult:
    if seen is None:
        return unmeasured(gate, f"the shadow report lacks {level.metric}", severity=level.severity, unit=level.unit)
    if seen.unit != level.unit:
        return _blocked(gate, level, Cause.UNIT, f"{level.metric} is in {seen.unit}, the level in {level.unit}")
    if level.confidence is not None and (seen.confidence is None or seen.confidence < level.confidence):
        has = f"bounds of {100 * seen.confidence:g} %" if seen.confidence else "no bounds"
        return _blocked(gate, level, Cause.NO_INTERVAL, f"{level.metric} has {has}, {100 * level.confidence:g} % asked")
    bounds = _bounds(level, seen)
    sign = ">=" if level.direction == "at_least" else "<="
    value, lower, upper = span(bounds)
    deciding = "" if bounds.confidence is None else f" ({lower} .. {upper})"
    reason = f"{level.metric} {value}{deciding} {level.unit}, asked {sign} {level.target:g}, n={seen.n}"
    verdict = compare(bounds, direction=level.direction, target=level.target)
    if seen.n < level.n_min:
        verdict, reason = Verdict.INCONCLUSIVE, f"{reason}: under the {level.n_min} that it takes, so it is held"
    return compared(
        gate, bounds, verdict, target=level.target, comparison=sign, unit=level.unit, reason=reason, evidence=evidence,
        severity=level.severity,
    )  # fmt: skip


def _bounds(level: ServiceLevel, seen: Observation) -> Bounds:
    """The observation's own bounds; the value itself where the level compares plainly."""
    if level.confidence is None:
        lower = upper = seen.observed
    else:
        lower = -math.inf if seen.lower is None else seen.lower
        upper = math.inf if seen.upper is None else seen.upper
    return Bounds(
        estimate=seen.observed, lower=lower, upper=upper, n=seen.n,
        confidence=None if level.confidence is None else seen.confidence,
        method="plain" if level.confidence is None else "as-observed",
    )  # fmt: skip


def _blocked(gate: str, level: ServiceLevel, cause: Cause, reason: str) -> GateResult:
    return blocked(gate, reason, cause=cause).model_copy(update={"severity": level.severity, "unit": level.unit})


def _bytes(path: Path) -> bytes:
    try:
        if path.stat().st_size > _SIZE_MAX_BYTES:
            raise UsageError("is too large for a shadow report", path=path, key="--evidence", hint="give its JSON file")
        return path.read_bytes()
    except OSError as error:
        raise UsageError(
            f"cannot be read: {error.strerror}", path=path, key="--evidence", hint="give the path of a shadow.json"
        ) from error


def _refuse_repeated(data: bytes, path: Path) -> None:
    """A name that is given twice says two things; JSON would silently take the last. What is no JSON is told later."""

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        names = [name for name, _ in pairs]
        if repeated := sorted({name for name in names if names.count(name) > 1}):
            raise UsageError(
                "contradicts itself: a name is given twice", path=path, key="--evidence", value=repeated[0],
                hint="keep the one that was observed",
            )  # fmt: skip
        return dict(pairs)

    with contextlib.suppress(ValueError, RecursionError):
        json.loads(data, object_pairs_hook=once)


def _refuse_other_models(
    report: ShadowReport, path: Path, candidate: Version, *, production: Version | None, lane: str
) -> None:
    wanted = {
        "lane": lane,
        "candidate_run": candidate.run_id,
        "candidate_sha256": candidate.model.sha256 if candidate.model else None,
        "production_run": production.run_id if production else None,
    }
    for key, value in wanted.items():
        if (found := getattr(report, key)) != value:
            raise UsageError(
                f"is evidence of another release: its {key} is not {value or 'empty'}", path=path, key="--evidence",
                value=found, hint="shadow this candidate beside the model that is in production now",
            )  # fmt: skip


def _check_files(report: ShadowReport, path: Path) -> None:
    for name, sha256 in report.files.items():
        file = inside(path.parent, name)
        if not file.is_file() or sha256_file(file) != sha256:
            problem = "differs from its digest" if file.is_file() else "is missing"
            raise ProvenanceError(
                f"a record that the shadow report rests on {problem}", path=file, value=sha256,
                hint="restore it from where the shadow ran, or shadow again",
            )  # fmt: skip
