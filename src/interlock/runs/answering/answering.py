"""Answer a job: fold its lanes, let the architect decide, write the answer down.

    answered = answer(home, lanes, configured)
    write(home, answered, made_at=...)

    <home>/answers/<job>/job_answer.yaml  decision.md        of the newest decision
                        /decisions/<decision id>/            every decision with all that it rests on
                        /<key>/<NNN>.json                    recorded answers of language models

A job is named after its lanes and their judgements: other judgements are another job. The verdict is folded from the
judgements, which are copied beside the decision; a lane report is believed in nothing but what it took.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from interlock.contracts.agent import Agent
from interlock.contracts.answer import Usage
from interlock.contracts.decision import Decision, DecisionContext, Evidence
from interlock.contracts.job_answer import JobAnswer, LaneAnswer
from interlock.contracts.lane_report import Actuals
from interlock.contracts.verdict import GateResult, fold
from interlock.decisions import journal, policies
from interlock.decisions.actions import allowed_actions
from interlock.decisions.answers import Answers
from interlock.decisions.asking import Asker
from interlock.decisions.evidence import evidence_id, pointer, render
from interlock.errors import ConfigError, Fault, UsageError
from interlock.provenance.attempts import run_lock
from interlock.provenance.canonical import plain, pretty_json, sha256_json
from interlock.provenance.files import write_atomic
from interlock.registry.derive import BY_HAND, DECISION, WHEN
from interlock.reports.decisions import DECISION_PAGE, decision_texts
from interlock.reports.lane_report import observed, state_of
from interlock.runs.answering.lanes import DECISION as LANE_DECISION
from interlock.runs.answering.lanes import LaneFound
from interlock.runs.deciding.configured import Configured
from interlock.runs.deciding.deciding import LOCK_WAIT_S, asker_of, ledger_of
from interlock.runs.deciding.recording import POLICY_FILE
from interlock.stages.place import JUDGEMENT

ANSWER_FILE, LANES_FILE = "job_answer.yaml", "lanes.json"
_NAME_MAX_CHARS = 60
_ROW_FIELDS = ("verdict", "observed", "reason")


@dataclass(frozen=True, kw_only=True)
class Answered:
    """A job that was answered just now."""

    job: str
    lanes: tuple[LaneFound, ...]
    context: DecisionContext
    decision: Decision
    answer: JobAnswer
    configured: Configured
    spent: Usage
    warnings: tuple[str, ...] = ()


def answer(home: Path, lanes: Sequence[LaneFound], configured: Configured, *, asker: Asker | None = None) -> Answered:
    """Let the architect decide. `asker` answers in place of the configured models.

    Raises UsageError for no lane or one that is named twice, ConfigError without an architect, NoDecisionError where
    nobody may decide, NotRecordedError for a replay without its answers.
    """
    _refuse_repeated(lanes)
    job, agent, ledger = job_name(lanes), architect(configured.agents), ledger_of(configured)
    with run_lock(home, f"answer-{job}", wait_s=LOCK_WAIT_S):
        context = job_context(job, lanes, agent=agent, max_attempts=configured.max_attempts)
        asked = asker or asker_of(configured, Answers(answers_folder(home, job)), ledger)
        decision = policies.build(agent, configured.agents, configured.llm, asked).decide(context)
    return Answered(
        job=job, lanes=tuple(lanes), context=context, decision=decision,
        answer=_answer(job, lanes, decision), configured=configured, spent=ledger.spent(), warnings=ledger.warnings(),
    )  # fmt: skip


def write(home: Path, answered: Answered, *, made_at: str) -> Path:
    """Write the answer and what it rests on; returns the job's folder. The same decision again changes nothing."""
    folder, decision = answers_folder(home, answered.job), answered.decision
    kept = folder / "decisions" / decision.decision_id
    texts = {
        **dict(_lane_texts(answered.lanes)),
        LANES_FILE: _lanes_text(answered.lanes),
        POLICY_FILE: answered.configured.policy_text,
        ANSWER_FILE: answer_text(answered.answer),
        WHEN: pretty_json({"at": made_at, "source": BY_HAND}),
        **decision_texts(decision, answered.context),
    }
    with run_lock(home, f"answer-{answered.job}", wait_s=LOCK_WAIT_S):
        if not (kept / DECISION).is_file():
            for name in sorted(texts, key=lambda name: (name == DECISION, name)):  # its presence means complete
                write_atomic(kept / name, texts[name])
        journal.write(home, decision)
        write_atomic(folder / DECISION_PAGE, (kept / DECISION_PAGE).read_bytes())
        write_atomic(folder / ANSWER_FILE, (kept / ANSWER_FILE).read_bytes())
    return folder


def answers_folder(home: Path, job: str) -> Path:
    """Where the answer to a job stands, and the recorded answers of the models that were asked."""
    return home / "answers" / job


def job_name(lanes: Sequence[LaneFound]) -> str:
    """The lanes' names and a digest of their judgements."""
    names = re.sub(r"[^A-Za-z0-9_.+-]+", "-", "+".join(lane.name for lane in lanes))[:_NAME_MAX_CHARS]
    return f"{names}-{_judged_sha256(lanes)[:8]}"


def architect(agents: Mapping[str, Agent]) -> str:
    """Who answers. Raises ConfigError unless exactly one agent is an architect."""
    found = [name for name, agent in agents.items() if agent.tier == "architect"]
    if len(found) != 1:
        fault = Fault(key="agents", problem="exactly one agent must be the architect", value=found)
        raise ConfigError([fault], subject="answer to a job", hint="set `tier: architect` on one agent in conf/agent")
    return found[0]


def job_context(job: str, lanes: Sequence[LaneFound], *, agent: str, max_attempts: int) -> DecisionContext:
    """What the architect decides upon."""
    rows = tuple(lane.row() for lane in lanes)
    verdict = fold(rows)
    evidence = [*_row_evidence(rows, _sha256(_lanes_text(lanes))), *(item for lane in lanes for item in _facts(lane))]
    return DecisionContext(
        kind="job",
        agent=agent,
        run_id="",
        judgement_id=_judged_sha256(lanes),
        lane="",
        job=job,
        verdict=verdict,
        rows=rows,
        evidence=tuple(sorted(evidence, key=lambda item: item.id)),
        current={},
        search_space={},
        attempts=1,
        max_attempts=max_attempts,
        allowed=allowed_actions(verdict, policy="rules", kind="job"),
    )


def answer_text(found: JobAnswer) -> str:
    """The answer as its file holds it."""
    text: str = yaml.safe_dump(plain(found), sort_keys=False, allow_unicode=True, width=120)
    return text


def _answer(job: str, lanes: Sequence[LaneFound], decision: Decision) -> JobAnswer:
    took = [lane.report.actuals for lane in lanes if lane.report is not None]
    return JobAnswer(
        job=job,
        verdict=decision.verdict,
        action=decision.action,
        decision_id=decision.decision_id,
        policy=decision.policy,
        reasons=tuple(render(item.text, decision.evidence) for item in decision.reasons),
        lanes=tuple(_lane_answer(lane) for lane in lanes),
        actuals=Actuals(
            tokens=sum(item.tokens for item in took) + decision.usage.tokens,
            duration_mins=round(sum(item.duration_mins for item in took), 2),
            compute_hours=round(sum(item.compute_hours for item in took), 4),
            cost_usd=round(sum(item.cost_usd for item in took) + decision.usage.usd, 6),
        ),
        managers_used=tuple(
            {name: f"{work} ({lane.name})"}
            for lane in lanes
            for managers in (lane.report.managers_used if lane.report else ())
            for name, work in managers.items()
        ),
        remarks=tuple(_remarks(lanes)),
    )


def _lane_answer(lane: LaneFound) -> LaneAnswer:
    judgement, report = lane.judgement, lane.report
    if judgement is None or lane.decision is None:
        return LaneAnswer(
            lane=lane.name, state="missing", run_id=None, verdict=lane.verdict, action="", judgement_sha256=None
        )
    action = lane.decision.action.value
    return LaneAnswer(
        lane=lane.name,
        state="failed" if lane.missing_artifacts else state_of(action),
        run_id=judgement.run_id,
        verdict=lane.verdict,
        action=action,
        judgement_sha256=_sha256(lane.judgement_text),
        artifacts=report.artifacts if report and report.run_id == judgement.run_id else (),
        acceptance_results={row.gate: observed(row) for row in judgement.rows},
        actuals=report.actuals if report else None,
        managers_used=report.managers_used if report else (),
    )


def _remarks(lanes: Sequence[LaneFound]) -> Iterator[str]:
    for lane in lanes:
        if lane.problem:
            yield f"{lane.name}: {lane.problem}"
        yield from lane.remarks


def _lanes_text(lanes: Sequence[LaneFound]) -> str:
    """The rows as they were decided upon, for pointers."""
    return pretty_json({"rows": [lane.row() for lane in lanes]})


def _lane_texts(lanes: Sequence[LaneFound]) -> Iterator[tuple[str, str]]:
    for lane in lanes:
        if lane.judgement is not None:
            yield f"lanes/{lane.name}/{JUDGEMENT}", lane.judgement_text
            yield f"lanes/{lane.name}/{LANE_DECISION}", lane.decision_text


def _row_evidence(rows: Sequence[GateResult], sha256: str) -> Iterator[Evidence]:
    for index, row in enumerate(rows):
        for field in _ROW_FIELDS:
            value = getattr(row, field)
            if value is not None:
                shown = str(value) if field == "verdict" else value
                at = pointer(LANES_FILE, "rows", index, field, sha256=sha256)
                yield Evidence(id=evidence_id("gate", row.gate, field), value=shown, pointer=at)


def _facts(lane: LaneFound) -> Iterator[Evidence]:
    """The lane's own gates and its director's decision, each from the record itself."""
    if lane.judgement is None or lane.decision is None:
        return
    file, sha256 = f"lanes/{lane.name}/{JUDGEMENT}", _sha256(lane.judgement_text)
    yield Evidence(
        id=evidence_id("lane", lane.name, "run_id"), value=lane.judgement.run_id,
        pointer=pointer(file, "run_id", sha256=sha256),
    )  # fmt: skip
    for index, row in enumerate(lane.judgement.rows):
        for field in ("verdict", "observed", "reason"):
            value = getattr(row, field)
            if value is not None:
                shown = str(value) if field == "verdict" else value
                at = pointer(file, "rows", index, field, sha256=sha256)
                yield Evidence(id=evidence_id("lane", lane.name, row.gate, field), value=shown, pointer=at)
    at = pointer(f"lanes/{lane.name}/{LANE_DECISION}", "action", sha256=_sha256(lane.decision_text))
    yield Evidence(id=evidence_id("lane", lane.name, "action"), value=lane.decision.action.value, pointer=at)


def _judged_sha256(lanes: Sequence[LaneFound]) -> str:
    """Digest of the lanes' judgements and decisions; of a missing one why."""
    found = [
        [lane.name, lane.problem, _sha256(lane.judgement_text), _sha256(lane.decision_text), lane.missing_artifacts]
        for lane in lanes
    ]
    return sha256_json({"scheme": "interlock-job-1", "lanes": found})


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _refuse_repeated(lanes: Sequence[LaneFound]) -> None:
    names = [lane.name for lane in lanes]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if not names or repeated:
        problem = "a lane answers once" if repeated else "a job has at least one lane"
        raise UsageError(problem, key="LANE", value=repeated or None, hint="name each lane or job card once")
