"""Passages out of the documentation of installed packages: the dataset that needs no network.

A document is a run of consecutive paragraphs of prose in one docstring; its group is the module. Near copies of a
paragraph are left out wherever they stand, but for the first. The result depends on the packages' files alone: not on
where they are installed, the order in which the configuration names them, or the process.

Does not see documentation in compiled modules or made at run time.
"""

from collections import Counter
from itertools import islice

from interlock.errors import DataError
from interlock.lanes.passages.config import DocumentationData
from interlock.lanes.passages.documents import Found, Text
from interlock.lanes.passages.prose import CLEANING, Hole, paragraphs
from interlock.lanes.retrieval.datasets.card import Source
from interlock.lanes.retrieval.datasets.docstring_files import (
    Docstring,
    collector_paused,
    each_package,
    open_package,
    read_docstrings,
)
from interlock.lanes.spec import Progress

_Read = tuple[Source, list[Text], Counter[str]]


def read_documentation(config: DocumentationData, *, progress: Progress) -> Found:
    """Read every package. Raises DataError for packages that are missing or hold no two consecutive paragraphs."""
    texts: list[Text] = []
    sources = []
    left_out: Counter[str] = Counter()
    for source, ours, dropped in each_package(_read_package, config.packages, config, progress=progress):
        sources.append(source)
        texts += ours
        left_out.update(dropped)
    return Found(
        name="documentation",
        texts=sorted(texts, key=lambda text: text.identifier),
        sources=tuple(sources),
        licence="documentation of the packages named in sources, each under its own licence",
        cleaning=CLEANING,
        left_out=dict(left_out),
    )


def text_from(docstring: Docstring, config: DocumentationData) -> tuple[Text, list[Hole]]:
    """What a docstring holds, and its holes with their reasons."""
    found = paragraphs(docstring.text, min_words=config.min_words, max_words=config.max_words)
    blocks = list(islice(found, config.opening))
    passages = tuple(None if isinstance(block, Hole) else block for block in blocks)
    text = Text(identifier=docstring.identifier, group=docstring.module, passages=passages)
    return text, [block for block in blocks if isinstance(block, Hole)]


def _read_package(package: str, config: DocumentationData) -> _Read:
    source, files = open_package(package)
    texts: list[Text] = []
    left_out: Counter[str] = Counter()
    with collector_paused():
        for file in files:
            if len(texts) >= config.max_documents_per_package:
                break
            try:
                docstrings = read_docstrings(package, file)
            except ValueError:
                left_out["file cannot be parsed"] += 1
                continue
            for docstring in docstrings:
                text, holes = text_from(docstring, config)
                left_out.update(hole.reason for hole in holes)
                if text.has_documents:
                    texts.append(text)
                else:
                    left_out["text without two consecutive passages"] += 1
    if not texts:
        raise DataError(
            "the package's documentation holds no two consecutive paragraphs of prose",
            key="lane.data.packages",
            value=package,
            hint="take it out of the list",
        )
    return source, texts, left_out
