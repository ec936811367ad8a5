"""The card of prepared passages: what was prepared, from where, what was taken out, whether the splits are clean."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from interlock.contracts.base import Contract
from interlock.contracts.measurement import Sha256
from interlock.lanes.retrieval.datasets.card import Source, WordStats, read_card_as

CARD_NAME = "dataset_card.json"
Count = Annotated[int, Field(ge=0)]


class PassageCounts(Contract):
    """Size of one split."""

    documents: Count
    """Documents: runs of at least two consecutive passages."""
    passages: Count
    """Passages."""
    groups: Count
    """Modules or stories that they come from."""


class PassageCheck(Contract):
    """What reading the finished folder back found; all zero means that the splits are clean."""

    repeated_documents: Count
    """Document ids that occur more than once."""
    shared_groups: Count
    """Modules or stories that stand in more than one split."""
    shared_near_duplicates: Count
    """Families of near copies among passages of 8 words or more that reach over splits; shorter phrases recur."""
    empty_splits: tuple[str, ...]
    """Splits without a document."""

    @property
    def correct(self) -> bool:
        """True when nothing is shared and no split is empty: the fact behind the check `splits_correct`."""
        shared = self.repeated_documents + self.shared_groups + self.shared_near_duplicates
        return shared == 0 and not self.empty_splits


class PassagesCard(Contract):
    """`dataset_card.json`, written last: its presence means that the folder is complete."""

    format_version: Literal[1] = 1
    """Version of the prepared folder's layout."""
    name: str
    """Name of the dataset."""
    kind: Literal["documentation", "stories"]
    """Kind of source."""
    sha256: Sha256
    """Digest of the content in prepared order: documents, groups, splits, places, texts. Independent of the Parquet
    encoding; not of names, licences or versions."""
    documents: Count
    """Documents in all."""
    passages: Count
    """Passages in all."""
    splits: dict[str, PassageCounts]
    """Sizes by split."""
    passage_words: WordStats
    """Lengths of passages."""
    cleaning: tuple[str, ...]
    """What was taken out of the texts, so that their order does not show in the formatting."""
    left_out: dict[str, Count]
    """Everything left out, by reason."""
    split_check: PassageCheck
    """Whether the splits are disjoint."""
    sources: tuple[Source, ...]
    """Where the data came from."""
    licence: str
    """Licence note."""


def read_card(folder: Path) -> PassagesCard:
    """Read the card. Raises DataError when the folder is unfinished or the card is not one."""
    return read_card_as(PassagesCard, folder / CARD_NAME, what="card of passages")
