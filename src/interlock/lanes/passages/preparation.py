"""Prepares ordered passages: reads the source, takes out copies, splits, writes, verifies the pin, checks the splits.

    card = prepare_passages(lane.data, job.folder, root=job.workspace, progress=job.progress)

The bytes of every file depend on content alone. The card is written last; a failure leaves none, so that nothing takes
the folder for done.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from interlock.errors import DataError
from interlock.lanes.passages.card import CARD_NAME, PassageCheck, PassageCounts, PassagesCard
from interlock.lanes.passages.config import DocumentationData, PassagesData, StoriesData
from interlock.lanes.passages.copies import Places, split_groups, without_copies, without_crossing
from interlock.lanes.passages.documentation import read_documentation
from interlock.lanes.passages.documents import Document, Found, Text
from interlock.lanes.passages.prepared import PASSAGES_FILE, SCHEMA, content_sha256, read_documents
from interlock.lanes.passages.stories import read_stories
from interlock.lanes.retrieval.datasets.card import WordStats
from interlock.lanes.retrieval.datasets.config import SPLITS, SplitName
from interlock.lanes.retrieval.datasets.preparation import refuse_changed
from interlock.lanes.retrieval.datasets.writer import RowDigest, WordCount
from interlock.lanes.spec import Progress
from interlock.provenance.files import atomic_file, write_json

RELATED_SIMILARITY = 0.5
"""Modules stay in one split when a passage of one shares half of its word triples with a passage of the other."""

_Splits = dict[SplitName, list[Document]]


def prepare_passages(config: PassagesData, folder: Path, *, root: Path, progress: Progress) -> PassagesCard:
    """Write the prepared folder and return its card. `root` is where relative paths start.

    Raises DataError for bad input, empty splits and content that differs from the pinned `sha256`.
    """
    match config:
        case DocumentationData():
            found = read_documentation(config, progress=progress)
            texts, copies = _split_documentation(found.texts, config)
        case StoriesData():
            found = read_stories(config, root=root, progress=progress)
            texts, copies = without_crossing(found.texts, config.near_duplicate_similarity)
    splits = _documents(texts)
    _refuse_empty(splits)
    sha256 = _write(splits, folder / PASSAGES_FILE)
    refuse_changed(config.sha256, sha256)
    card = PassagesCard(
        name=found.name,
        kind=config.kind,
        sha256=sha256,
        documents=sum(map(len, splits.values())),
        passages=sum(len(document.passages) for part in splits.values() for document in part),
        splits={split: _counts(part) for split, part in splits.items()},
        passage_words=_word_stats(splits),
        cleaning=_cleaning(config, found),
        left_out=_left_out(found, texts, copies),
        split_check=check_splits(folder, similarity=config.near_duplicate_similarity),
        sources=found.sources,
        licence=found.licence,
    )
    write_json(folder / CARD_NAME, card)
    return card


def _split_documentation(texts: list[Text], config: DocumentationData) -> tuple[list[Text], int]:
    texts, copies = without_copies(texts, config.near_duplicate_similarity)
    shares: dict[SplitName, float] = {"test": config.test_fraction, "validation": config.validation_fraction}
    similarity = min(RELATED_SIMILARITY, config.near_duplicate_similarity)
    splits = split_groups(texts, shares, similarity=similarity, seed=config.split_seed)
    return [replace(text, split=split) for text, split in zip(texts, splits, strict=True)], copies


def _documents(texts: Sequence[Text]) -> _Splits:
    """The documents of each split, sorted by identifier."""
    splits: _Splits = {split: [] for split in SPLITS}
    for text in texts:
        assert text.split is not None, "every text has its split by now"
        splits[text.split] += text.documents()
    return {split: sorted(part, key=lambda document: document.identifier) for split, part in splits.items()}


def _write(splits: _Splits, path: Path) -> str:
    """Write a row per passage, sorted by document and place, and return the digest of the content."""
    rows = [
        (document.identifier, document.group, split, document.first + number, passage)
        for document, split in sorted(
            ((document, split) for split, part in splits.items() for document in part),
            key=lambda pair: pair[0].identifier,
        )
        for number, passage in enumerate(document.passages)
    ]
    columns = [list(column) for column in zip(*rows, strict=True)]
    arrays = [pa.array(column, field.type) for column, field in zip(columns, SCHEMA, strict=True)]
    with atomic_file(path) as file:
        pq.write_table(pa.Table.from_arrays(arrays, schema=SCHEMA), file, compression="zstd", store_schema=False)
    digest = RowDigest("passages")
    digest.update(columns)
    return content_sha256(digest)


def check_splits(folder: Path, *, similarity: float) -> PassageCheck:
    """Read the written table back and look for anything that two splits share."""
    splits = {split: read_documents(folder, split) for split in SPLITS}
    names = Counter(document.identifier for part in splits.values() for document in part)
    texts = [
        Text(identifier=document.identifier, group=document.group, passages=document.passages, split=split)
        for split, part in splits.items()
        for document in part
    ]
    places = Places(texts, similarity)
    split_of = [texts[row].split for row in places.text.tolist()]
    return PassageCheck(
        repeated_documents=sum(count > 1 for count in names.values()),
        shared_groups=_shared((text.group, text.split) for text in texts),
        shared_near_duplicates=_shared(zip(places.family.tolist(), split_of, strict=True)),
        empty_splits=tuple(split for split, part in splits.items() if not part),
    )


def _shared(pairs: Iterable[tuple[object, object]]) -> int:
    """Things that occur with more than one split."""
    return sum(count > 1 for count in Counter(thing for thing, _ in set(pairs)).values())


def _counts(part: Sequence[Document]) -> PassageCounts:
    return PassageCounts(
        documents=len(part),
        passages=sum(len(document.passages) for document in part),
        groups=len({document.group for document in part}),
    )


def _word_stats(splits: _Splits) -> WordStats:
    words = WordCount()
    for part in splits.values():
        for document in part:
            words.add(document.passages)
    return words.stats()


def _cleaning(config: PassagesData, found: Found) -> tuple[str, ...]:
    if config.opening is None:
        return found.cleaning
    return (*found.cleaning, f"everything after the first {config.opening} passages of a text")


def _left_out(found: Found, texts: Sequence[Text], copies: int) -> dict[str, int]:
    counts = Counter(found.left_out)
    counts["near copy of another passage"] += copies
    counts["text without two consecutive passages once copies are out"] += sum(not text.has_documents for text in texts)
    return {reason: count for reason, count in sorted(counts.items()) if count}


def _refuse_empty(splits: _Splits) -> None:
    sizes = ", ".join(f"{split} {len(part)}" for split, part in splits.items())
    for split, part in splits.items():
        if not part:
            raise DataError(
                f"no {split} documents are left; documents per split: {sizes}",
                key="lane.data",
                value=split,
                hint="give more texts of two passages and more, wider min_words..max_words, or another share or seed",
            )
