"""Summary -> body pairs from the documentation of installed packages: the dataset that needs no network.

The query is the first paragraph of a docstring, the document is the rest. Left out, and counted by reason in the card:
docstrings without a body, summaries that are signatures, too short or too long, bodies too short or repeating their
summary, deprecated things, summaries seen before (two answers to one question), near copies of other bodies. Groups are
modules. The result depends on the packages' files alone: not on where they are installed, the order in which the file
system or the configuration names them, or the process.

Does not see documentation in compiled modules or made at run time; does not render markup.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from interlock.errors import DataError
from interlock.lanes.retrieval.datasets.card import Source
from interlock.lanes.retrieval.datasets.config import SPLITS, DocstringsData, SplitName
from interlock.lanes.retrieval.datasets.docstring_files import (
    Docstring,
    describe_package,
    find_package,
    normalised_name,
    read_docstrings,
    source_files,
)
from interlock.lanes.retrieval.datasets.duplicates import families, normalised, signatures
from interlock.lanes.retrieval.datasets.origin import Origin
from interlock.lanes.retrieval.datasets.splits import hold_out
from interlock.lanes.retrieval.datasets.writer import PreparedWriter
from interlock.lanes.spec import Progress

_PARAGRAPH = re.compile(r"\n[ \t]*\n")
_SIGNATURE = re.compile(r"^[\w.]+\s*\(.*\)|->|^[\w.]+\s*=")
_DEPRECATED = re.compile(r"\.\. deprecated::|^\W*deprecated\b|\bis deprecated\b", re.IGNORECASE)
_UNDERLINE = re.compile(r"^\W{3,}$")


@dataclass(frozen=True, order=True)
class Pair:
    """One question with its answer; orders by identifier."""

    identifier: str
    module: str
    query: str
    document: str


def write_docstrings(config: DocstringsData, writer: PreparedWriter, *, progress: Progress) -> Origin:
    """Extract, deduplicate, split and write. Raises DataError for packages that are missing or hold no pairs."""
    left_out: Counter[str] = Counter()
    pairs, sources = _read_packages(config, left_out, progress)
    pairs, near = without_copies(pairs, similarity=config.near_duplicate_similarity, left_out=left_out)
    pairs = limited(pairs, most=config.max_pairs, seed=config.split_seed, left_out=left_out)
    splits = _split_modules(pairs, config)
    identifiers = [pair.identifier for pair in pairs]
    writer.add_documents(identifiers, [pair.document for pair in pairs])
    writer.add_queries(identifiers, [pair.query for pair in pairs], splits)
    writer.add_qrels(identifiers, identifiers, [1] * len(pairs))
    return Origin(
        name="docstrings", sources=tuple(sources), near_duplicates_removed=near, left_out=dict(left_out),
        licence="documentation of the packages named in sources, each under its own licence",
    )


def pair_from(docstring: Docstring, config: DocstringsData) -> Pair | str:
    """The pair that a docstring holds, or the reason why it holds none."""
    head, *rest = _PARAGRAPH.split(docstring.text.strip(), maxsplit=1)
    if not rest:
        return "no body"
    query, body = " ".join(head.split()), rest[0].strip()
    if reason := _refuse_query(query, config):
        return reason
    if _DEPRECATED.search(query) or _DEPRECATED.search(body[:200]):
        return "deprecated"
    document = first_words(body, config.max_document_words)
    if len(document.split()) < config.min_document_words:
        return "body too short"
    if normalised(query) in normalised(document):
        return "body repeats the summary"
    if not _encodes(query + document):
        return "not valid Unicode"
    return Pair(docstring.identifier, docstring.module, query, document)


def first_words(text: str, count: int) -> str:
    """`text` cut after `count` words, keeping its lines."""
    for number, word in enumerate(re.finditer(r"\S+", text), start=1):
        if number == count:
            return text[: word.end()]
    return text


def without_copies(
    pairs: Iterable[Pair], *, similarity: float, left_out: Counter[str]
) -> tuple[list[Pair], int]:
    """Sorted pairs with distinct questions and no near-copied answers, and the number of near copies removed.

    Of several, the first by identifier stays.
    """
    questions: set[str] = set()
    distinct = []
    for pair in sorted(pairs):
        question = normalised(pair.query)
        if question in questions:
            left_out["summary seen before"] += 1
        else:
            questions.add(question)
            distinct.append(pair)
    labels = families(signatures([pair.document for pair in distinct]), similarity)
    _, first = np.unique(labels, return_index=True)
    kept = [distinct[row] for row in np.sort(first)]
    left_out["body is a near copy"] += (removed := len(distinct) - len(kept))
    return kept, removed


def limited(pairs: Sequence[Pair], *, most: int, seed: int, left_out: Counter[str]) -> list[Pair]:
    """At most `most` pairs, chosen by whole modules in hash order, so that what stays is still complete modules."""
    sizes = Counter(pair.module for pair in pairs)
    kept, total = set(), 0
    for module in sorted(sizes, key=lambda name: hashlib.sha256(f"{seed}/limit/{name}".encode()).digest()):
        if total + sizes[module] <= most:
            kept.add(module)
            total += sizes[module]
    left_out["over max_pairs"] += len(pairs) - total
    return [pair for pair in pairs if pair.module in kept]


def _read_packages(
    config: DocstringsData, left_out: Counter[str], progress: Progress
) -> tuple[list[Pair], list[Source]]:
    pairs: list[Pair] = []
    sources = []
    for package in progress.track(sorted(map(normalised_name, config.packages)), "documentation", len(config.packages)):
        found = find_package(package)
        sources.append(describe_package(found))
        ours = _read_package(package, config, left_out)
        if not ours:
            raise DataError(
                "the package holds no usable docstring", key="lane.data.packages", value=package,
                hint="take it out of the list, or lower min_document_words",
            )
        pairs += ours
    return pairs, sources


def _read_package(package: str, config: DocstringsData, left_out: Counter[str]) -> list[Pair]:
    pairs: list[Pair] = []
    for file in source_files(find_package(package)):
        if len(pairs) >= config.max_pairs_per_package:
            break
        try:
            docstrings = read_docstrings(package, file)
        except ValueError:
            left_out["file cannot be parsed"] += 1
            continue
        for pair in (pair_from(docstring, config) for docstring in docstrings):
            if isinstance(pair, str):
                left_out[pair] += 1
            else:
                pairs.append(pair)
    return pairs


def _refuse_query(query: str, config: DocstringsData) -> str | None:
    count = len(query.split())
    if _SIGNATURE.search(query) or _UNDERLINE.search(query):
        return "summary is a signature"
    if count < config.min_query_words:
        return "summary too short"
    return "summary too long" if count > config.max_query_words else None


def _encodes(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:  # lone surrogates, written as escapes in some sources
        return False
    return True


def _split_modules(pairs: Sequence[Pair], config: DocstringsData) -> list[SplitName]:
    shares: dict[SplitName, float] = {"test": config.test_fraction, "validation": config.validation_fraction}
    assigned = hold_out(Counter(pair.module for pair in pairs), shares, seed=config.split_seed)
    splits = [assigned[pair.module] for pair in pairs]
    assert set(splits) <= set(SPLITS)
    return splits
