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
from importlib.metadata import PackagePath

import numpy as np
from numpy.typing import NDArray

from interlock.errors import DataError
from interlock.lanes.retrieval.datasets.card import Source
from interlock.lanes.retrieval.datasets.config import DocstringsData, SplitName
from interlock.lanes.retrieval.datasets.docstring_files import (
    Docstring,
    collector_paused,
    each_package,
    open_package,
    read_docstrings,
)
from interlock.lanes.retrieval.datasets.duplicates import Signatures, families, normalised, signatures
from interlock.lanes.retrieval.datasets.origin import Origin
from interlock.lanes.retrieval.datasets.splits import Links, components, hold_out
from interlock.lanes.retrieval.datasets.text_lines import encodes
from interlock.lanes.retrieval.datasets.writer import PreparedWriter
from interlock.lanes.spec import Progress

RELATED_SIMILARITY = 0.5
"""Modules stay in one split when a body of one shares half of its word triples with a body of the other."""
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
    pairs = distinct_questions(pairs, left_out)
    found = signatures([pair.document for pair in pairs])
    rows = one_per_family(found, config.near_duplicate_similarity)
    left_out["body is a near copy"] += (near := len(pairs) - len(rows))
    rows = rows[within_limit([pairs[row].module for row in rows], config.max_pairs, seed=config.split_seed)]
    left_out["over max_pairs"] += len(pairs) - near - len(rows)
    kept = [pairs[row] for row in rows]
    _write(kept, split_modules([pair.module for pair in kept], found[rows], config), writer)
    return Origin(
        name="docstrings",
        sources=tuple(sources),
        near_duplicates_removed=near,
        left_out=dict(left_out),
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
    if not encodes(query + document):
        return "not valid Unicode"
    return Pair(docstring.identifier, docstring.module, query, document)


def first_words(text: str, count: int) -> str:
    """`text` cut after `count` words, keeping its lines."""
    for number, word in enumerate(re.finditer(r"\S+", text), start=1):
        if number == count:
            return text[: word.end()]
    return text


def distinct_questions(pairs: Iterable[Pair], left_out: Counter[str]) -> list[Pair]:
    """Pairs sorted by identifier, the first of each normalised question: a question has one answer."""
    questions: set[str] = set()
    distinct = []
    for pair in sorted(pairs):
        question = normalised(pair.query)
        if question in questions:
            left_out["summary seen before"] += 1
        else:
            questions.add(question)
            distinct.append(pair)
    return distinct


def one_per_family(found: Signatures, similarity: float) -> NDArray[np.int64]:
    """Rows of the first member of each family of near copies, ascending."""
    rows: NDArray[np.int64] = np.sort(np.unique(families(found, similarity), return_index=True)[1])
    return rows


def within_limit(modules: Sequence[str], most: int, *, seed: int) -> NDArray[np.bool_]:
    """Mark at most `most` rows, by whole modules in hash order, so that what stays is still complete modules."""
    sizes, total = Counter(modules), 0
    kept: set[str] = set()
    for module in sorted(sizes, key=lambda name: hashlib.sha256(f"{seed}/limit/{name}".encode()).digest()):
        if total + sizes[module] <= most:
            kept.add(module)
            total += sizes[module]
    return np.array([module in kept for module in modules], np.bool_)


def split_modules(modules: Sequence[str], found: Signatures, config: DocstringsData) -> list[SplitName]:
    """Assign each pair to a split by whole modules; modules whose bodies resemble each other stay together."""
    number = {module: row for row, module in enumerate(sorted(set(modules)))}
    module = np.array([number[name] for name in modules], np.int64)
    families_of_bodies = families(found, min(RELATED_SIMILARITY, config.near_duplicate_similarity))
    groups = components(len(number), Links(module, families_of_bodies))
    names = {int(group): name for name, group in sorted(zip(number, groups, strict=True), reverse=True)}
    group_of = [names[int(groups[row])] for row in module]  # named by its first module: independent of numbering
    shares: dict[SplitName, float] = {"test": config.test_fraction, "validation": config.validation_fraction}
    assigned = hold_out(Counter(group_of), shares, seed=config.split_seed)
    return [assigned[group] for group in group_of]


def _write(pairs: Sequence[Pair], splits: Sequence[SplitName], writer: PreparedWriter) -> None:
    identifiers = [pair.identifier for pair in pairs]
    writer.add_documents(identifiers, [pair.document for pair in pairs])
    writer.add_queries(identifiers, [pair.query for pair in pairs], splits)
    writer.add_qrels(identifiers, identifiers, [1] * len(pairs))


def _read_packages(
    config: DocstringsData, left_out: Counter[str], progress: Progress
) -> tuple[list[Pair], list[Source]]:
    """Read many packages side by side, since parsing takes most of the time; results come in the packages' order."""
    pairs: list[Pair] = []
    sources = []
    for source, ours, dropped in each_package(_read_package, config.packages, config, progress=progress):
        sources.append(source)
        pairs += ours
        left_out.update(dropped)
    return pairs, sources


def _read_package(package: str, config: DocstringsData) -> tuple[Source, list[Pair], Counter[str]]:
    """One package in a process of its own. Raises DataError when it is missing or holds no usable docstring."""
    source, files = open_package(package)
    left_out: Counter[str] = Counter()
    with collector_paused():
        pairs = _read_files(package, files, config=config, left_out=left_out)
    if not pairs:
        raise DataError(
            "the package holds no usable docstring",
            key="lane.data.packages",
            value=package,
            hint="take it out of the list, or lower min_document_words",
        )
    return source, pairs, left_out


def _read_files(
    package: str, files: Sequence[PackagePath], *, config: DocstringsData, left_out: Counter[str]
) -> list[Pair]:
    pairs: list[Pair] = []
    for file in files:
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
