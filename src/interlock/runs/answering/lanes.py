"""One lane of a job, read from its judgement; what its lane report says is shown, compared, and never believed.

    found = dvc_lane(workspace, "query_tower", environment=environment_digest(workspace))
    found = card_lane(home, workspace, "JOB-1")

Never raises for a lane that is unfinished, changed or contradicts itself: such a lane is `missing`, with a sentence
that says why. Does not fold lanes (`interlock.runs.answering.answering`).
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from interlock.contracts.decision import Decision
from interlock.contracts.lane_report import LaneReport
from interlock.contracts.stage import STAGES, Observations, StageRecord
from interlock.contracts.verdict import Cause, GateResult, Judgement, Verdict
from interlock.errors import InterlockError, ProvenanceError
from interlock.provenance.digest import sha256_file
from interlock.runs.jobs.answer import missing_artifacts, read_report
from interlock.runs.jobs.folder import REPORT, JobFolder
from interlock.runs.jobs.states import ENDED
from interlock.runs.sync import finished_stages
from interlock.stages.current import why_not_current
from interlock.stages.place import JUDGEMENT, OBSERVATIONS, Place, load_record

DECISION, LANE_REPORT = "decision.json", "lane_report.yaml"


@dataclass(frozen=True, kw_only=True)
class LaneFound:
    """A lane as it stands."""

    name: str
    """Name of the lane, or id of the job card."""
    problem: str = ""
    """Why it counts as missing; then everything below is empty."""
    judgement: Judgement | None = None
    judgement_text: str = ""
    decision: Decision | None = None
    decision_text: str = ""
    report: LaneReport | None = None
    """None where there is none that can be read."""
    remarks: tuple[str, ...] = ()
    """What contradicts itself, what is missing, what recovery changed."""
    missing_artifacts: tuple[str, ...] = ()
    """Files that a card expects and that the archive lacks."""

    @property
    def verdict(self) -> Verdict:
        """Its judgement's, unless files are missing that were asked for."""
        if self.judgement is None or (self.judgement.verdict is Verdict.PASS and self.missing_artifacts):
            return Verdict.BLOCKED
        return self.judgement.verdict

    def row(self) -> GateResult:
        """The lane as one row of the job."""
        verdict = self.verdict
        return GateResult(
            gate=self.name, metric=self.name, severity="block", verdict=verdict, cause=self._cause(),
            observed=None if self.judgement is None else float(verdict is Verdict.PASS), bound=None, target=None,
            comparison="is", unit="bool", n=None, method="plain", reason=f"{self.name}: {self._reason()}",
            evidence=f"lanes/{self.name}/{JUDGEMENT}#/verdict" if self.judgement else "",
        )  # fmt: skip

    def _cause(self) -> Cause | None:
        if self.verdict is not Verdict.BLOCKED:
            return None
        rows = self.judgement.rows if self.judgement else ()
        found = (row.cause for row in rows if row.cause is not None and row.severity != "advise")
        return next(found, Cause.MISSING)

    def _reason(self) -> str:
        if self.judgement is None:
            return self.problem
        if self.judgement.verdict is Verdict.PASS and self.missing_artifacts:
            return f"passes, and lacks what its card asks for: {', '.join(self.missing_artifacts)}"
        against = [
            row.reason
            for row in self.judgement.rows
            if row.severity != "advise" and row.verdict is self.judgement.verdict and row.verdict is not Verdict.PASS
        ]
        deciding = sum(row.severity != "advise" for row in self.judgement.rows)
        told = "; ".join(against) or f"{deciding} deciding gates of run {self.judgement.run_id}"
        return f"{self.judgement.verdict}: {told}"


def dvc_lane(workspace: Path, lane: str, *, environment: str) -> LaneFound:
    """The lane as DVC has it in the workspace; `environment` is the digest of the environment."""
    place = Place.of_workspace(workspace, lane)
    try:
        for stage in STAGES:
            if reason := why_not_current(stage, place, environment=environment):
                return LaneFound(name=lane, problem=f"{stage} is not up to date: {reason}; run dvc repro")
        return _read(lane, place, place.folder / "decide" / LANE_REPORT)
    except InterlockError as error:
        return LaneFound(name=lane, problem=_line(error))


def card_lane(home: Path, workspace: Path, job_id: str) -> LaneFound:
    """The lane of a job card. Raises UsageError for an unknown job."""
    job = JobFolder(home, job_id)
    record = job.record()
    try:
        if (state := job.state()) not in ENDED:
            return LaneFound(name=job_id, problem=f"the job is {state}; wait for it: interlock job status {job_id}")
        place = job.place(workspace)
        if "decide" not in finished_stages(place.folder):
            hint = f"interlock job status {job_id} says why"
            return LaneFound(name=job_id, problem=f"its stages have not finished, the job is {state}; {hint}")
        missing = missing_artifacts(record, home, str(load_record(place.folder / "judge").run_id))
        return _read(job_id, place, job.path / REPORT, missing=missing)
    except InterlockError as error:
        return LaneFound(name=job_id, problem=_line(error))


def _read(name: str, place: Place, report_path: Path, *, missing: tuple[str, ...] = ()) -> LaneFound:
    """What the stages judge and decide left, verified against their records. Raises StageError, ProvenanceError."""
    judged, decided = (load_record(place.folder / stage, verify=True) for stage in ("judge", "decide"))
    texts = [(place.folder / stage / file).read_text() for stage, file in (("judge", JUDGEMENT), ("decide", DECISION))]
    try:
        judgement, decision = Judgement.model_validate_json(texts[0]), Decision.model_validate_json(texts[1])
    except ValidationError as error:
        return LaneFound(name=name, problem=f"a record of judge or decide is not valid: {error.errors()[0]['msg']}")
    if problem := _parts(judgement, judged, decision, decided):
        return LaneFound(name=name, problem=problem)
    report, unreadable = _report(report_path)
    remarks = [*unreadable, *_contradictions(report, judgement, decision), *_changed(place, report_path)]
    remarks += [f"{name} lacks {path}, which its card asks for" for path in missing]
    remarks += report.remarks if report else ()
    return LaneFound(
        name=name, judgement=judgement, judgement_text=texts[0], decision=decision, decision_text=texts[1],
        report=report, remarks=tuple(dict.fromkeys(f"{name}: {told}" for told in remarks)), missing_artifacts=missing,
    )  # fmt: skip


def _parts(judgement: Judgement, judged: StageRecord, decision: Decision, decided: StageRecord) -> str:
    """Why judgement and decision do not belong together; empty where they do."""
    if judgement.judgement_id != judged.facts.get("judgement_id") or judgement.run_id != judged.run_id:
        return "the judgement is not the one that its stage recorded; run dvc repro"
    if decision.judgement_id != judgement.judgement_id or decision.decision_id != decided.facts.get("decision_id"):
        return "the decision is not about this judgement; run dvc repro"
    if decision.verdict is not judgement.verdict:
        return f"the decision says {decision.verdict}, the judgement {judgement.verdict}; run dvc repro"
    return ""


def _report(path: Path) -> tuple[LaneReport | None, list[str]]:
    if not path.is_file():
        return None, ["there is no lane report, so nobody says what it took"]
    try:
        return read_report(path), []
    except ProvenanceError:
        return None, ["its lane report cannot be read, so nobody says what it took"]


def _contradictions(report: LaneReport | None, judgement: Judgement, decision: Decision) -> list[str]:
    """Where a lane report says something else than the records that it is a report of."""
    if report is None:
        return []
    said: list[tuple[str, Any, Any]] = [
        ("run", report.run_id, judgement.run_id),
        ("verdict", report.verdict, judgement.verdict.value),
    ]
    found = [
        f"its lane report says {what} {one}, its judgement says {other}, and that counts"
        for what, one, other in said
        if one != other
    ]
    if report.state == "completed" and decision.action != "accept":
        found.append(f"its lane report says completed, its director decided {decision.action}, and that counts")
    return found


def _changed(place: Place, report: Path) -> list[str]:
    """A lane report of the decide stage whose bytes are not those that the stage wrote down."""
    path = place.folder / "decide" / OBSERVATIONS
    if report.parent != path.parent or not path.is_file() or not report.is_file():
        return []
    known = Observations.model_validate_json(path.read_text()).volatile_artifacts.get(report.name)
    is_same = known is None or known.sha256 == sha256_file(report)
    return [] if is_same else ["its lane report was changed after it was written"]


def _line(error: InterlockError) -> str:
    where = Path(str(error.path)).name if error.path else ""
    return f"{where}: {error.message}" if where else error.message
