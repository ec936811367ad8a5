"""Passages of stories out of CSV files: `document_id,text` in order, one file per split.

Refused, all at once per file: a missing column, a row with another number of fields, a row without an id, a story that
goes on after another one began, broken UTF-8 or CSV. Refused too: a story that stands in two splits. Left out and
counted: passages without text, too short or too long ones, stories of fewer than two consecutive passages.
"""

import csv
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from interlock.errors import DataError
from interlock.lanes.passages.config import StoriesData
from interlock.lanes.passages.documents import Found, Text
from interlock.lanes.retrieval.datasets.card import Source
from interlock.lanes.retrieval.datasets.config import SPLITS, SplitName
from interlock.lanes.retrieval.datasets.faults import Faults
from interlock.lanes.retrieval.datasets.locations import resolve_location
from interlock.lanes.spec import Progress
from interlock.provenance.digest import sha256_file

COLUMNS = ("document_id", "text")
FIELD_MAX_CHARACTERS = 1 << 20
"""Longest field that is read; an unclosed quote would otherwise swallow the rest of the file."""


def read_stories(config: StoriesData, *, root: Path, progress: Progress) -> Found:
    """Read the three files. Raises DataError for whatever is wrong with them, see the module."""
    folder = resolve_location(config.path, root=root)
    left_out: Counter[str] = Counter()
    texts: list[Text] = []
    sources = []
    for split in progress.track(SPLITS, "stories", len(SPLITS)):
        path = _file(folder, getattr(config.splits, split))
        rows = _rows(path)
        texts += [_text(name, passages, split, config, left_out) for name, passages in rows.items()]
        sources.append(Source(name=path.name, sha256=sha256_file(path)))
    _refuse_shared(texts, folder)
    return Found(
        name=config.name,
        texts=sorted(texts, key=lambda text: text.identifier),
        sources=tuple(sources),
        licence=config.licence,
        cleaning=("runs of white space became one space",),
        left_out=dict(left_out),
    )


def _file(folder: Path, name: str) -> Path:
    path = folder / f"{name}.csv"
    if not path.is_file():
        here = ", ".join(sorted(file.name for file in folder.glob("*.csv"))) or "none"
        raise DataError(
            "no such file of stories",
            path=path,
            key="lane.data.splits",
            value=name,
            hint=f"name the files of the three splits; .csv files there: {here}",
        )
    return path


def _rows(path: Path) -> dict[str, list[str]]:
    """The passages of each story, in order."""
    faults, stories, previous = Faults(path), dict[str, list[str]](), None
    for line, name, text in _fields(path, faults):
        if not name:
            faults.add("no document_id", f"line {line}", hint="name the story of every row")
        elif name in stories and name != previous:
            faults.add(
                "story in several places", f"line {line}: {name!r} goes on", hint="keep each story's rows together"
            )
        else:
            stories.setdefault(name, []).append(text)
        previous = name
    faults.refuse()
    if not stories:
        raise DataError("the file holds no stories", path=path, hint="give rows of document_id,text under the header")
    return stories


def _fields(path: Path, faults: Faults) -> Iterator[tuple[int, str, str]]:
    """Line number, story and text of every row."""
    csv.field_size_limit(FIELD_MAX_CHARACTERS)
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            header = next(reader, [])
            if missing := [column for column in COLUMNS if header.count(column) != 1]:
                raise DataError(
                    f"the header must name each of {', '.join(COLUMNS)} once",
                    path=path,
                    key=missing[0],
                    value=",".join(header),
                    hint="put the line `document_id,text` first",
                )
            name, text = (header.index(column) for column in COLUMNS)
            for row in reader:
                if len(row) == len(header):
                    yield reader.line_num, row[name].strip(), " ".join(row[text].split())
                elif row:
                    faults.add(
                        "other number of fields", f"line {reader.line_num}: {len(row)}, the header has {len(header)}",
                        hint="put texts with commas between double quotes",
                    )  # fmt: skip
    except csv.Error as error:
        raise DataError(
            f"broken CSV at line {reader.line_num}: {error}", path=path, hint="close every double quote"
        ) from None
    except UnicodeDecodeError as error:
        broken = error.object[error.start : error.end].hex(" ")
        raise DataError(f"broken UTF-8: {broken}", path=path, hint="save the file as UTF-8 (iconv -t utf-8)") from None
    except OSError as error:
        raise DataError(
            f"cannot be read: {error.strerror or error}", path=path, hint="check the file's permissions and disk"
        ) from None


def _text(name: str, passages: list[str], split: SplitName, config: StoriesData, left_out: Counter[str]) -> Text:
    kept: list[str | None] = []
    for passage in passages:
        count = len(passage.split())
        reason = ""
        if not count:
            reason = "empty"
        elif count < config.min_words:
            reason = "too short"
        elif count > config.max_words:
            reason = "too long"
        left_out[f"passage is {reason}"] += bool(reason)
        kept.append(None if reason else passage)
    text = Text(identifier=name, group=name, passages=tuple(kept), split=split).opening(config.opening)
    left_out["text without two consecutive passages"] += not text.has_documents
    return text


def _refuse_shared(texts: list[Text], folder: Path) -> None:
    counts = Counter(text.identifier for text in texts)
    if shared := sorted(name for name, count in counts.items() if count > 1):
        raise DataError(
            f"{len(shared)} stories stand in more than one split",
            path=folder,
            key="document_id",
            value=", ".join(shared[:3]),
            hint="a story belongs to one split whole; take it out of the others",
        )
