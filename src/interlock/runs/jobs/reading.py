"""Turn a card's text into a `JobCard`, or into every fault that it has, each with file, line, key, value and way out.

    text, card, faults = read_job_card(data, "card.yaml")

What depends on the lane (metrics, hyperparameters, data) is checked by `interlock.runs.jobs.plan`, which goes on as far
as a faulty card allows, so that one reading names everything.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import ValidationError

from interlock.contracts.job import Acceptance, CardBudget, CardInput, ExpectedArtifact, JobCard
from interlock.errors import ConfigError, Fault
from interlock.runs.jobs.card_yaml import CardText, Place, dotted, read_card_text
from interlock.runs.jobs.nearest import nearest

_FIELDS: Mapping[str, tuple[str, ...]] = {
    "": tuple(JobCard.model_fields),
    "inputs": tuple(CardInput.model_fields),
    "expected_artifacts": tuple(ExpectedArtifact.model_fields),
    "acceptance": tuple(Acceptance.model_fields),
    "budget": tuple(CardBudget.model_fields),
}
"""Keys that are known at the top of a card and in its parts."""
_WORDS = {
    "tuple_type": "must be a list: one `- ` per line",
    "dict_type": "must be a mapping of keys",
    "model_type": "must be a mapping of keys",
    "string_type": "must be text; put it in quotes",
    "float_type": "must be a number",
    "string_pattern_mismatch": "is no usable name",
    "missing": "is required",
    "extra_forbidden": "is not a key of a card",
}
_SAY = {
    "role": "write `role: director`; manager cards are made from it",
    "id": "letters, digits, `_`, `.` and `-`, at most 80 of them",
    "parent_id": "letters, digits, `_`, `.` and `-`, at most 80 of them",
}


def read_job_card(data: bytes, name: str) -> tuple[CardText, JobCard | None, list[Fault]]:
    """The card's text, the card itself (None where it is not valid) and its faults.

    Raises ConfigError where the text cannot be read as one YAML mapping.
    """
    text = read_card_text(data, name)
    try:
        return text, JobCard.model_validate_json(json.dumps(text.values)), []
    except ValidationError as error:
        return text, None, list(_faults(error, text))


def fault_at(text: CardText, place: Place, problem: str, **more: Any) -> Fault:
    """A fault of the value at `place`, with its line and value."""
    value: Any = text.values
    try:
        for part in place:
            value = value[part]
    except (KeyError, IndexError, TypeError):
        return Fault(key=dotted(place), problem=problem, has_value=False, source=text.where(place), **more)
    shown = not isinstance(value, dict | list)
    return Fault(
        key=dotted(place) or "card",
        problem=problem,
        value=value if shown else None,
        has_value=shown,
        source=text.where(place),
        **more,
    )


def refusal(text: CardText, faults: list[Fault]) -> ConfigError:
    """One error with all of them, in the order of the file."""
    ordered = sorted({str(fault): fault for fault in faults}.values(), key=lambda fault: _line(fault.source))
    hint = "correct the card and submit it again; nothing was kept"
    return ConfigError(ordered, subject=f"card {text.name}", hint=hint)


def _line(source: str) -> int:
    found = re.search(r"line (\d+)", source)
    return int(found[1]) if found else 0


def _faults(error: ValidationError, text: CardText) -> Iterator[Fault]:
    for item in error.errors(include_url=False):
        place: Place = tuple(part for part in item["loc"] if part != "[key]")
        known = _FIELDS.get(str(place[0]) if len(place) > 1 else "", ())
        if item["type"] == "extra_forbidden":
            near = nearest(str(place[-1]), known)
            yield fault_at(text, place, _WORDS["extra_forbidden"], allowed=known, nearest=near)
        else:
            yield fault_at(text, place, _problem(item, place))


def _problem(item: Mapping[str, Any], place: Place) -> str:
    say = _SAY.get(str(place[-1])) if place else None
    words = _WORDS.get(item["type"]) or re.sub(r"^(Value error, |Input )", "", item["msg"])
    return f"{words}; {say}" if say else words
