"""The files of a BEIR folder: finding them and reading their rows, strictly.

    corpus.jsonl[.gz]    {"_id": str, "text": str, "title": str (optional), ...}
    queries.jsonl[.gz]   {"_id": str, "text": str, ...}
    qrels/<name>.tsv     header with the columns query-id, corpus-id, score (integer)

Does not decide what is done with the rows; `beir.py` does.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from interlock.errors import DataError
from interlock.lanes.retrieval.datasets.config import SPLITS, BeirSplits, SplitName
from interlock.lanes.retrieval.datasets.faults import Faults
from interlock.lanes.retrieval.datasets.text_lines import encodes, numbered_lines

COLUMNS = ("query-id", "corpus-id", "score")
MAX_RELEVANCE = 127
_EXAMPLE = '{"_id": "d1", "title": "...", "text": "..."}'


@dataclass(frozen=True)
class BeirFiles:
    """Where the parts of a BEIR folder stand."""

    corpus: Path
    queries: Path
    qrels: dict[SplitName, Path]
    """Splits that have a file."""

    def all(self) -> list[Path]:
        """Every file, in a fixed order."""
        return [self.corpus, self.queries, *(self.qrels[split] for split in SPLITS if split in self.qrels)]


@dataclass(frozen=True)
class Row:
    """One document or query."""

    line: int
    identifier: str
    text: str
    """Title and text, stripped; empty when there is neither."""
    fields: dict[str, Any]
    """The whole record."""


@dataclass(frozen=True)
class Judgements:
    """All judgements above zero of one or more files, as columns of equal length that index into the ids."""

    query_ids: list[str]
    doc_ids: list[str]
    query: NDArray[np.int64]
    document: NDArray[np.int64]
    relevance: NDArray[np.int64]
    split: NDArray[np.int64]
    """Index into SPLITS of the file."""
    line: NDArray[np.int64]
    """Line in that file."""


def find_files(folder: Path, splits: BeirSplits) -> BeirFiles:
    """Locate the files. Raises DataError naming what is missing and what is there."""
    if not folder.is_dir():
        raise DataError("not a folder", path=folder, key="lane.data.path", hint="name the one that holds corpus.jsonl")
    corpus, queries = _jsonl(folder, "corpus"), _jsonl(folder, "queries")
    present = sorted(path.stem for path in (folder / "qrels").glob("*.tsv"))
    if not present:
        raise DataError(
            "no qrels: nothing says which document answers which query",
            path=folder / "qrels",
            hint=f"add qrels/train.tsv and qrels/test.tsv with the columns {', '.join(COLUMNS)}",
        )
    qrels: dict[SplitName, Path] = {}
    for split in SPLITS:
        if (name := getattr(splits, split)) is None:
            continue
        if name not in present:
            raise DataError(
                f"no qrels for {split}: {name}.tsv is missing, there are {', '.join(present)}",
                path=folder / "qrels",
                key=f"lane.data.splits.{split}",
                value=name,
                hint="name one of the files that are there, or null to hold a share of the training file out",
            )
        qrels[split] = folder / "qrels" / f"{name}.tsv"
    return BeirFiles(corpus, queries, qrels)


def read_rows(path: Path, faults: Faults, lines: Iterable[tuple[int, str]]) -> Iterator[Row]:
    """Parse the lines of a JSONL file; wrong ones and repeated ids become faults.

    Memory grows with the ids only (about 150 bytes each).
    """
    seen: dict[str, int] = {}
    for line, text in lines:
        row = _parse(line, text, faults)
        if row is None:
            continue
        first = seen.setdefault(row.identifier, line)
        if first != line:
            faults.add(
                "duplicate _id",
                f"line {line}: {row.identifier!r}, first on line {first}",
                hint=f"give every line of {path.name} an _id of its own",
            )
            continue
        yield row


def read_judgements(files: BeirFiles) -> Judgements:
    """Read every qrels file. Raises DataError, all faults of a file at once; rows with a score <= 0 are passed over."""
    queries: dict[str, int] = {}
    documents: dict[str, int] = {}
    columns: list[tuple[int, int, int, int, int]] = []
    for split, path in files.qrels.items():
        faults = Faults(path)
        ours = _judgement_rows(path, faults)
        rank = SPLITS.index(split)
        columns += [
            (queries.setdefault(query, len(queries)), documents.setdefault(document, len(documents)), score, rank, line)
            for line, query, document, score in ours
        ]
        faults.refuse()
        if not columns or columns[-1][3] != rank:
            raise DataError(
                f"no {split} queries: no judgement has a score above zero",
                path=path,
                hint=f"name another file in lane.data.splits.{split}",
            )
    table = np.array(columns, np.int64).reshape(-1, 5)
    return Judgements(list(queries), list(documents), *np.ascontiguousarray(table.T))


def _jsonl(folder: Path, name: str) -> Path:
    found = [path for path in (folder / f"{name}.jsonl", folder / f"{name}.jsonl.gz") if path.is_file()]
    if len(found) == 1:
        return found[0]
    problem = "the file is missing" if not found else "it is there twice, plain and gzipped"
    raise DataError(
        problem,
        path=folder / f"{name}.jsonl",
        hint=f"a BEIR folder holds one {name}.jsonl or {name}.jsonl.gz with lines like {_EXAMPLE}",
    )


def _parse(line: int, text: str, faults: Faults) -> Row | None:
    try:
        record = json.loads(text)
    except (ValueError, RecursionError) as error:
        faults.add("malformed JSON", f"line {line}: {error}", hint=f"write one JSON object per line, like {_EXAMPLE}")
        return None
    if problem := _problem(record):
        kind, details = problem
        faults.add(kind, f"line {line}: {details}", hint=f"write lines like {_EXAMPLE}")
        return None
    title, body = (record.get("title") or "").strip(), record["text"].strip()
    return Row(line, record["_id"], f"{title}\n{body}" if title and body else title or body, record)


def _problem(record: object) -> tuple[str, str] | None:
    """Return (kind, details) of what is wrong with a record."""
    if not isinstance(record, dict):
        return "not an object", f"got {record!r:.60}"
    for key in ("_id", "text"):
        if key not in record:
            return "missing key", f"{key!r}, the line has {sorted(record)}"
    for key in ("_id", "text", "title"):
        value = record.get(key)
        if not isinstance(value, str) and not (key == "title" and value is None):
            return "not a string", f"{key!r} is {value!r:.60}"
        if isinstance(value, str) and not encodes(value):
            return "lone surrogate", f"{key!r} holds an escape that is not a character: {value!r:.60}"
    return None if record["_id"] else ("empty _id", "'_id' is ''")


def _judgement_rows(path: Path, faults: Faults) -> Iterator[tuple[int, str, str, int]]:
    lines = numbered_lines(path, faults)
    positions = _columns(path, next(lines, (1, ""))[1])
    scores: dict[tuple[str, str], tuple[int, int]] = {}
    for line, text in lines:
        values = text.split("\t")
        if len(values) <= max(positions):
            faults.add("missing columns", f"line {line}: {text!r:.60}", hint=f"tab-separated: {', '.join(COLUMNS)}")
            continue
        query, document, written = (values[position].strip() for position in positions)
        score = _score(line, written, faults)
        if score is None:
            continue
        first, earlier = scores.setdefault((query, document), (line, score))
        if earlier != score:
            faults.add(
                "contradicting scores",
                f"line {line}: {query!r}, {document!r} is {score}, on line {first} it is {earlier}",
                hint="keep one score for each query and document",
            )
        elif first == line and score > 0:
            yield line, query, document, score


def _columns(path: Path, header: str) -> list[int]:
    names = [name.strip() for name in header.split("\t")]
    missing = [name for name in COLUMNS if name not in names]
    if missing:
        raise DataError(
            f"line 1: missing columns {', '.join(missing)}",
            path=path,
            value=header[:80],
            hint=f"the first line names the columns, tab-separated: {', '.join(COLUMNS)}",
        )
    return [names.index(name) for name in COLUMNS]


def _score(line: int, written: str, faults: Faults) -> int | None:
    try:
        score = int(written)
    except ValueError:
        score = MAX_RELEVANCE + 1
    if score > MAX_RELEVANCE:
        faults.add(
            "score is not an integer up to 127",
            f"line {line}: score is {written!r}",
            hint="grade relevance in whole numbers, 0 for irrelevant",
        )
        return None
    return score
