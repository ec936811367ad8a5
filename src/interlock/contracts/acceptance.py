"""Acceptance checks of cards: a small closed grammar, read by a parser of our own and never evaluated.

    check       :=  comparison | name
    comparison  :=  name operator number        echo_loop>=0.82    loss < 0.005
    operator    :=  ">=" | "<=" | ">" | "<"
    name        :=  letters, digits, "_" and "." (a measurement of the lane), beginning with a letter
    number      :=  a decimal number, as in 0.82, 5 or 1e-3

`parse_check` knows the form alone. Which names exist depends on the lane: `interlock.runs.jobs.demands` checks them and
turns checks into gates.
"""

import re
from dataclasses import dataclass
from typing import Literal

from interlock.errors import UsageError

Operator = Literal[">=", "<=", ">", "<"]

NAMED_CHECKS = (
    "training_loss_converged",
    "no_nan_inf",
    "checkpoints_saved",
    "splits_correct",
    "schema_valid",
    "model_loadable",
    "inference_test_passed",
)
"""Yes/no checks that every card may name."""

ALIASES = {"loss": "training_loss_final"}
"""What a name in a check stands for among the measurements."""

FORM = "METRIC>=NUMBER, METRIC<=NUMBER, METRIC>NUMBER, METRIC<NUMBER or the name of a check"
_NAME = r"[A-Za-z][A-Za-z0-9_]*(?:\.[A-Za-z0-9_]+)*"
_NUMBER = r"[-+]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?"
_TOKENS = re.compile(rf"\s*(?:(?P<name>{_NAME})|(?P<number>{_NUMBER})|(?P<operator>>=|<=|>|<)|(?P<other>\S))")
_SLIPS = {"≥": "write >= in plain characters", "≤": "write <= in plain characters", "=": "write >= or <="}
_MAX_CHARS = 200


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """`metric operator number`."""

    text: str
    """The check as it was written."""
    metric: str
    """The measurement that is meant, aliases resolved."""
    operator: Operator
    target: float
    """The number, in the measurement's own unit."""

    @property
    def is_at_least(self) -> bool:
        """Whether larger is better."""
        return self.operator in (">=", ">")


@dataclass(frozen=True, kw_only=True)
class NamedCheck:
    """A yes/no check."""

    text: str
    """The check as it was written."""
    name: str


Check = Comparison | NamedCheck


def parse_check(text: str) -> Check:
    """Read one check. Raises UsageError saying where it stops being one."""
    if len(text) > _MAX_CHARS:
        raise UsageError(f"is longer than {_MAX_CHARS} characters", value=text[:40] + "...", hint=f"write {FORM}")
    match _tokens(text):
        case [("name", name)]:
            return NamedCheck(text=text.strip(), name=name)
        case [("name", name), ("operator", operator), ("number", number)]:
            target = float(number)
            if abs(target) > 1e100:
                raise UsageError("compares with a number that is too large", value=text, hint="use a finite number")
            metric = ALIASES.get(name, name)
            return Comparison(text=text.strip(), metric=metric, operator=operator, target=target)  # type: ignore[arg-type]
        case []:
            raise UsageError("is empty", value=text, hint=f"write {FORM}")
        case tokens:
            raise UsageError(_why(tokens), value=text, hint=f"write {FORM}")


def _tokens(text: str) -> list[tuple[str, str]]:
    found, position = [], 0
    while position < len(text.rstrip()):
        match = _TOKENS.match(text, position)
        assert match is not None
        kind = str(match.lastgroup)
        if kind == "other":
            slip = _SLIPS.get(match[kind], f"write {FORM}")
            raise UsageError(
                f"has no place for {match[kind]!r} at character {match.start(kind) + 1}", value=text, hint=slip
            )
        found.append((kind, match[kind]))
        position = match.end()
    return found


def _why(tokens: list[tuple[str, str]]) -> str:
    kinds = [kind for kind, _ in tokens]
    if kinds[0] != "name":
        return f"must begin with the name of a metric or check, not with {tokens[0][1]!r}"
    if kinds[:2] == ["name", "operator"]:
        return "needs a number after the comparison" if len(kinds) == 2 or kinds[2] != "number" else (
            f"goes on after the comparison, with {tokens[3][1]!r}; write one check per line"
        )  # fmt: skip
    return f"needs a comparison after {tokens[0][1]!r}, not {tokens[1][1]!r}"
