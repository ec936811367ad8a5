"""What a policy is shown: facts with pointers, built by code from the files of a run and the settings in `conf/`.

    lane_context(sources, config)      the same bytes for the same run, in the decide stage and from the archive

    verdict  gate.<name>.<field>               what the judge said
    measure.<name>.{value,n}                   what was measured
    prepare.* train.* evaluate.* export.*      plain facts of the stages
    curve.<column>.{first,last,lowest}         the loss of the epochs, from `loss.csv`; `lowest_at` is where
    run.*                                      what is decided upon; the data is `prepare.dataset_sha256`
    lineage.*  search.<key>  bounds.<key>.*  budget.*         settings

A text is evidence where a fixed set of words or a digest must be behind it; every other text (names of data, sentences
of a lane) is a remark, which may be read and never cited. Faults that a training was healed of are no part of this:
they differ between two executions of one run, and the lane report tells them.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import TypeAdapter

from interlock.contracts.agent import Agent, AgentBudget
from interlock.contracts.decision import DecisionContext, Evidence, Remark
from interlock.contracts.lane import Range
from interlock.contracts.lineage import LineageBlock
from interlock.decisions.actions import allowed_actions
from interlock.decisions.evidence import evidence_id, pointer
from interlock.decisions.settings import Settings
from interlock.decisions.sources import CURVE, JUDGEMENT, MEASUREMENTS, Sources, handed_over
from interlock.errors import DecisionError, Fault
from interlock.provenance.canonical import canonical_json
from interlock.provenance.dotted import lookup

REMARK_CHARS_MAX = 2000
_ROW_FIELDS = (
    "verdict", "metric", "cause", "observed", "bound", "other_bound", "target", "n", "n_needed", "detectable", "reason",
    "on_failure",
)  # fmt: skip
_DIGEST = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_WORD = re.compile(r"[a-z]{1,12}")
"""A word such as `rising`: too short to tell anybody what to do."""
_AGENTS = TypeAdapter(dict[str, Agent])
_SPACE = TypeAdapter(dict[str, Range])


def lane_context(sources: Sources, config: Mapping[str, Any], *, policy: str = "rules") -> DecisionContext:
    """The context of a decision about a run.

    Args:
        sources: The run's files.
        config: Composed configuration with `agents`, `lane.search_space`, `max_attempts`, `lineage` and
            `recovery.gate_failures_max`; whatever else it holds is not looked at.
        policy: Name of who decides; a person has one action more.

    Raises DecisionError unless exactly one agent owns the stage decide.
    """
    agents = _AGENTS.validate_json(canonical_json(config["agents"]))
    agent = deciding_agent(agents)
    space = _SPACE.validate_json(canonical_json(config["lane"].get("search_space", {})))
    return build_context(
        sources,
        agent=agent,
        budget=agents[agent].budget,
        search_space=space,
        lineage=LineageBlock.model_validate_json(canonical_json(config["lineage"])),
        max_attempts=config["max_attempts"] or config["recovery"]["gate_failures_max"],
        policy=policy,
    )


def deciding_agent(agents: Mapping[str, Agent]) -> str:
    """The one agent that owns the stage decide. Raises DecisionError for none and for several."""
    owners = [name for name, agent in agents.items() if "decide" in agent.stages]
    if len(owners) != 1:
        fault = Fault(key="agents", problem="exactly one agent must own the stage decide", value=owners)
        raise DecisionError([fault], hint="set `stages: [decide]` on one agent in conf/agent")
    return owners[0]


def build_context(
    sources: Sources,
    *,
    agent: str,
    budget: AgentBudget | None,
    search_space: Mapping[str, Range],
    lineage: LineageBlock,
    max_attempts: int,
    policy: str = "rules",
) -> DecisionContext:
    """The same from settings that were read already; present values are those that training used."""
    judgement = sources.judgement
    current = {key: value for key in search_space if _is_number(value := lookup(sources.trained, key))}
    settings = Settings(
        agent=agent,
        attempts=lineage.attempt,
        max_attempts=max_attempts,
        parent_run=lineage.parent_run or "",
        current=current,
        search_space=dict(search_space),
        budget=budget,
    )
    found = [*_judged(sources), *_measured(sources), *_stated(sources), *_curve(sources), *settings.evidence()]
    return DecisionContext(
        agent=agent,
        run_id=judgement.run_id,
        judgement_id=judgement.judgement_id,
        lane=judgement.lane,
        verdict=judgement.verdict,
        rows=judgement.rows,
        evidence=tuple(sorted(found, key=lambda item: item.id)),
        remarks=tuple(_remarks(sources)),
        current=settings.current,
        search_space=settings.search_space,
        attempts=settings.attempts,
        max_attempts=settings.max_attempts,
        parent_run=settings.parent_run,
        budget=budget,
        allowed=allowed_actions(judgement.verdict, policy=policy),
    )


def _judged(sources: Sources) -> Iterator[Evidence]:
    digest, said = sources.sha256(JUDGEMENT), sources.document(JUDGEMENT)
    names = {"verdict": "verdict", "run_id": "run.id", "lane": "run.lane", "judgement_id": "run.judgement_id"}
    for field, name in names.items():
        yield Evidence(id=name, value=said[field], pointer=pointer(JUDGEMENT, field, sha256=digest))
    for index, row in enumerate(said["rows"]):
        for field in _ROW_FIELDS:
            if row[field] not in (None, ""):
                at = pointer(JUDGEMENT, "rows", index, field, sha256=digest)
                yield Evidence(id=evidence_id("gate", row["gate"], field), value=row[field], pointer=at)


def _measured(sources: Sources) -> Iterator[Evidence]:
    for name in MEASUREMENTS:
        if name not in sources.files:
            continue
        digest = sources.sha256(name)
        for index, item in enumerate(sources.document(name)["items"]):
            if item["value"] is not None:
                for field in ("value", "n"):
                    at = pointer(name, "items", index, field, sha256=digest)
                    yield Evidence(id=evidence_id("measure", item["name"], field), value=item[field], pointer=at)


def _stated(sources: Sources) -> Iterator[Evidence]:
    """Plain facts of the stages, by the names that the lane gives them."""
    for stage, facts in sources.facts.items():
        digest = sources.sha256(handed_over(stage))
        for name, value in facts.items():
            if _is_number(value) or isinstance(value, bool) or _is_closed(stage, value):
                at = pointer(handed_over(stage), "facts", name, sha256=digest)
                yield Evidence(id=evidence_id(stage, name), value=value, pointer=at)


def _curve(sources: Sources) -> Iterator[Evidence]:
    """First, last and lowest value of every column of losses, and where it was lowest."""
    rows = sources.document(CURVE) if CURVE in sources.files else []
    columns = [name for name in rows[0] if all(_is_number(row.get(name)) for row in rows)] if rows else []
    at = next((name for name in ("epoch", "step") if name in columns), None)

    def fact(name: str, index: int, column: str) -> Evidence:
        where = pointer(CURVE, index, column, sha256=digest)
        return Evidence(id=evidence_id("curve", column, name), value=rows[index][column], pointer=where)

    digest = sources.sha256(CURVE) if rows else ""
    for column in columns:
        if "loss" not in column:
            continue
        lowest = min(range(len(rows)), key=lambda index: rows[index][column])
        for name, index in (("first", 0), ("last", len(rows) - 1), ("lowest", lowest)):
            yield fact(name, index, column)
        if at is not None:
            place = pointer(CURVE, lowest, at, sha256=digest)
            yield Evidence(id=evidence_id("curve", column, "lowest_at"), value=rows[lowest][at], pointer=place)


def _remarks(sources: Sources) -> Iterator[Remark]:
    for stage, facts in sources.facts.items():
        for name, value in sorted(facts.items()):
            if isinstance(value, str) and value and not _is_closed(stage, value):
                cut = value if len(value) <= REMARK_CHARS_MAX else value[: REMARK_CHARS_MAX - 1] + "…"
                yield Remark(source=f"{stage}.{name}", text=cut)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_closed(stage: str, value: object) -> bool:
    """Whether a text can be evidence. What prepare says are names of data, however short."""
    if not isinstance(value, str):
        return False
    return _DIGEST.fullmatch(value) is not None or (stage != "prepare" and _WORD.fullmatch(value) is not None)
