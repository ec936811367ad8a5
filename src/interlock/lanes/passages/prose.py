"""Paragraphs of prose out of a docstring, in their order, with everything taken out that only formatting would say.

A docstring falls into blocks at its blank lines. A block is a paragraph of prose, or it leaves a hole with its reason:
two paragraphs are consecutive only where nothing stood between them. Taken out are headings with their underlines and
everything under headings of lists (parameters, returns, examples, references ...), field lists, code, literal and
quoted blocks, directives, bullet points and tables. From prose itself the markup is taken (backticks, roles, emphasis,
footnote marks), and the last full stop: summaries often lack it, which would tell them from what follows.

Knows the NumPy, Google and Sphinx styles. Does not parse reStructuredText: what looks like prose is taken as prose.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from interlock.lanes.retrieval.datasets.text_lines import encodes

CLEANING = (
    "headings and their underlines",
    "everything under headings of lists (parameters, returns, raises, attributes, examples, references, see also)",
    "field lists, code, literal blocks, directives, bullet points, tables",
    "paragraphs that do not begin with a capital, end in a colon or comma, or hold few plain words",
    "markup of roles, code, emphasis and footnotes; the full stop at the end",
    "passages shorter or longer than the configured words, never cut",
)
"""For the card: what is taken out."""

PLAIN_SHARE = 0.7
"""Least share of plain words among the words of a paragraph of prose."""

_LIST_HEADING = re.compile(
    r"(?:args|(?:key ?word )?arg(?:ument)?s|attributes|authors?|class(?:es)?|constants|(?:\w+ )?examples?(?: usage)?"
    r"|exceptions|functions|inputs?|methods|options|outputs?|(?:other )?param(?:eter)?s?|properties|raises?|receives"
    r"|references?|returns?|see also|shapes?|(?:\w+ )?signature|usage|warns|yields?)",
    re.IGNORECASE,
)
_UNDERLINE = re.compile(r"\s*([-=~^\"'`*+#_.])\1{2,}\s*")
_MARKER = re.compile(r"\s*[A-Z][A-Za-z]+(?: [A-Za-z]+){0,2}:\s*")
_NOT_PROSE = re.compile(r"\s*(?:>>>|\.\. |:\w[^:]*:|[-*+•] |\(?\d+[.)] |\||@\w|\$ |#|%)")
_ROLE = re.compile(r":[\w:+-]+:`~?!?([^`<]*?)\s*(?:<[^`]*>)?`")
_LINK = re.compile(r"`([^`<]+?)\s*<[^`>]*>`_{0,2}")
_CODE = re.compile(r"`+([^`]*)`+_{0,2}")
_EMPHASIS = re.compile(r"(?<!\w)\*{1,2}([^*\s](?:[^*]*[^*\s])?)\*{1,2}(?!\w)")
_FOOTNOTE = re.compile(r"\s*\[#?\w{1,12}\]_")
_PLAIN = re.compile(r"[\"'(]*[A-Za-z][A-Za-z'-]*[\"')]*[.,;:!?]*[\"')]*")
_SIGNATURE = re.compile(r"\w\s*\([^)]*\)\s*(?:->|$)|^[\w.]+\s*=")
_DEPRECATED = re.compile(r"\bdeprecated\b", re.IGNORECASE)


@dataclass(frozen=True)
class Hole:
    """Something between two paragraphs that is no prose."""

    reason: str


def paragraphs(docstring: str, *, min_words: int, max_words: int) -> Iterator[str | Hole]:
    """The blocks of a docstring (its indentation removed) in order: prose, or a hole with its reason.

    Nothing behind the blocks that are taken is looked at.
    """
    for block in _blocks(docstring):
        yield block if isinstance(block, Hole) else _paragraph(block, min_words, max_words)


def _blocks(docstring: str) -> Iterator[list[str] | Hole]:
    """Blocks of lines that may be prose, headings and what belongs to lists taken out."""
    reader = _Reader()
    for lines in _split(docstring.splitlines()):
        yield from reader.read(lines)


class _Reader:
    """Where in the docstring we are: inside a list's section, inside a literal block."""

    def __init__(self) -> None:
        self._list_indent: int | None = None
        self._literal_indent: int | None = None

    def read(self, lines: list[str]) -> Iterator[list[str] | Hole]:
        while (heading := _heading(lines)) is not None:
            place, length, indent = heading
            if before := lines[:place]:
                yield self._block(before)
            is_list = _LIST_HEADING.fullmatch(lines[place].strip().rstrip(":")) is not None
            self._list_indent = indent if is_list else None
            self._literal_indent = None
            yield Hole("heading")
            lines = lines[place + length :]
        if lines:
            yield self._block(lines)

    def _block(self, lines: list[str]) -> list[str] | Hole:
        indent = _indent(lines[0])
        if self._list_indent is not None:
            if self._list_indent < 0 or indent > self._list_indent:
                return Hole("list section")
            self._list_indent = None  # Google style: a section ends with its indentation
        if self._literal_indent is not None and indent > self._literal_indent:
            return Hole("code or literal block")
        ends_in_literal = lines[-1].rstrip().endswith("::") or lines[0].lstrip().startswith(".. ")
        self._literal_indent = indent if ends_in_literal else None
        return lines


def _split(lines: list[str]) -> Iterator[list[str]]:
    """Groups of lines between blank ones."""
    block: list[str] = []
    for line in [*lines, ""]:
        if line.strip():
            block.append(line)
        elif block:
            yield block
            block = []


def _heading(lines: list[str]) -> tuple[int, int, int] | None:
    """Place and lines of the first heading, and the indentation that its section ends with (-1: the next heading)."""
    for place, line in enumerate(lines):
        if _UNDERLINE.fullmatch(line):
            return (place, 1, -1)
        if place + 1 < len(lines) and _UNDERLINE.fullmatch(lines[place + 1]):
            return (place, 2, -1)
        if _is_list_marker(line) or (place == 0 and _MARKER.fullmatch(line)):
            return (place, 1, _indent(line))
    return None


def _is_list_marker(line: str) -> bool:
    name = line.strip()
    return name.endswith(":") and _LIST_HEADING.fullmatch(name.rstrip(":")) is not None


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _paragraph(lines: list[str], min_words: int, max_words: int) -> str | Hole:
    text = _without_markup(" ".join(" ".join(lines).split()))
    if reason := _refuse(lines, text):
        return Hole(reason)
    text = text.removesuffix(".")
    count = len(text.split())
    if count < min_words:
        return Hole("too short")
    return text if count <= max_words else Hole("too long")


def _refuse(lines: list[str], text: str) -> str | None:
    """Why a block is no paragraph of prose; None where it is one."""
    if any(_NOT_PROSE.match(line) for line in lines):
        return "list, code or markup"
    if not text or not text[0].isupper() or text[-1] in ":,;" or text.endswith(".."):
        return "does not begin or end as a sentence does"
    if _SIGNATURE.search(text) or _plain_share(text) < PLAIN_SHARE:
        return "few plain words"
    if _DEPRECATED.search(text):
        return "deprecated"
    return None if encodes(text) else "not valid Unicode"


def _without_markup(text: str) -> str:
    for pattern in (_ROLE, _LINK, _CODE, _EMPHASIS):
        text = pattern.sub(r"\1", text)
    return " ".join(_FOOTNOTE.sub("", text).split())


def _plain_share(text: str) -> float:
    words = text.split()
    return sum(_PLAIN.fullmatch(word) is not None for word in words) / len(words)
