"""A card's acceptance checks as gates: the gate with its confidence, tightened where the card asks for more.

    echo_loop>=0.85     a blocking gate with target 0.82      its target becomes 0.85
                        a blocking gate with target 0.9       refused: a card never loosens
    r_at_10>=0.7        an advisory gate                      a blocking one beside it, judged in the same way
    loss<0.005          no gate                               a blocking one is made; `loss` is training_loss_final
    no_nan_inf          a predicate gate                      that gate

`schema_valid` has no gate: a dataset that does not fit its schema is refused by prepare, whose record then is missing.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import inf, nextafter
from typing import Any

from interlock.contracts.acceptance import ALIASES, NAMED_CHECKS, Check, Comparison, NamedCheck, parse_check
from interlock.errors import Fault, UsageError
from interlock.runs.jobs.card_yaml import CardText, Place
from interlock.runs.jobs.nearest import nearest
from interlock.runs.jobs.reading import fault_at
from interlock.runs.jobs.settings import Setting

SCHEMA = "schema_valid"
_SHIPPED = ("model_loadable", "inference_test_passed", "onnx_matches_torch")
_UNITS = (("latency_", "ms"), ("epochs_", "count"))
_LOSSES = ("training_loss", "validation_loss")
_LOSS_UNITS = {"lvm": "1 - cosine"}
"""Unit of the training loss by kind of model; natural units of information for all others."""
_NO_INTERVAL = (*_LOSSES, "epochs_", "onnx_difference", "chance.")
"""Measurements that are one number without items to resample: they are compared as they are."""


@dataclass(frozen=True, kw_only=True)
class Demand:
    """A check, and the gate that answers it."""

    check: Check
    gate: str | None
    """Name of the gate; None for `schema_valid`, which the prepare record answers."""


@dataclass(frozen=True, kw_only=True)
class Demands:
    """All checks of a card."""

    demands: tuple[Demand, ...] = ()
    settings: tuple[Setting, ...] = ()
    """What they change in the gates."""
    faults: tuple[Fault, ...] = ()


def read_demands(text: CardText, *, kind: str, gates: Mapping[str, Any], measurements: Sequence[str]) -> Demands:
    """The checks of a card against a lane's gates.

    `kind` is the lane's kind, `measurements` are the names that it measures; empty: any.
    """
    demands, settings, faults = [], [], []
    known = _Known(kind, gates, measurements)
    for place, written in _written(text):
        try:
            check = parse_check(written)
        except UsageError:
            continue  # the contract has told
        fault = known.fault(check, place, text)
        if fault is not None:
            faults.append(fault)
            continue
        gate, value = known.answer(check)
        demands.append(Demand(check=check, gate=gate))
        if gate is not None and value is not None:
            settings.append(_setting(gate, value, place, is_new=gate not in gates))
            known.gates[gate] = value
    return Demands(demands=tuple(demands), settings=tuple(settings), faults=tuple(faults))


class _Known:
    """The lane's gates, as the checks so far have changed them."""

    def __init__(self, kind: str, gates: Mapping[str, Any], measurements: Sequence[str]) -> None:
        self._kind = kind
        self.gates: dict[str, Any] = dict(gates)
        self._measurements = set(measurements)
        self._checks = {gate["check"] for gate in gates.values() if gate["kind"] == "predicate"}
        self._named = {SCHEMA, *self._checks, *({*NAMED_CHECKS} & self._measurements or self._checks)}

    def fault(self, check: Check, place: Place, text: CardText) -> Fault | None:
        """Why the lane cannot answer a check."""
        if isinstance(check, NamedCheck):
            return None if check.name in self._named else self._unknown_name(check.name, place, text)
        if check.metric in self._checks or check.metric in NAMED_CHECKS:
            return fault_at(text, place, f"is a yes/no check, which is not compared; write {check.metric} alone")
        metrics = self._metrics()
        if metrics and check.metric not in metrics:
            allowed = tuple(sorted({*metrics, *ALIASES}))
            near = nearest(check.metric, allowed)
            return fault_at(text, place, "the lane measures nothing of that name", allowed=allowed, nearest=near)
        return self._loosening(check, place, text)

    def answer(self, check: Check) -> tuple[str | None, dict[str, Any] | None]:
        """The gate that answers a check, and what it becomes; None where it stays as it is."""
        if isinstance(check, NamedCheck):
            return self._named_gate(check.name)
        blocking, advising = self._beside(check)
        if blocking:
            name, gate = blocking[0]
            return name, _tightened(gate, check)
        pattern = advising[0][1] if advising else _new_gate(check, self._kind)
        name = f"card_{check.metric}_{'min' if check.is_at_least else 'max'}".replace(".", "_")
        asked = {"severity": "block", "family": None, "on_failure": _ASKED}
        return name, _tightened({**pattern, **asked}, check)

    def _metrics(self) -> set[str]:
        return self._measurements - self._checks - set(NAMED_CHECKS)

    def _unknown_name(self, name: str, place: Place, text: CardText) -> Fault:
        if ALIASES.get(name, name) in self._metrics():
            return fault_at(text, place, f"is a measurement, which needs a comparison; write {name}>=NUMBER")
        if name in NAMED_CHECKS:
            problem = "is a check that this kind of model does not make; leave it out"
            return fault_at(text, place, problem, allowed=tuple(sorted(self._named)))
        allowed = tuple(sorted({*self._named, *self._metrics(), *ALIASES}))
        return fault_at(text, place, "is no check that is known", allowed=allowed, nearest=nearest(name, allowed))

    def _beside(self, check: Comparison) -> tuple[list[tuple[str, Any]], list[tuple[str, Any]]]:
        """Threshold gates on the same metric in the same direction: those that block, and those that advise."""
        same = [item for item in self.gates.items() if _compares(item[1], check)]
        blocking = [item for item in same if _blocks(item[1])]
        return blocking, [item for item in same if item not in blocking]

    def _loosening(self, check: Comparison, place: Place, text: CardText) -> Fault | None:
        for name, gate in self._beside(check)[0]:
            looser = check.target < gate["target"] if check.is_at_least else check.target > gate["target"]
            if looser:
                sign = ">=" if check.is_at_least else "<="
                problem = (
                    f"would loosen the blocking gate {name}, which asks for {check.metric}{sign}{gate['target']:g}; "
                    "a card may tighten a gate, never loosen it: ask for at least as much, or leave it out"
                )
                return fault_at(text, place, problem)
        return None

    def _named_gate(self, name: str) -> tuple[str | None, dict[str, Any] | None]:
        if name == SCHEMA and SCHEMA not in self._checks:
            return None, None
        own = [(key, gate) for key, gate in self.gates.items() if gate["kind"] == "predicate" and gate["check"] == name]
        if blocking := [key for key, gate in own if _blocks(gate)]:
            return blocking[0], None
        phase = own[0][1].get("phase", "kpi") if own else "shipped" if name in _SHIPPED else "training"
        gate = {"kind": "predicate", "check": name, "severity": "block", "phase": phase, "on_failure": _ASKED}
        return f"card_{name}", gate


_ASKED = "The job card asks for it."


def _new_gate(check: Comparison, kind: str) -> dict[str, Any]:
    """A gate on something that the lane measures and has no gate for."""
    phase = "shipped" if check.metric.startswith(("latency_", "onnx_")) else "kpi"
    unit = next((unit for beginning, unit in _UNITS if check.metric.startswith(beginning)), "ratio")
    if check.metric.startswith(_LOSSES):
        unit = _LOSS_UNITS.get(kind, "nats")
    plain = check.metric.startswith(_NO_INTERVAL) or check.metric.endswith("_lift")
    return {
        "kind": "threshold",
        "metric": check.metric,
        "direction": "at_least" if check.is_at_least else "at_most",
        "unit": "cosine" if "echo_loop" in check.metric or "cosine" in check.metric else unit,
        "confidence": None if plain else 0.95,
        "n_min": 1,
        "phase": phase,
    }


def _tightened(gate: Mapping[str, Any], check: Comparison) -> dict[str, Any]:
    """The gate with the check's target. Gates know `at least` and `at most`: `<` means the number just below."""
    target = check.target
    if check.operator in ("<", ">"):
        target = nextafter(target, inf if check.operator == ">" else -inf)
    return {**gate, "target": target}


def _setting(gate: str, value: Mapping[str, Any], place: Place, *, is_new: bool) -> Setting:
    if is_new:
        return Setting(key=f"lane.gates.{gate}", value=dict(value), place=place)
    return Setting(key=f"lane.gates.{gate}.target", value=value["target"], place=place)


def _compares(gate: Mapping[str, Any], check: Comparison) -> bool:
    same = gate["kind"] == "threshold" and gate["metric"] == check.metric
    return bool(same and _is_at_least(gate) == check.is_at_least)


def _blocks(gate: Mapping[str, Any]) -> bool:
    return bool(gate.get("severity", "block") != "advise")


def _is_at_least(gate: Mapping[str, Any]) -> bool:
    return bool(gate["direction"] == "at_least")


def _written(text: CardText) -> Iterator[tuple[Place, str]]:
    listed = text.values.get("acceptance")
    for index, item in enumerate(listed if isinstance(listed, list) else []):
        if isinstance(item, dict) and isinstance(item.get("check"), str):
            yield ("acceptance", index, "check"), item["check"]
