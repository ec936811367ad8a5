"""What a sentence of a decision may be made of, and how it is written into Markdown.

A decision's numbers come from evidence, so its sentences hold none of their own: no numeral of any script (`BM25` and
`R@5` neither: cite `{gate.r_at_5.metric}`), and no cardinal number word, `two` .. `quadrillion`, `zero`, `dozen`.
Allowed, because they name no amount that could be believed: `one`, ordinals, `half`, `twice`, `a tenth`. Letters are
Latin, so that no look-alike spells a number word; control characters, directions, zero-width characters and line
breaks have no place in a sentence. Does not cover number words of other languages.
"""

import re
import unicodedata
from collections.abc import Iterator
from itertools import groupby

from interlock.errors import Fault

PLACEHOLDER = re.compile(r"\{([^\s{}]+)\}")

_TYPOGRAPHY = frozenset(
    "\u2018\u2019\u201c\u201d\u2013\u2014\u2026\u00b7\u00d7\u00b1\u2264\u2265\u2260\u2248\u2192\u00b0\u00a7\u00b5"
)
"""Quotation marks, dashes, the ellipsis, and a few signs."""
_LETTERS = frozenset("ßæœøłđðþÆŒØŁĐÐÞ")
"""Latin letters that do not decompose into an ASCII one."""
_STROKES = str.maketrans({"ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "æ": "ae", "œ": "oe"})
"""How the eye takes them in `twø` and `miłłion`."""
_CARDINALS = (
    "zero|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|thirteen|fourteen|fifteen|sixteen|seventeen|"
    "eighteen|nineteen|twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety|hundred|thousand|million|billion|"
    "trillion|quadrillion|dozen"
)
_NUMBER_WORD = re.compile(rf"(?<![a-z])(?:one)?(?:{_CARDINALS})+(?:one)?(?:e?s|fold)?(?![a-z])")
_JOINED = re.compile(r"[\w.,^+\-]\{[^\s{}]+\}|\{[^\s{}]+\}(?:[\w%^]|[^\w\s{}]*\{)")
"""A placeholder whose value would grow together with what stands beside it: `-{n}`, `{n}k`, `{n}%`, `{a}.{b}`."""
_INVISIBLE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})

_MARKUP = re.compile(
    r"[\\`*\[\]|~$]"  # code, emphasis, links, table cells, strike-through, formulas
    r"|<(?=[A-Za-z/!?])|&(?=[#A-Za-z])"  # HTML
    r"|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])"  # emphasis; r_at_5 is none
    r"|:(?=//)|(?<=[wW]{3})\."  # addresses that become links by themselves
)
_LINE_START = re.compile(r"^(\s*\d*)([.)](?=\s|$)|[-+](?=[\s-]|$)|[#>=])")
"""What makes a list, a heading, a quotation or a rule of a line; `0.64` and `-1` do not."""


def text_faults(text: str, citable: set[str], *, key: str) -> Iterator[Fault]:
    """Everything that is wrong with a sentence whose placeholders may be filled from `citable`."""
    for name in PLACEHOLDER.findall(text):
        if name not in citable:
            yield Fault(key=key, problem="has a placeholder without cited evidence", value=f"{{{name}}}")
    rest = PLACEHOLDER.sub(" ", text)
    if "{" in rest or "}" in rest:
        yield Fault(key=key, problem="has a brace that belongs to no placeholder", value=text)
    elif joined := [match.group() for match in _JOINED.finditer(text)]:
        yield Fault(key=key, problem="joins a placeholder to its neighbour; put a space between them", value=joined[0])
    yield from numerals_faults(rest, key=key)
    if strange := dict.fromkeys(character for character in _composed(rest) if not _belongs(character)):
        names = ", ".join(f"U+{ord(character):04X}" for character in list(strange)[:8])
        yield Fault(key=key, problem="has characters that belong into no sentence; write plain English", value=names)


def numerals_faults(text: str, *, key: str) -> Iterator[Fault]:
    """Numerals and number words of a text that has no placeholders."""
    if numerals := _numerals(text):
        yield Fault(key=key, problem="has numerals of its own; numbers come from evidence", value=" ".join(numerals))
    if words := _NUMBER_WORD.findall(_folded(text)):
        yield Fault(key=key, problem="has number words of its own; numbers come from evidence", value=words[0])


def visible(text: str) -> str:
    r"""The text on one line, with every character that hides or turns something written out as `\u202e`."""
    return "".join(
        f"\\u{ord(character):04x}" if unicodedata.category(character) in _INVISIBLE else character for character in text
    )


def markdown(text: str) -> str:
    """The same text in Markdown: nothing in it becomes a link, HTML, code, a heading, a list or a table cell."""
    escaped = _MARKUP.sub(lambda match: "\\" + match.group(), visible(text))
    return _LINE_START.sub(r"\1\\\2", escaped)


def _numerals(text: str) -> list[str]:
    """Numerals as they were written: `0.91` and not its digits."""
    runs = groupby(text, key=lambda character: character.isnumeric() or character in ".,")
    found = ("".join(run).strip(".,") for is_one, run in runs if is_one)
    return [numeral for numeral in found if numeral]


def _belongs(character: str) -> bool:
    if character.isnumeric():
        return True  # told as a numeral
    if " " <= character <= "~" or character in _TYPOGRAPHY or character in _LETTERS:
        return True
    base = unicodedata.normalize("NFD", character)[0]
    return character.isalpha() and base.isascii() and base.isalpha()


def _folded(text: str) -> str:
    """Lower-case letters without their marks and strokes, so that `Twò` and `twø` are found as well."""
    decomposed = unicodedata.normalize("NFKD", text.casefold()).translate(_STROKES)
    return "".join(character for character in decomposed if not unicodedata.combining(character)).casefold()


def _composed(text: str) -> str:
    return unicodedata.normalize("NFC", text)
