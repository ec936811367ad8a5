"""Overrides made from the contracts of a lane: random valid ones in odd spellings, and mistyped ones.

Everything is drawn from a seeded `random.Random`, so that a failing case can be made again. Used by the tests of the
four doors; knows Hydra's grammar and YAML only as far as spelling goes, and composes nothing but the plain lane.
"""

import json
import random
import types
import typing
from dataclasses import dataclass

from interlock.config.compose import compose_lane
from interlock.config.known_keys import field_at
from interlock.config.params_file import spell
from interlock.config.validate import experiment_model
from interlock.lanes.catalog import find_lane

WORDS = (
    "plain", "two words", "yes", "off", "1e-4", "010", "1:30", "0x1F", "null", "True", "it's", 'say "so"', "a=b", "a,b",
    "[x]", "{y: 1}", "# no comment", "ünïcode", "tail\\", "back\\slash", "-dash", "~", "*star", "&and", "!bang", "@at",
    "%per", "?", "|", ">", "2026-01-02", "12:30:45", ".5", "5.", "inf", ".nan", "<<", "=", "", " padded ", "a: b",
    "1_0", "two\nlines", "tab\there",
)  # fmt: skip
"""Texts that some parser on the way may take for something else."""
_LEFT_ALONE = ("lane.kind", "experiment.name", "tracking", "llm", "lane.gates", "agents", "lane.search_space")
"""Keys whose values are names of code, or hang together; they get cases of their own."""


@dataclass(frozen=True)
class Setting:
    """One override: its key, its value, and the value's spelling in Hydra's grammar and in YAML."""

    key: str
    value: object
    hydra: str
    yaml: str


@dataclass(frozen=True)
class Mistake:
    """One mistyped override."""

    kind: str
    override: str
    right: str
    """What the message must offer after "did you mean"; empty for wrong values, whose key it must name."""
    key: str
    """The key as the message must name it."""


class Cases:
    """Draws overrides of one lane."""

    def __init__(self, conf, lane, seed):
        self.lane, self.draw = lane, random.Random(f"{lane}/{seed}")
        composition = compose_lane(conf, [f"lane={lane}"])
        self.values, self.groups = composition.values, composition.groups
        self.model = experiment_model(find_lane(self.values["lane"]["kind"]))
        self.fields = dict(self._leaves(self.values, ""))
        self.keys = [*self.fields, *self._parents(self.values, "")]

    def _leaves(self, node, prefix):
        for name, value in node.items():
            key = f"{prefix}{name}"
            if isinstance(value, dict):
                if key != "lane.search_space":
                    yield from self._leaves(value, f"{key}.")
            elif (field := field_at(self.model, key.split("."), self.values)) is not None:
                yield key, field

    def _parents(self, node, prefix):
        for name, value in node.items():
            if isinstance(value, dict):
                yield f"{prefix}{name}"
                if f"{prefix}{name}" != "lane.search_space":
                    yield from self._parents(value, f"{prefix}{name}.")

    # Random valid ones ------------------------------------------------------------------------------------------

    def settings(self):
        """One to five settings; now and then of a group, a list, or a key that the YAML leaves at its default."""
        keys = [key for key in self.fields if not key.startswith(_LEFT_ALONE)]
        made = [self._setting(key) for key in self.draw.sample(keys, self.draw.randint(1, 4))]
        extra = self.draw.random()
        if extra < 0.25:
            group = self._group()
            # In a tree, `hardware` is either the choice or a mapping; dotted keys have a test of their own.
            made = [setting for setting in made if not setting.key.startswith(f"{group.key}.")] + [group]
        elif extra < 0.5:
            made.append(self._severity())
        elif extra < 0.6:
            made.append(self._list())
        return made

    def _setting(self, key):
        return self._spelled(key, self._value(self.fields[key], self._current(key)))

    def _current(self, key):
        node = self.values
        for part in key.split("."):
            node = node[part]
        return node

    def _group(self):
        group = self.draw.choice(["hardware", "trainer", "optimizer"])
        stays = {"trainer": ("steps",), "optimizer": ("plain",)} if self.lane == "toy" else {}
        options = stays.get(group, self.groups[group])
        options = [name for name in options if self.lane == "toy" or name not in ("steps", "plain")]
        option = self.draw.choice(options)
        return Setting(group, option, option, option)

    def _severity(self):
        gate = self.draw.choice(sorted(self.values["lane"]["gates"]))
        return self._spelled(f"lane.gates.{gate}.severity", self.draw.choice(["advise", "block", "halt"]))

    def _list(self):
        agent = self.draw.choice(sorted(self.values["agents"]))
        words = self.draw.sample(WORDS, self.draw.randint(0, 3))
        return self._spelled(f"agents.{agent}.responsibilities", words)

    def _value(self, field, current):
        kinds, options = _kinds(field.annotation)
        if type(None) in kinds and self.draw.random() < 0.3:
            return None
        if options:
            return self.draw.choice(options)
        if bool in kinds:
            return self.draw.random() < 0.5
        if int in kinds:
            return self.draw.choice([current or 0, self.draw.randint(0, 9), self.draw.randint(0, 10**6)])
        if float in kinds:
            return self.draw.choice([1e-4, 1e-5, 0.5, 1.0, 2, 1e22, 0.1 + 0.2, self.draw.random(), -1.5, 3e-300])
        if str in kinds:
            return self.draw.choice(WORDS)
        return current

    def _spelled(self, key, value):
        """Pick a spelling that both grammars read alike; text is quoted in YAML whenever it might be something else."""
        if isinstance(value, bool):
            text = self.draw.choice([str(value).lower(), str(value), str(value).upper()])
            return Setting(key, value, text, text)
        if value is None:
            text = self.draw.choice(["null", "Null", "NULL"])
            return Setting(key, value, text, self.draw.choice([text, "~", ""]))
        if isinstance(value, int | float):
            text = self.draw.choice(_numbers(value))
            return Setting(key, value, text, text)
        if isinstance(value, str):
            return Setting(key, value, self._quoted(value), json.dumps(value, ensure_ascii=False))
        return Setting(key, value, spell(value), json.dumps(value, ensure_ascii=False))

    def _quoted(self, text):
        """Bare where that is the same, else in either kind of quotes."""
        bare = text.isascii() and text.isidentifier() and text.lower() not in ("null", "true", "inf", "nan", "false")
        if bare and self.draw.random() < 0.5:
            return text
        if "\\" not in text and '"' not in text and self.draw.random() < 0.5:
            return f'"{text}"'
        return spell(text)

    # Mistyped ones ----------------------------------------------------------------------------------------------

    def mistake(self):
        """One mistyped override of a random kind."""
        kinds = ("key",) * 5 + ("group", "choice", "enum", "type", "range", "gate", "short")
        while (found := getattr(self, f"_{self.draw.choice(kinds)}_mistake")()) is None:
            continue
        return found

    def _key_mistake(self):
        key = self.draw.choice([key for key in self.fields if not key.startswith("lane.search_space")])
        parts = key.split(".")
        place = self.draw.randrange(len(parts))
        wrong = ".".join([*parts[:place], self._typo(parts[place]), *parts[place + 1 :]])
        if wrong in self.keys or wrong in self.groups:
            return None
        return Mistake("key", f"{wrong}={spell(self._current(key))}", key, wrong)

    def _group_mistake(self):
        group = self.draw.choice(sorted(set(self.groups) - {"lane", "experiment"}))
        wrong = self._typo(group)
        if wrong in self.groups or wrong in self.values:
            return None
        return Mistake("group", f"{wrong}={self.draw.choice(self.groups[group])}", group, wrong)

    def _choice_mistake(self):
        group = self.draw.choice(sorted(self.groups))
        option = self.draw.choice(self.groups[group])
        wrong = self._typo(option)
        return None if wrong in self.groups[group] else Mistake("choice", f"{group}={wrong}", option, group)

    def _enum_mistake(self):
        keys = [key for key, field in self.fields.items() if _kinds(field.annotation)[1] and key != "lane.kind"]
        key = self.draw.choice(keys)
        options = [option for option in _kinds(self.fields[key].annotation)[1] if len(str(option)) > 2]
        if not options:
            return None
        option = self.draw.choice(options)
        wrong = self._typo(option)
        return None if wrong in options else Mistake("enum", f"{key}={wrong}", option, key)

    def _type_mistake(self):
        key = self.draw.choice(sorted(self.fields))
        kinds, options = _kinds(self.fields[key].annotation)
        if options or not kinds & {int, float, bool}:
            return None
        wrong = ["word", "'1'", "[1]", "{a: 1}", "1e", "0x1F", "''", *(["true"] if bool not in kinds else ["1", "0"])]
        wrong += ["1.5", "1e3"] if kinds <= {int, type(None)} else []
        return Mistake("type", f"{key}={self.draw.choice(wrong)}", "", key)

    def _range_mistake(self):
        key = self.draw.choice(sorted(self.fields))
        field = self.fields[key]
        value = _out_of_range(field, self.draw)
        return None if value is None else Mistake("range", f"{key}={spell(value)}", "", key)

    def _gate_mistake(self):
        gate = self.draw.choice(sorted(self.values["lane"]["gates"]))
        if self.draw.random() < 0.3:
            wrong = self._typo(gate)
            right, name = f"lane.gates.{gate}", f"lane.gates.{wrong}"
            return None if wrong in self.values["lane"]["gates"] else Mistake("gate", f"~{name}", right, name)
        metric = self.values["lane"]["gates"][gate].get("metric")
        if metric is None:
            return None
        key, wrong = f"lane.gates.{gate}.metric", self._typo(metric)
        return (
            None
            if wrong in find_lane(self.values["lane"]["kind"]).measurements
            else Mistake("gate", f"{key}={wrong}", metric, key)
        )

    def _short_mistake(self):
        """A key without its beginning: `optimizer.lr` for `lane.optimizer.lr`."""
        key = self.draw.choice([key for key in self.fields if key.startswith("lane.") and key.count(".") >= 2])
        wrong = key.split(".", 1)[1]
        if wrong.split(".")[0] in self.values or wrong.startswith("gates."):
            return None
        return Mistake("short", f"{wrong}={spell(self._current(key))}", key, wrong)

    def _typo(self, word):
        """Drop, double, swap or replace one letter, the first one last; digits stay, as another one is no typo."""
        letters = [at for at in range(1, len(word)) if word[at].isalpha()] or [0]
        while True:
            at = self.draw.choice(letters)
            doubled, dropped = word[:at] + word[at] + word[at:], word[:at] + word[at + 1 :]
            letter = self.draw.choice(_NEIGHBOURS[word[at].lower()])
            swapped = word[: at - 1] + word[at] + word[at - 1] + word[at + 1 :] if at > 1 else doubled
            wrong = self.draw.choice([doubled, dropped or doubled, swapped, word[:at] + letter + word[at + 1 :]])
            if wrong != word and wrong[:1].isalpha():
                return wrong


_NEIGHBOURS = {
    "a": "sq", "b": "vn", "c": "xv", "d": "sf", "e": "wr", "f": "dg", "g": "fh", "h": "gj", "i": "uo", "j": "hk",
    "k": "jl", "l": "k", "m": "n", "n": "bm", "o": "ip", "p": "o", "q": "wa", "r": "et", "s": "ad", "t": "ry",
    "u": "yi", "v": "cb", "w": "qe", "x": "zc", "y": "tu", "z": "x",
}  # fmt: skip


def _kinds(annotation):
    """The plain types an annotation takes, and its literal values."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return _kinds(arguments[0])
    if origin is typing.Literal:
        return {str}, list(arguments)
    if origin in (typing.Union, types.UnionType):
        found = [_kinds(argument) for argument in arguments]
        return set().union(*(kinds for kinds, _ in found)), [option for _, options in found for option in options]
    return ({annotation} if isinstance(annotation, type) else set()), []


def _numbers(value):
    """Spellings of one number that Hydra and YAML read alike."""
    plain = repr(value)
    texts = [plain]
    if isinstance(value, int):
        texts += [f"+{plain}"] if value >= 0 else []
        texts += [f"{value:_}"] if value >= 1000 else []
        return texts
    if value > 0:
        texts.append(f"+{plain}")
    for text in (f"{value:e}", f"{value:E}", f"{value:g}e0", plain.removeprefix("0")):
        try:
            if float(text) == value and text[:1] not in "e" and ("." in text or "e" in text.lower()):
                texts.append(text)
        except ValueError:
            pass
    return texts


def _out_of_range(field, draw):
    """A value just outside the bounds of a contract field; None where it has none."""
    kinds, _ = _kinds(field.annotation)
    whole = kinds <= {int, type(None)}
    found = []
    for item in _constraints(field):
        for name, step in (("ge", -1), ("gt", 0), ("le", 1), ("lt", 0)):
            bound = getattr(item, name, None)
            if bound is not None:
                found.append(bound + step if whole else bound + step * max(abs(bound) * 1e-6, 1e-9))
    return draw.choice(found) if found else None


def _constraints(field):
    yield from field.metadata
    for argument in typing.get_args(field.annotation):
        yield from getattr(argument, "__metadata__", ())
        for item in getattr(argument, "__metadata__", ()):
            yield from getattr(item, "metadata", ())
