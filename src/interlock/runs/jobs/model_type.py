"""Which kind of model a card is about: what it says in `model_type`, else what the words of its task say.

The words are rules, not guesses: a task that fits no kind, or more than one, is refused with the list of kinds.
"""

import re
from collections.abc import Mapping, Sequence

from interlock.errors import Fault
from interlock.runs.jobs.card_yaml import CardText
from interlock.runs.jobs.nearest import nearest
from interlock.runs.jobs.reading import fault_at

WORDS: Mapping[str, str] = {
    "query_tower": r"query[ _-]?towers?|query[ _-]encoders?",
    "reranker": r"re-?rank(er|ers|ing)?|cross-?encoders?",
    "directional_adapter": r"directional[ _-]adapters?|forward/backward|narrative order",
    "lvm": r"lvms?|latent vector models?|next[ _-]vectors?",
}
"""Words of a task by kind of model; a lane of one's own is known by its name."""


def model_type(text: CardText, lanes: Sequence[str]) -> tuple[str | None, list[Fault]]:
    """The lane that a card asks for, or why none can be told. `lanes` are the names that `conf/lane` offers."""
    named, task = text.values.get("model_type"), text.values.get("task")
    if named is not None:
        if isinstance(named, str) and (found := named.strip().lower().replace("-", "_").replace(" ", "_")) in lanes:
            return found, []
        near = nearest(str(named), lanes)
        return None, [fault_at(text, ("model_type",), "there is no such lane", allowed=tuple(lanes), nearest=near)]
    if not isinstance(task, str):
        return None, []  # told already
    found_in_task = [lane for lane in lanes if _is_meant(lane, task)]
    if len(found_in_task) == 1:
        return found_in_task[0], []
    said = f"speaks of {' and '.join(found_in_task)}" if found_in_task else "names no kind of model that is known"
    problem = f"{said}; say which one is meant: add model_type"
    return None, [fault_at(text, ("task",), problem, allowed=tuple(found_in_task or lanes))]


def _is_meant(lane: str, task: str) -> bool:
    words = WORDS.get(lane) or re.escape(lane).replace("_", "[ _-]")
    return re.search(rf"(?<![A-Za-z0-9])(?:{words})(?![A-Za-z0-9])", task, re.IGNORECASE) is not None
