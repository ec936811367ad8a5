"""What a user may say about a retrieval dataset: `lane.data`, a union on `kind`.

Holds no defaults that depend on the machine and imports nothing heavy, so that composing stays fast. Does not look
at the data: whether a path exists is found out by the prepare stage.
"""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from interlock.contracts.base import Contract
from interlock.contracts.measurement import Sha256

Fraction = Annotated[float, Field(gt=0.0, lt=0.5)]
SplitName = Literal["train", "validation", "test"]
SPLITS: tuple[SplitName, ...] = ("train", "validation", "test")


class DataBase(Contract):
    """What every source shares."""

    validation_fraction: Fraction = 0.1
    """Share of queries held out for validation, by whole groups, where the source brings no such split."""
    test_fraction: Fraction = 0.15
    """Share of queries held out for test, by whole groups, where the source brings no such split."""
    split_seed: Annotated[int, Field(ge=0)] = 0
    """Chooses which groups are held out; independent of the run's seed, so that seeds share one test set."""
    sha256: Sha256 | None = None
    """Pinned digest of the prepared content (`sha256` of the dataset card); null accepts what is found."""


class DocstringsData(DataBase):
    """Summary line -> body, from the documentation of installed packages. Needs no network."""

    kind: Literal["docstrings"]
    packages: Annotated[tuple[str, ...], Field(min_length=1)]
    """Distribution names as pip knows them, e.g. `scikit-learn`; their order does not matter."""
    max_pairs: Annotated[int, Field(ge=3)] = 12_000
    """Most pairs kept in all, chosen by whole modules."""
    max_pairs_per_package: Annotated[int, Field(ge=1)] = 1_000
    """Most candidate pairs read from one package, so that none dominates; read by whole modules."""
    min_query_words: Annotated[int, Field(ge=1)] = 4
    """Shortest summary that is a query, in words."""
    max_query_words: Annotated[int, Field(ge=1)] = 40
    """Longest summary that is a query, in words."""
    min_document_words: Annotated[int, Field(ge=1)] = 15
    """Shortest body that is a document, in words."""
    max_document_words: Annotated[int, Field(ge=1)] = 200
    """Longer bodies are cut after this many words."""
    near_duplicate_similarity: Annotated[float, Field(ge=0.5, le=1.0)] = 0.8
    """Jaccard similarity of word triples from which two bodies count as copies; one of them is removed."""

    @model_validator(mode="after")
    def _sensible(self) -> "DocstringsData":
        for what in ("query", "document"):
            low, high = getattr(self, f"min_{what}_words"), getattr(self, f"max_{what}_words")
            if low > high:
                raise ValueError(f"min_{what}_words {low} is over max_{what}_words {high}")
        if len(set(self.packages)) != len(self.packages):
            raise ValueError("packages names a package twice")
        return self


class BeirSplits(Contract):
    """Which file under `qrels/` (without `.tsv`) serves as which split.

    Only a test file? `{train: test, validation: null, test: null}` divides it into all three.
    """

    train: str = "train"
    """Judgements to learn from."""
    validation: str | None = None
    """Judgements for early stopping; null holds out `validation_fraction` of the training groups."""
    test: str | None = "test"
    """Held-out judgements; null holds out `test_fraction` of the training groups."""

    @model_validator(mode="after")
    def _distinct(self) -> "BeirSplits":
        names = [name for name in (self.train, self.validation, self.test) if name is not None]
        if len(set(names)) != len(names):
            raise ValueError("two splits name the same qrels file; use null to hold a share of the training file out")
        return self


class BeirData(DataBase):
    """A BEIR folder: `corpus.jsonl[.gz]`, `queries.jsonl[.gz]`, `qrels/*.tsv`."""

    kind: Literal["beir"]
    path: str
    """The folder; relative paths start at the workspace, `data://name` at `INTERLOCK_DATA_DIR`."""
    name: str
    """Name of the dataset in cards and reports, e.g. `scifact`."""
    licence: str = "not stated"
    """Licence note for the dataset card."""
    splits: BeirSplits = BeirSplits()
    """Which qrels file serves as which split."""
    group_field: str | None = "title"
    """Corpus field whose documents stay together when a share is held out; null groups by document alone."""
    empty: Literal["refuse", "drop"] = "refuse"
    """What happens to documents and queries without text: one error, or left out and counted in the card."""
    near_duplicate_similarity: Annotated[float, Field(ge=0.5, le=1.0)] = 0.8
    """Jaccard similarity of word triples from which the answers of two splits count as copies; the query of the
    earlier split (train before validation before test) is left out."""


class NpzData(DataBase):
    """Vectors and ids in one `.npz` file (no pickles); see `npz.py` for the arrays."""

    kind: Literal["npz"]
    path: str
    """The file; relative paths start at the workspace, `data://name` at `INTERLOCK_DATA_DIR`."""
    name: str
    """Name of the dataset in cards and reports."""
    licence: str = "not stated"
    """Licence note for the dataset card."""
    max_bytes: Annotated[int, Field(ge=1)] = 16 * 2**30
    """Most bytes that the arrays may declare together once unpacked; more is refused before reading."""


RetrievalData = Annotated[DocstringsData | BeirData | NpzData, Field(discriminator="kind")]
"""The type of `lane.data` in retrieval lanes."""
