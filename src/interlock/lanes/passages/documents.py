"""A document: passages that follow each other without a gap. What sources produce and lanes read. Plain data."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from interlock.lanes.retrieval.datasets.card import Source
from interlock.lanes.retrieval.datasets.config import SplitName


@dataclass(frozen=True, kw_only=True, order=True)
class Document:
    """Consecutive passages of one source text; what is left out of a text divides it into several."""

    identifier: str
    """Unique: the source text's name, and behind an `@` the place of the first passage where that is not 0."""
    group: str
    """What stays in one split whole: the module, the story."""
    first: int
    """Place of the first passage in its source text; 0 opens the text."""
    passages: tuple[str, ...]
    """At least two texts, in their order."""


@dataclass(frozen=True, kw_only=True)
class Text:
    """A source text as it was read: its passages by place, with holes where something was left out."""

    identifier: str
    group: str
    passages: tuple[str | None, ...]
    split: SplitName | None = None
    """The split that the source puts it in; None where prepare decides."""

    def without(self, places: Sequence[int]) -> "Text":
        """The same text with more holes."""
        gone = set(places)
        return replace(self, passages=tuple(None if at in gone else text for at, text in enumerate(self.passages)))

    def opening(self, count: int | None) -> "Text":
        """Its first `count` places alone; None keeps all."""
        return replace(self, passages=self.passages[:count])

    @property
    def has_documents(self) -> bool:
        """Whether any two consecutive passages are left."""
        return any(True for _ in self.documents())

    def documents(self) -> Iterator[Document]:
        """Every run of two or more passages without a hole."""
        start: int | None = None
        for place, passage in enumerate((*self.passages, None)):
            if passage is not None and start is None:
                start = place
            elif passage is None and start is not None:
                if place - start >= 2:
                    yield self._document(start, place)
                start = None

    def _document(self, start: int, stop: int) -> Document:
        passages = tuple(passage for passage in self.passages[start:stop] if passage is not None)
        name = f"{self.identifier}@{start}" if start else self.identifier
        return Document(identifier=name, group=self.group, first=start, passages=passages)


@dataclass(frozen=True, kw_only=True)
class Found:
    """What a source read."""

    name: str
    """Name of the dataset."""
    texts: list[Text]
    """Every text with at least one passage, ordered by identifier."""
    sources: tuple[Source, ...]
    """Where it came from."""
    licence: str
    """Licence note."""
    cleaning: tuple[str, ...]
    """What was taken out of the texts, in sentences for the card."""
    left_out: dict[str, int] = field(default_factory=dict)
    """Counts by reason."""
