"""What a language model may answer: the form of a proposal, its faults in sentences, and the decision that it becomes.

    form(context)                       a pydantic model with a schema that every provider takes
    proposal_faults(data, context)      everything that the guard would refuse; empty when the proposal holds
    as_decision(data, context, ...)     the proposal as a decision

A proposal is data and never trusted: it has no field for a verdict, an identity or a measured number. Values of
overrides are its only numbers. A placeholder of a sentence counts as cited, so that a model need not name it twice.
"""

from collections.abc import Collection, Iterator, Mapping
from copy import deepcopy
from functools import lru_cache
from typing import Any, Literal, cast

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError, create_model

from interlock.contracts.decision import Action, Decision, DecisionContext, Number, Statement, Step
from interlock.contracts.lane import Range
from interlock.decisions.actions import decision_faults
from interlock.decisions.policy import decided_upon, decision_id
from interlock.decisions.wording import PLACEHOLDER
from interlock.errors import Fault

STATEMENTS_MAX = 12
"""Reasons, and risks likewise, of one proposal."""
_CITED_MAX = 40
_WORD_MAX = 40
_Data = Mapping[str, Any]


class _Form(BaseModel):
    """Base of what models fill in: closed, and described by one flat schema."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    @classmethod
    def model_json_schema(cls, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """The schema without references, titles and `const`, which not every vendor takes; it asks for every field."""
        return deepcopy(_kept_schema(cls)) if not (args or kwargs) else cls._flat_schema(*args, **kwargs)

    @classmethod
    def _flat_schema(cls, *args: Any, **kwargs: Any) -> dict[str, Any]:
        schema = super().model_json_schema(*args, **kwargs)
        definitions = schema.pop("$defs", {})
        # The form's own title stays: instructor names the tool after it.
        return {"title": cls.__name__, **cast("dict[str, Any]", _flat(schema, definitions))}


@lru_cache(maxsize=64)
def _kept_schema(form: type[_Form]) -> dict[str, Any]:
    """Kept, for the prompt, the key, the budget and the client all ask for it."""
    return form._flat_schema()


class Sentence(_Form):
    """One sentence of plain English without numbers of its own."""

    text: str = Field(description="One sentence. Numbers only as {evidence id}; no numerals, no number words.")
    evidence: list[str] = Field(description="Ids from the evidence list that the sentence rests on, at least one.")


def form(context: DecisionContext) -> type[BaseModel]:
    """The answer's form: only what is allowed here can be said in it at all."""
    keys = tuple(sorted(context.search_space)) if Action.RETRAIN in context.allowed else ()
    return _form(_allowed(context), keys)


@lru_cache(maxsize=64)
def _form(allowed: tuple[str, ...], keys: tuple[str, ...]) -> type[BaseModel]:
    """Kept, for making one takes milliseconds and every check of an answer needs it."""
    fields: dict[str, Any] = {
        "action": (_one_of(allowed), Field(description="What to do.")),
        "reasons": (list[Sentence], Field(description="Why, the weightiest first; at least one.")),
        "risks": (
            list[Sentence],
            Field(default_factory=list, description="What may go wrong or stays open; may be empty."),
        ),
        "confidence": (Literal["low", "medium", "high"], Field(description="How sure you are that the action helps.")),
    }
    if keys:
        override = create_model(
            "Override",
            __base__=_Form,
            __doc__="A new value for one key of the search space.",
            key=(_one_of(keys), Field(description="A key of the search space.")),
            value=(float, Field(description="Its new value, inside the bounds.")),
        )
        said = "Only with action retrain, and then at least one; otherwise empty."
        fields["proposed_overrides"] = (list[override], Field(default_factory=list, description=said))
    return create_model("Proposal", __base__=_Form, __doc__="Your decision.", **fields)


def proposal_faults(data: _Data, context: DecisionContext, *, left_out: Collection[str] = ()) -> tuple[str, ...]:
    """Everything wrong with an answer, in sentences that help whoever wrote it; empty when it holds.

    `left_out`: evidence that its writer was not shown, and so cannot cite.
    """
    try:
        form(context).model_validate(dict(data))
    except ValidationError as error:
        return tuple(schema_fault(item) for item in error.errors())
    shown = context.model_copy(
        update={"evidence": tuple(item for item in context.evidence if item.id not in set(left_out))}
    )
    faults = [*_length_faults(data), *_override_faults(data, context)]
    if faults:
        return tuple(faults)
    try:
        decision = as_decision(data, shown, policy="llm", trail=(), answers=())
    except ValidationError as error:
        return tuple(schema_fault(item) for item in error.errors())
    return tuple(_sentence(fault) for fault in decision_faults(decision, shown))


def as_decision(
    data: Mapping[str, JsonValue] | _Data,
    context: DecisionContext,
    *,
    policy: str,
    trail: tuple[Step, ...],
    answers: tuple[str, ...],
) -> Decision:
    """The proposal as a decision, unguarded. Raises ValidationError for what no decision can say."""
    said = cast("_Data", data)
    reasons, risks = _statements(said["reasons"]), _statements(said.get("risks", ()))
    cited = {name for statement in (*reasons, *risks) for name in statement.evidence}
    return Decision(
        **decided_upon(context),
        decision_id=decision_id(context, policy=policy, answers=answers),
        action=Action(said["action"]),
        reasons=reasons,
        risks=risks,
        proposed_overrides={
            item["key"]: _number(item["value"], context.search_space.get(item["key"]))
            for item in said.get("proposed_overrides", ())
        },
        confidence=said["confidence"],
        policy=policy,
        trail=trail,
        evidence=tuple(item for item in context.evidence if item.id in cited),
    )


def _statements(said: Any) -> tuple[Statement, ...]:
    return tuple(
        Statement(
            text=item["text"], evidence=tuple(dict.fromkeys((*item["evidence"], *PLACEHOLDER.findall(item["text"]))))
        )
        for item in said
    )


def _number(value: Any, bounds: Range | None) -> Number:
    """A whole number for a key that takes only those: JSON and its readers do not tell 4 from 4.0."""
    if bounds is not None and bounds.integer and isinstance(value, float) and value.is_integer():
        return int(value)
    return cast("Number", value)


def _allowed(context: DecisionContext) -> tuple[str, ...]:
    return tuple(sorted(map(str, context.allowed)))


def _one_of(names: tuple[str, ...]) -> Any:
    return Literal[names]


def _length_faults(data: _Data) -> Iterator[str]:
    for field in ("reasons", "risks"):
        if len(data.get(field, ())) > STATEMENTS_MAX:
            yield f"{field}: too many; keep the weightiest {STATEMENTS_MAX}"
        for index, item in enumerate(data.get(field, ())):
            if len(item["evidence"]) > _CITED_MAX:
                yield f"{field}.{index}.evidence: too many; cite what the sentence rests on"
    if not data["reasons"]:
        yield "reasons: give at least one"


def _override_faults(data: _Data, context: DecisionContext) -> Iterator[str]:
    """What becomes invisible once overrides stand in a mapping."""
    keys = [item["key"] for item in data.get("proposed_overrides", ())]
    for key in sorted({key for key in keys if keys.count(key) > 1}):
        yield f"proposed_overrides: {key} is given more than once"


def schema_fault(item: Any) -> str:
    """An entry of a ValidationError in a sentence; of what is none of the words allowed also what was written."""
    said = f"{'.'.join(map(str, item['loc'])) or 'the answer'}: {item['msg'].removeprefix('Value error, ')}"
    is_word = item["type"] == "literal_error" and isinstance(item["input"], str)
    return f"{said}; you wrote {item['input'][:_WORD_MAX]!r}" if is_word else said


def _sentence(fault: Fault) -> str:
    text = f"{fault.key}: {fault.problem}"
    text += f"; you wrote {fault.value!r}" if fault.has_value and fault.value is not None else ""
    text += f"; did you mean {fault.nearest}" if fault.nearest else ""
    return text + (f"; allowed: {', '.join(fault.allowed)}" if fault.allowed else "")


def _flat(node: Any, definitions: Mapping[str, Any]) -> Any:
    if isinstance(node, list):
        return [_flat(item, definitions) for item in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        target = definitions[node["$ref"].rpartition("/")[2]]
        return _flat({**target, **{key: value for key, value in node.items() if key != "$ref"}}, definitions)
    kept = {key: value for key, value in node.items() if not (key == "title" and isinstance(value, str))}
    if "const" in kept:
        kept["enum"] = [kept.pop("const")]
    if "properties" in kept:
        kept["required"] = list(kept["properties"])
    return {key: _flat(value, definitions) for key, value in kept.items()}
