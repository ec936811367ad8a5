"""What a source reports about itself after it has written its rows."""

from dataclasses import dataclass, field

from interlock.lanes.retrieval.datasets.card import Source


@dataclass(frozen=True, kw_only=True)
class Origin:
    """The part of the dataset card that only the source knows."""

    name: str
    licence: str
    sources: tuple[Source, ...]
    near_duplicates_removed: int = 0
    left_out: dict[str, int] = field(default_factory=dict)
    """Counts by reason; zero counts are dropped from the card."""
    dimensions: int | None = None
    """Width of the vectors; None for text."""
