"""Evidence: the facts a decision may cite, and text whose numbers come from them and from nowhere else.

`{gate.r_at_5.observed}` in a sentence is replaced by the fact of that id. A numeral outside a placeholder is refused,
because nobody could say where it came from. Does not cover numbers spelled out in letters.
"""

import re
from collections.abc import Iterable, Iterator, Mapping

from interlock.contracts.decision import Evidence, Number, Statement
from interlock.contracts.stage import STAGES
from interlock.contracts.verdict import GateResult, Judgement
from interlock.errors import DecisionError, Fault

Value = bool | int | float | str

_PLACEHOLDER = re.compile(r"\{([^\s{}]+)\}")
_ROW_FIELDS = ("metric", "observed", "bound", "other_bound", "target", "n", "n_needed", "reason", "on_failure")


def gather(
    judgement: Judgement,
    *,
    facts: Mapping[str, Value],
    current: Mapping[str, Number],
    attempts: int,
    max_attempts: int,
) -> tuple[Evidence, ...]:
    """All evidence of a decision, sorted by id.

    Args:
        judgement: Gives `gate.<name>.<field>` for every field that has a value, and `verdict`.
        facts: What the stages recorded, as `<stage>.<fact>`, e.g. `train.trend`.
        current: Present values of the search space's keys, as `search.<key>`.
        attempts: Judged runs of this lineage, as `lineage.attempts`.
        max_attempts: As `lineage.max_attempts`.
    """
    found = [Evidence(id="verdict", value=str(judgement.verdict), pointer="judgement.json#/verdict")]
    for index, row in enumerate(judgement.rows):
        found += _row_evidence(index, row)
    for name, value in facts.items():
        stage, _, fact = name.partition(".")
        if stage not in STAGES:  # a fact must not pass for a row of the judge
            raise DecisionError([Fault(key=name, problem="is no fact of a stage", value=value, allowed=STAGES)])
        found.append(Evidence(id=name, value=value, pointer=f"{stage}/record.json#/facts/{fact}"))
    found += [Evidence(id=f"search.{key}", value=value, pointer=f"params#/{key}") for key, value in current.items()]
    found.append(Evidence(id="lineage.attempts", value=attempts, pointer="registry#/attempts"))
    found.append(Evidence(id="lineage.max_attempts", value=max_attempts, pointer="params#/agents/policy/max_attempts"))
    return tuple(sorted(found, key=lambda item: item.id))


def render(text: str, evidence: Iterable[Evidence]) -> str:
    """Fill the placeholders. Raises DecisionError for a numeral, or a placeholder without evidence."""
    values = {item.id: item.value for item in evidence}
    faults = list(_text_faults(text, set(values), key="text"))
    if faults:
        raise DecisionError(faults, subject="text of a decision", hint="cite evidence as {id}; write no numbers")
    return _PLACEHOLDER.sub(lambda match: _shown(values[match.group(1)]), text)


def statement_faults(statement: Statement, evidence: Iterable[Evidence], *, key: str) -> Iterator[Fault]:
    """What is wrong with a sentence and its citations; nothing when all of it stands on the evidence."""
    known = {item.id for item in evidence}
    for cited in statement.evidence:
        if cited not in known:
            yield Fault(key=f"{key}.evidence", problem="cites evidence that does not exist", value=cited)
    yield from _text_faults(statement.text, known & set(statement.evidence), key=f"{key}.text")


def _row_evidence(index: int, row: GateResult) -> Iterator[Evidence]:
    pointer = f"judgement.json#/rows/{index}"
    yield Evidence(id=f"gate.{row.gate}.verdict", value=str(row.verdict), pointer=f"{pointer}/verdict")
    for field in _ROW_FIELDS:
        value = getattr(row, field)
        if value is not None and value != "":
            yield Evidence(id=f"gate.{row.gate}.{field}", value=value, pointer=f"{pointer}/{field}")


def _text_faults(text: str, citable: set[str], *, key: str) -> Iterator[Fault]:
    for name in _PLACEHOLDER.findall(text):
        if name not in citable:
            yield Fault(key=key, problem="has a placeholder without cited evidence", value=f"{{{name}}}")
    rest = _PLACEHOLDER.sub("", text)
    numerals = "".join(character for character in rest if character.isnumeric())
    if numerals:
        yield Fault(key=key, problem="has numerals of its own; numbers come from evidence", value=numerals)
    if "{" in rest or "}" in rest:
        yield Fault(key=key, problem="has a brace that belongs to no placeholder", value=text)


def _shown(value: Value) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
