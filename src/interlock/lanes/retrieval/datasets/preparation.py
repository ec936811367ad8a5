"""Prepares any dataset: reads the source, streams it out, verifies the pin, checks the splits, writes the card last.

    card = prepare_dataset(lane.data, job.folder, root=job.workspace, progress=job.progress)

The bytes of every file depend on content alone. A failure leaves no card, so that nothing takes the folder for done.
"""

from pathlib import Path
from typing import Any

from interlock.errors import DataError
from interlock.lanes.retrieval.datasets.beir import write_beir
from interlock.lanes.retrieval.datasets.card import CARD_NAME, DatasetCard, SplitCounts
from interlock.lanes.retrieval.datasets.config import BeirData, DocstringsData, NpzData, RetrievalData
from interlock.lanes.retrieval.datasets.docstrings import write_docstrings
from interlock.lanes.retrieval.datasets.npz import write_npz
from interlock.lanes.retrieval.datasets.origin import Origin
from interlock.lanes.retrieval.datasets.prepared import PreparedTables
from interlock.lanes.retrieval.datasets.split_check import check_splits
from interlock.lanes.retrieval.datasets.writer import PreparedWriter, dataset_sha256
from interlock.lanes.spec import Progress
from interlock.provenance.files import write_json


def prepare_dataset(config: RetrievalData, folder: Path, *, root: Path, progress: Progress) -> DatasetCard:
    """Write the prepared folder and return its card. `root` is where relative paths start.

    Raises DataError for bad input, empty splits and content that differs from the pinned `sha256`.
    """
    with PreparedWriter(folder) as writer:
        origin = _write_source(config, writer, root=root, progress=progress)
        counts, tables = writer.split_counts(), writer.table_digests()
        _refuse_empty_splits(counts)
        sha256 = dataset_sha256(tables)
        refuse_changed(config.sha256, sha256)
    card = DatasetCard(
        name=origin.name,
        kind=config.kind,
        sha256=sha256,
        tables=tables,
        documents=writer.documents,
        splits=counts,
        dimensions=origin.dimensions,
        query_words=writer.query_words.stats(),
        document_words=writer.document_words.stats(),
        near_duplicates_removed=origin.near_duplicates_removed,
        left_out={reason: count for reason, count in sorted(origin.left_out.items()) if count},
        split_check=check_splits(PreparedTables(folder), similarity=_similarity(config)),
        sources=origin.sources,
        licence=origin.licence,
    )
    write_json(folder / CARD_NAME, card)
    return card


def _write_source(config: RetrievalData, writer: PreparedWriter, *, root: Path, progress: Progress) -> Origin:
    match config:
        case DocstringsData():
            return write_docstrings(config, writer, progress=progress)
        case BeirData():
            return write_beir(config, writer, root=root, progress=progress)
        case NpzData():
            return write_npz(config, writer, root=root, progress=progress)


def _refuse_empty_splits(counts: dict[str, SplitCounts]) -> None:
    for split, count in counts.items():
        if not count.queries:
            raise DataError(
                f"no {split} queries are left; queries per split: {_sizes(counts)}",
                key="lane.data",
                value=split,
                hint=f"give more groups, or another share ({split}_fraction), split_seed or splits",
            )


def _sizes(counts: dict[str, SplitCounts]) -> str:
    return ", ".join(f"{name} {count.queries}" for name, count in counts.items())


def refuse_changed(pinned: str | None, sha256: str) -> None:
    """Raise DataError unless the dataset is the one whose digest is pinned, if one is."""
    if pinned is not None and pinned != sha256:
        raise DataError(
            f"the dataset changed: its digest is {sha256}",
            key="lane.data.sha256",
            value=pinned,
            hint="restore the data that was pinned, or pin the new digest (null accepts any)",
        )


def _similarity(config: RetrievalData) -> float | None:
    return None if isinstance(config, NpzData) else config.near_duplicate_similarity


def dataset_facts(card: DatasetCard) -> dict[str, Any]:
    """What the prepare stage of a retrieval lane says of its dataset."""
    return {
        "dataset": card.name,
        "dataset_sha256": card.sha256,
        "documents": card.documents,
        "queries": {split: count.queries for split, count in sorted(card.splits.items())},
        "splits_correct": card.split_check.correct,
    }
