"""The one table from a card's hyperparameters to keys of the configuration.

Beside the names of the table, every setting of `lane.model`, `lane.optimizer` and `lane.trainer` may be given by its
own name (`temperature`, `dimensions` ...). What decides whether training counts as converged is left out: a card may
tighten what is proven, never loosen it. Gates are asked for by acceptance checks, never by hyperparameters.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from interlock.errors import Fault
from interlock.provenance.dotted import lookup
from interlock.runs.jobs.card_yaml import CardText, Place
from interlock.runs.jobs.nearest import nearest
from interlock.runs.jobs.reading import fault_at
from interlock.runs.jobs.settings import Setting

KEYS: Mapping[str, str] = {
    "learning_rate": "lane.optimizer.lr",
    "weight_decay": "lane.optimizer.weight_decay",
    "scheduler": "lane.optimizer.schedule",
    "warmup": "lane.optimizer.warmup",
    "batch_size": "lane.trainer.batch_size",
    "micro_batch": "lane.trainer.micro_batch",
    "epochs": "lane.trainer.epochs",
    "early_stop_patience": "lane.trainer.early_stop_patience",
    "gradient_clip": "lane.trainer.gradient_clip",
    "checkpoint_every_epochs": "lane.trainer.checkpoint_every_epochs",
    "seed": "seed",
    "threads": "hardware.threads",
}
"""A card's name -> the key of the configuration."""

GROUPS: Mapping[str, str] = {"device": "hardware", "model": "model", "optimizer": "optimizer", "trainer": "trainer"}
"""A card's name -> the group of `conf/` that it chooses from."""

WORDS: Mapping[str, Mapping[str, Any]] = {
    "scheduler": {
        "CosineAnnealingLR": "cosine",
        "LinearLR": "linear",
        "ConstantLR": "constant",
    },
    "optimizer": {"AdamW": "adamw"},
    "device": {"gpu": "cuda", "CPU": "cpu", "CUDA": "cuda", "MPS": "mps"},
}
"""Names of torch and their like -> ours."""

_PARTS = ("lane.optimizer", "lane.trainer", "lane.model")
_HIDDEN = ("lane.trainer.converged",)


def group_settings(
    given: Mapping[str, Any], choices: Mapping[str, tuple[str, ...]], text: CardText
) -> tuple[list[Setting], list[Fault]]:
    """Choices of whole groups among the hyperparameters, and what is wrong with them."""
    settings, faults = [], []
    for name, value in given.items():
        if name not in GROUPS:
            continue
        options, chosen = choices.get(GROUPS[name], ()), _word(name, value)
        if chosen in options:
            settings.append(Setting(key=GROUPS[name], value=chosen, place=_place(name)))
        else:
            near = nearest(str(value), options)
            faults.append(fault_at(text, _place(name), "there is no such choice", allowed=options, nearest=near))
    return settings, faults


def key_settings(
    given: Mapping[str, Any], values: Mapping[str, Any], text: CardText
) -> tuple[list[Setting], list[Fault]]:
    """The other hyperparameters as keys that `values`, the lane's configuration, has."""
    known = known_names(values)
    settings, faults = [], []
    for name, value in given.items():
        if name in GROUPS:
            continue
        if name not in known:
            faults.append(_unknown(name, known, text))
        elif isinstance(value, dict | list):
            faults.append(fault_at(text, _place(name), "must be one value"))
        else:
            settings.append(Setting(key=known[name], value=_word(name, value), place=_place(name)))
    return settings, faults


def known_names(values: Mapping[str, Any]) -> dict[str, str]:
    """What may be set by a card of this lane: keys by name. A name that two parts share is left out."""
    table = {name: key for name, key in KEYS.items() if _has(values, key)}
    own: dict[str, list[str]] = {}
    for part in _PARTS:
        for name, key in _leaves(lookup(values, part), part):
            own.setdefault(name, []).append(key)
    return {**{name: keys[0] for name, keys in own.items() if len(keys) == 1}, **table}


def _unknown(name: str, known: Mapping[str, str], text: CardText) -> Fault:
    allowed = tuple(sorted({*known, *GROUPS}))
    lane = "this lane has no such hyperparameter"
    return fault_at(text, _place(name), lane, allowed=allowed, nearest=nearest(name, allowed))


def _leaves(node: Any, prefix: str) -> Iterator[tuple[str, str]]:
    for name, value in node.items() if isinstance(node, Mapping) else ():
        key = f"{prefix}.{name}"
        if name != "kind" and not isinstance(value, Mapping) and not key.startswith(_HIDDEN):
            yield str(name), key


def _has(values: Mapping[str, Any], key: str) -> bool:
    parent, _, name = key.rpartition(".")
    node = lookup(values, parent) if parent else values
    return isinstance(node, Mapping) and name in node


def _word(name: str, value: Any) -> Any:
    return WORDS.get(name, {}).get(value, value) if isinstance(value, str) else value


def _place(name: str) -> Place:
    return ("hyperparameters", name)
