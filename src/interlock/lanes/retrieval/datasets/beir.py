"""Any BEIR folder, streamed: memory grows with ids and judged documents, not with the text of the corpus.

The corpus is kept whole (recall is over all documents). Queries without a judgement above zero are left out. The
splits of the source stay, except that a query is left out of training (or validation) when its text or a near copy of
its answer also occurs in a later split; a split without a file is held out of the training file by whole groups.
Under 1 GiB for a million documents (`benchmarks/prepare_million.py`). Does not weigh or complete judgements.
"""

from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from interlock.lanes.retrieval.datasets.beir_files import (
    BeirFiles,
    Judgements,
    Row,
    find_files,
    read_judgements,
    read_rows,
)
from interlock.lanes.retrieval.datasets.beir_splits import (
    CROSSING,
    EMPTY,
    PRESENT,
    UNKNOWN,
    Answers,
    Asked,
    plan_splits,
)
from interlock.lanes.retrieval.datasets.card import Source
from interlock.lanes.retrieval.datasets.config import SPLITS, BeirData
from interlock.lanes.retrieval.datasets.duplicates import NUM_MINIMA, Signatures, families, signatures
from interlock.lanes.retrieval.datasets.faults import Faults
from interlock.lanes.retrieval.datasets.locations import resolve_location
from interlock.lanes.retrieval.datasets.origin import Origin
from interlock.lanes.retrieval.datasets.text_lines import numbered_lines
from interlock.lanes.retrieval.datasets.writer import PreparedWriter
from interlock.lanes.spec import Progress
from interlock.provenance.digest import sha256_file

BATCH_ROWS = 4_096


def write_beir(config: BeirData, writer: PreparedWriter, *, root: Path, progress: Progress) -> Origin:
    """Read, refuse, split and write. Raises DataError naming file, line and value of what is wrong."""
    files = find_files(resolve_location(config.path, root=root), config.splits)
    reader = _Reader(config, files, progress)
    judged = read_judgements(files)
    answers, asked = reader.corpus(judged, writer), reader.queries(judged)
    _refuse_unknown(files, judged, "corpus-id", answers.state[judged.document] == UNKNOWN)
    _refuse_unknown(files, judged, "query-id", asked.state[judged.query] == UNKNOWN)
    plan = plan_splits(config, judged, answers, asked=asked)
    rows = np.flatnonzero(plan.rank >= 0)
    writer.add_queries(
        [judged.query_ids[number] for number in asked.number[rows]],
        [asked.texts[row] for row in rows],
        [SPLITS[rank] for rank in plan.rank[rows]],
    )
    pairs = plan.pairs[plan.rank[plan.place] >= 0]
    writer.add_qrels(
        [judged.query_ids[number] for number in judged.query[pairs]],
        [judged.doc_ids[number] for number in judged.document[pairs]],
        judged.relevance[pairs].tolist(),
    )
    return Origin(
        name=config.name,
        licence=config.licence,
        near_duplicates_removed=plan.left_out[CROSSING],
        left_out=dict(reader.left_out + plan.left_out),
        sources=tuple(_source(path) for path in files.all()),
    )


class _Reader:
    """Reads the two big files once each."""

    def __init__(self, config: BeirData, files: BeirFiles, progress: Progress) -> None:
        self.left_out: Counter[str] = Counter()
        self._config, self._files, self._progress = config, files, progress

    def corpus(self, judged: Judgements, writer: PreparedWriter) -> Answers:
        """Stream the corpus into `writer`, keeping signatures and groups of judged documents."""
        number_of = {name: number for number, name in enumerate(judged.doc_ids)}
        found = np.zeros((len(number_of), NUM_MINIMA), np.uint32)
        state, group = np.zeros(len(number_of), np.int8), np.arange(len(number_of), dtype=np.int64)
        values: dict[str, int] = {}
        for rows in _batches(self._rows(self._files.corpus)):
            kept = [row for row in rows if row.text]
            writer.add_documents([row.identifier for row in kept], [row.text for row in kept])
            for row in rows:
                if (number := number_of.get(row.identifier)) is not None:
                    state[number] = PRESENT if row.text else EMPTY
                    group[number] = self._group(row, values, otherwise=number)
            judged_rows = [row for row in kept if row.identifier in number_of]
            if judged_rows:
                places = [number_of[row.identifier] for row in judged_rows]
                found[places] = signatures([row.text for row in judged_rows])
        return Answers(state, _families(found, state == PRESENT, self._config.near_duplicate_similarity), group)

    def queries(self, judged: Judgements) -> Asked:
        """Read the queries, keeping those that have a judgement."""
        number_of = {name: number for number, name in enumerate(judged.query_ids)}
        state = np.zeros(len(number_of), np.int8)
        numbers, texts = [], []
        for row in self._rows(self._files.queries):
            number = number_of.get(row.identifier)
            if number is None:
                self.left_out["query without a judgement above zero"] += 1
                continue
            state[number] = PRESENT if row.text else EMPTY
            if row.text:
                numbers.append(number)
                texts.append(row.text)
        return Asked(state, np.array(numbers, np.int64), texts)

    def _rows(self, path: Path) -> Iterator[Row]:
        faults = Faults(path)
        lines = self._progress.track(numbered_lines(path, faults), path.name)
        for row in read_rows(path, faults, lines):
            if not row.text:
                self._empty(row, faults)
            yield row
        faults.refuse()

    def _empty(self, row: Row, faults: Faults) -> None:
        if self._config.empty == "drop":
            self.left_out["empty text"] += 1
        else:
            faults.add(
                "empty text",
                f"line {row.line}: {row.identifier!r}",
                hint="give them text, or set lane.data.empty to drop to leave them out",
            )

    def _group(self, row: Row, values: dict[str, int], *, otherwise: int) -> int:
        value = row.fields.get(self._config.group_field) if self._config.group_field else None
        if value is None or value == "":
            return otherwise
        # numbered downwards from -1, so that values and single documents cannot collide
        return -1 - values.setdefault(str(value), len(values))


def _batches(rows: Iterator[Row]) -> Iterator[list[Row]]:
    while batch := list(islice(rows, BATCH_ROWS)):
        yield batch


def _families(found: Signatures, present: NDArray[np.bool_], similarity: float) -> NDArray[np.int64]:
    # an absent document has no signature and must not look like a copy of another absent one
    result = np.arange(len(found), dtype=np.int64) + len(found)
    result[present] = families(found[present], similarity)
    return result


def _refuse_unknown(files: BeirFiles, judged: Judgements, column: str, unknown: NDArray[np.bool_]) -> None:
    """Raise DataError for the first qrels file that names ids which `corpus` or `queries` does not hold."""
    names, numbers, target = (
        (judged.doc_ids, judged.document, files.corpus)
        if column == "corpus-id"
        else (judged.query_ids, judged.query, files.queries)
    )
    for split, path in files.qrels.items():
        faults = Faults(path)
        for row in np.flatnonzero(unknown & (judged.split == SPLITS.index(split))):
            faults.add(
                f"unknown {column}",
                f"line {judged.line[row]}: {names[numbers[row]]!r} is not in {target.name}",
                hint=f"add the missing lines to {target.name}, or take the judgements out",
            )
        faults.refuse()


def _source(path: Path) -> Source:
    name = f"qrels/{path.name}" if path.suffix == ".tsv" else path.name
    return Source(name=name, sha256=sha256_file(path))
