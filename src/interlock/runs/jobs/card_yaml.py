"""Read a card's YAML into plain values, and remember on which line each of them stands.

Plain scalars mean what YAML 1.2 says: `1e-4` is a number (in PyYAML it is text), `on` and `yes` are words, `1:30` is no
number of seconds. Anchors, tags and keys that stand twice are refused: a card should read as it stands. Does not know
what a card is (`interlock.runs.jobs.reading`).
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from interlock.errors import ConfigError, Fault

Place = tuple[str | int, ...]
"""Where a value stands: `("acceptance", 0, "check")`."""

MAX_BYTES = 1 << 20
_MAX_DEPTH = 20
_HINT = "write one YAML mapping as UTF-8 text; examples/cards holds cards that work"
_YAML = "tag:yaml.org,2002:"
_TAGS = ("map", "seq", "null", "bool", "int", "float", "str", "timestamp", "merge", "value")
"""What PyYAML itself gives to values without a tag of their own."""
_NULL = re.compile(r"~|null|Null|NULL|")
_TRUE, _FALSE = re.compile(r"true|True|TRUE"), re.compile(r"false|False|FALSE")
_INT = re.compile(r"[-+]?[0-9]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")


@dataclass(frozen=True)
class CardText:
    """A card's content as JSON types, with the line of every value."""

    name: str
    """What the user calls it: the file's name."""
    values: dict[str, Any]
    lines: dict[Place, int] = field(default_factory=dict)
    """Line (from 1) by place; of a mapping's entry the line of its key."""

    def where(self, place: Place) -> str:
        """`card.yaml, line 12`: of the value, or of the nearest thing around it."""
        while place and place not in self.lines:
            place = place[:-1]
        return f"{self.name}, line {self.lines[place]}" if place in self.lines else self.name


def dotted(place: Place) -> str:
    """`acceptance.0.check`, as a person would say it: counted from 1."""
    return ".".join(str(part + 1) if isinstance(part, int) else part for part in place)


def read_card_text(data: bytes, name: str) -> CardText:
    """Read one document. Raises ConfigError with every fault of its form; of a syntax error there is only the first."""
    try:
        if len(data) > MAX_BYTES:
            raise _refused(name, f"is larger than {MAX_BYTES >> 10} KiB", name)
        node = yaml.compose(data.decode("utf-8"), Loader=yaml.SafeLoader)
    except UnicodeDecodeError as error:
        raise _refused(name, f"is not UTF-8 text: {error.reason} at byte {error.start + 1}", name) from error
    except yaml.MarkedYAMLError as error:
        raise _refused(name, f"is not YAML: {_said(error)}", _where(name, error.problem_mark)) from error
    except (yaml.YAMLError, RecursionError) as error:
        raise _refused(name, f"is not YAML: {' '.join(str(error).split())[:200]}", name) from error
    if not isinstance(node, yaml.MappingNode):
        raise _refused(name, "must be a mapping of keys such as id, role, lane and task", name)
    reader = _Reader(name)
    values = reader.read(node, ())
    if reader.faults:
        raise ConfigError(reader.faults, subject=f"card {name}", hint=_HINT)
    assert isinstance(values, dict)
    return CardText(name=name, values=values, lines=reader.lines)


class _Reader:
    """Walks the nodes; collects faults instead of stopping at the first."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.lines: dict[Place, int] = {}
        self.faults: list[Fault] = []
        self._seen: set[int] = set()

    def read(self, node: yaml.Node, place: Place) -> Any:
        self.lines.setdefault(place, node.start_mark.line + 1)
        if id(node) in self._seen or len(place) > _MAX_DEPTH:
            self._fault(node, place, "repeats another part by an anchor (&, *), or is nested too deeply; write it out")
            return None
        self._seen.add(id(node))
        if node.tag.removeprefix(_YAML) not in _TAGS:
            self._fault(node, place, f"has the tag {node.tag}, which cards do not have; leave it out")
            return None
        if isinstance(node, yaml.MappingNode):
            return dict(self._entries(node, place))
        if isinstance(node, yaml.SequenceNode):
            return [self.read(item, (*place, index)) for index, item in enumerate(node.value)]
        assert isinstance(node, yaml.ScalarNode)
        return self._scalar(node, place)

    def _entries(self, node: yaml.MappingNode, place: Place) -> Iterator[tuple[str, Any]]:
        seen: dict[str, int] = {}
        for key, value in node.value:
            line = key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarNode) or key.value == "<<":
                self._fault(key, place, "has a key that is no plain word")
                continue
            name = str(key.value)
            if name in seen:
                self._fault(key, (*place, name), f"stands twice, first on line {seen[name]}; keep one")
                continue
            seen[name] = line
            self.lines[(*place, name)] = line
            yield name, self.read(value, (*place, name))

    def _scalar(self, node: yaml.ScalarNode, place: Place) -> Any:
        text = str(node.value)
        if node.style is not None:
            return text
        if _NOT_FINITE.fullmatch(text):
            self._fault(node, place, f"is {text}, which is not a finite number")
            return None
        return _plain(text)

    def _fault(self, node: yaml.Node, place: Place, problem: str) -> None:
        key = dotted(place) or self.name
        self.faults.append(Fault(key=key, problem=problem, has_value=False, source=_where(self.name, node.start_mark)))


def _plain(text: str) -> Any:
    """What a scalar without quotes means."""
    if _NULL.fullmatch(text):
        return None
    if _TRUE.fullmatch(text) or _FALSE.fullmatch(text):
        return bool(_TRUE.fullmatch(text))
    if _INT.fullmatch(text) and len(text) < 20:
        return int(text)
    return float(text) if _FLOAT.fullmatch(text) and abs(float(text)) < 1e300 else text


def _said(error: yaml.MarkedYAMLError) -> str:
    return " ".join(" ".join(part.split()) for part in (error.context, error.problem) if part)


def _where(name: str, mark: Any) -> str:
    return f"{name}, line {mark.line + 1}, column {mark.column + 1}" if mark is not None else name


def _refused(name: str, problem: str, where: str) -> ConfigError:
    fault = Fault(key=name, problem=problem, has_value=False, source=where)
    return ConfigError([fault], subject=f"card {name}", hint=_HINT)
