"""Evidence: the facts a decision may cite, where each one stands, and sentences whose numbers are filled in from them.

`{gate.r_at_5.observed}` in a sentence is replaced by the fact of that id; which sentences are refused stands in
`interlock.decisions.wording`. A fact's pointer, `<file>#/<JSON pointer>@sha256:<digest of the file>`, names a file as
the stage folders do (`judge/judgement.json`); whoever resolves it says where the file is now. Files are JSON, or CSV
read as a list of rows. Does not cover which facts there are (`interlock.decisions.context`).
"""

import csv
import hashlib
import io
import json
import math
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Literal
from urllib.parse import quote

from interlock.contracts.decision import Evidence, Statement
from interlock.decisions import wording
from interlock.decisions.wording import PLACEHOLDER, numerals_faults, text_faults
from interlock.errors import DecisionError, Fault, ProvenanceError

__all__ = ["Value", "evidence_faults", "evidence_id", "numerals_faults", "pointer", "render", "resolve", "segments"]

Value = bool | int | float | str
Read = Callable[[str], bytes]
"""Gives the bytes of a file by its name among the stage folders; raises for one that is not there."""

_POINTER = re.compile(r"(?P<file>[^#]+)#(?P<path>(?:/.*)?)@sha256:(?P<sha256>[0-9a-f]{64})", re.DOTALL)
_ID_CHARACTERS = "!$&'()*+,/:;=?@[]|~#"
"""Kept in ids as they are, beside letters, digits, `_ . -`."""


def evidence_id(*parts: str) -> str:
    """`gate.r_at_5.observed`. What an id cannot hold (spaces, braces, other scripts) is percent-encoded."""
    return ".".join(quote(part, safe=_ID_CHARACTERS, errors="surrogatepass") for part in parts)


def pointer(file: str, *path: str | int, sha256: str) -> str:
    """Where a value stands; `path` leads to it by keys and positions."""
    steps = "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in path)
    return f"{file}#{steps}@sha256:{sha256}"


def resolve(pointed: str, read: Read) -> Any:
    """The value that a pointer names.

    Raises ProvenanceError for text that is no pointer, a file of another digest, and a path that leads nowhere.
    """
    found = _POINTER.fullmatch(pointed)
    if found is None:
        raise ProvenanceError("not a pointer to evidence", value=pointed, hint="<file>#/<path>@sha256:<digest>")
    file, data = found["file"], read(found["file"])
    if hashlib.sha256(data).hexdigest() != found["sha256"]:
        hint = "it was changed after it was cited; restore it from a backup"
        raise ProvenanceError(
            "evidence stands in a file of another digest", path=file, value=found["sha256"], hint=hint
        )
    value = document(file, data)
    for part in found["path"].split("/")[1:]:
        value = _step(value, part.replace("~1", "/").replace("~0", "~"), pointed)
    return value


def evidence_faults(items: Iterable[Evidence], read: Read) -> Iterator[Fault]:
    """Facts that are not what their pointers name; nothing when all of them hold."""
    for item in items:
        try:
            found = resolve(item.pointer, read)
        except ProvenanceError as error:
            yield Fault(key=item.id, problem=error.message, value=item.pointer)
            continue
        if isinstance(found, bool) != isinstance(item.value, bool) or found != item.value:
            yield Fault(key=item.id, problem=f"its file says {found!r}, the decision {item.value!r}", value=item.value)


def document(file: str, data: bytes) -> Any:
    """A file's content: JSON, or the rows of a CSV with its numbers as numbers. Raises ProvenanceError."""
    try:
        if file.endswith(".csv"):
            rows = csv.DictReader(io.StringIO(data.decode()), strict=True)
            return [{name: _cell(text) for name, text in row.items()} for row in rows]
        return json.loads(data)
    except (ValueError, RecursionError, csv.Error) as error:
        raise ProvenanceError(f"cannot be read: {error}", path=file, hint="restore it from a backup") from error


def statement_faults(statement: Statement, evidence: Iterable[Evidence], *, key: str) -> Iterator[Fault]:
    """What is wrong with a sentence and its citations; nothing when all of it stands on the evidence."""
    known = {item.id for item in evidence}
    for cited in statement.evidence:
        if cited not in known:
            yield Fault(key=f"{key}.evidence", problem="cites evidence that does not exist", value=cited)
    yield from text_faults(statement.text, known & set(statement.evidence), key=f"{key}.text")


def render(text: str, evidence: Iterable[Evidence], *, markup: Literal["none", "markdown"] = "none") -> str:
    """Fill the placeholders; the result is one line. With `markdown` nothing in it acts as markup.

    Raises DecisionError for a sentence that is refused, e.g. for a numeral, or a placeholder without evidence.
    """
    filled = "".join(part for part, _ in segments(text, evidence))
    return wording.markdown(filled) if markup == "markdown" else wording.visible(filled)


def segments(text: str, evidence: Iterable[Evidence]) -> Iterator[tuple[str, Evidence | None]]:
    """The sentence in pieces: its own words, and values with the evidence that they come from. Raises DecisionError."""
    known = {item.id: item for item in evidence}
    if faults := list(text_faults(text, set(known), key="text")):
        raise DecisionError(faults, subject="text of a decision", hint="cite evidence as {id}; write no numbers")
    position = 0
    for match in PLACEHOLDER.finditer(text):
        yield text[position : match.start()], None
        yield shown(known[match.group(1)].value), known[match.group(1)]
        position = match.end()
    yield text[position:], None


def shown(value: Value) -> str:
    """A fact as people read it: four significant digits, `yes` or `no`."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _step(value: Any, part: str, pointed: str) -> Any:
    if isinstance(value, dict) and part in value:
        return value[part]
    if isinstance(value, list) and re.fullmatch(r"0|[1-9][0-9]{0,8}", part) and int(part) < len(value):
        return value[int(part)]
    raise ProvenanceError("evidence points to nothing", value=pointed, key=part, hint="the file has no such entry")


def _cell(text: Any) -> Any:
    """A number where it is one that JSON could hold, else the text."""
    try:
        number = float(text)
    except (TypeError, ValueError):
        return text
    if re.fullmatch(r"-?[0-9]{1,15}", text):
        return int(text)
    return number if math.isfinite(number) else text
