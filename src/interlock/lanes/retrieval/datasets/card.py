"""The dataset card: what was prepared, from where, what was left out, and whether the splits are clean."""

from pathlib import Path
from typing import Annotated, Literal, TypeVar

from pydantic import Field, ValidationError

from interlock.contracts.base import Contract
from interlock.contracts.measurement import Sha256
from interlock.errors import DataError

CARD_NAME = "dataset_card.json"
Count = Annotated[int, Field(ge=0)]
Card = TypeVar("Card", bound=Contract)


class Source(Contract):
    """One thing that the data came from."""

    name: str
    """Package or file name, without machine paths."""
    version: str = ""
    """Version of the package; empty for files."""
    sha256: Sha256 | None = None
    """Digest of the file; None for packages."""
    licence: str = ""
    """Licence as the source states it; empty when it states none."""


class SplitCounts(Contract):
    """Size of one split."""

    queries: Count
    """Queries."""
    positives: Count
    """(query, document) pairs with relevance above zero."""


class WordStats(Contract):
    """Lengths in whitespace-separated words; all zero where there is no text."""

    mean: float
    """Mean, rounded to two decimals."""
    median: Count
    """Median (lower)."""
    p95: Count
    """95th percentile (lower)."""
    max: Count
    """Longest."""


class SplitCheck(Contract):
    """What reading the finished folder back found; all zero means that the splits are clean."""

    repeated_query_ids: Count
    """Query ids that occur more than once."""
    shared_query_texts: Count
    """Normalised query texts that occur in more than one split."""
    shared_documents: Count
    """Documents that answer queries of more than one split."""
    shared_near_duplicates: Count
    """Families of near-copies among the answers that reach over splits."""
    empty_splits: tuple[str, ...]
    """Splits without a query."""

    @property
    def correct(self) -> bool:
        """True when nothing is shared and no split is empty: the fact behind the check `splits_correct`."""
        shared = self.shared_query_texts + self.shared_documents + self.shared_near_duplicates
        return self.repeated_query_ids + shared == 0 and not self.empty_splits


class DatasetCard(Contract):
    """`dataset_card.json`, written last: its presence means that the folder is complete."""

    format_version: Literal[1] = 1
    """Version of the prepared folder's layout."""
    name: str
    """Name of the dataset."""
    kind: Literal["docstrings", "beir", "npz"]
    """Kind of source."""
    sha256: Sha256
    """Digest of the content in prepared order: documents, queries, splits, judgements, vectors. Independent of
    Parquet encoding and batch size; not of names, licences or versions."""
    tables: dict[str, Sha256]
    """The digest of each part, from which `sha256` follows."""
    documents: Count
    """Documents in the corpus."""
    splits: dict[str, SplitCounts]
    """Sizes by split."""
    dimensions: Count | None = None
    """Width of the vectors; None for text."""
    query_words: WordStats
    """Lengths of queries."""
    document_words: WordStats
    """Lengths of documents."""
    near_duplicates_removed: Count
    """Items left out because a near-copy stands elsewhere."""
    left_out: dict[str, Count]
    """Everything left out, by reason."""
    split_check: SplitCheck
    """Whether the splits are disjoint."""
    sources: tuple[Source, ...]
    """Where the data came from."""
    licence: str
    """Licence note."""


def read_card(folder: Path) -> DatasetCard:
    """Read the card. Raises DataError when the folder is unfinished or the card is not one."""
    return read_card_as(DatasetCard, folder / CARD_NAME, what="dataset card")


def read_card_as(model: type[Card], path: Path, *, what: str) -> Card:
    """Read a card of some kind; `what` names the kind. Raises DataError as `read_card` does."""
    try:
        return model.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        raise DataError("no dataset card: the folder is unfinished", path=path, hint="run prepare again") from None
    except ValidationError as error:
        first = error.errors()[0]
        raise DataError(
            f"not a {what}: {first['msg']}",
            path=path,
            key=".".join(str(part) for part in first["loc"]),
            hint="run prepare again",
        ) from None
