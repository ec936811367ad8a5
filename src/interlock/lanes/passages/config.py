"""What a user may say about ordered passages: `lane.data` of lanes that learn from order, a union on `kind`.

Imports nothing heavy. Does not look at the data: whether a path exists is found out by the prepare stage.
"""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from interlock.contracts.base import Contract
from interlock.contracts.measurement import Sha256
from interlock.lanes.retrieval.datasets.config import Fraction

Words = Annotated[int, Field(ge=1, le=100_000)]


class PassagesBase(Contract):
    """What every source shares."""

    opening: Annotated[int, Field(ge=2)] | None = None
    """Passages kept of each document's beginning; null keeps all."""
    min_words: Words = 5
    """Shortest passage, in words; a shorter one is left out, and its neighbours do not become neighbours."""
    max_words: Words = 150
    """Longest passage, in words; a longer one is left out, never cut."""
    near_duplicate_similarity: Annotated[float, Field(ge=0.5, le=1.0)] = 0.8
    """Jaccard similarity of word triples from which two passages count as copies."""
    sha256: Sha256 | None = None
    """Pinned digest of the prepared content (`sha256` of the dataset card); null accepts what is found."""

    @model_validator(mode="after")
    def _lengths_in_order(self) -> "PassagesBase":
        if self.min_words > self.max_words:
            raise ValueError(f"min_words {self.min_words} is over max_words {self.max_words}")
        return self


class DocumentationData(PassagesBase):
    """Paragraphs of prose from the documentation of installed packages. Needs no network."""

    kind: Literal["documentation"]
    packages: Annotated[tuple[str, ...], Field(min_length=1)]
    """Distribution names as pip knows them, e.g. `scikit-learn`; their order does not matter."""
    max_documents_per_package: Annotated[int, Field(ge=1)] = 2_000
    """Documents read from one package before no further file of it is opened, so that none dominates."""
    validation_fraction: Fraction = 0.1
    """Share of documents held out for validation, by whole modules."""
    test_fraction: Fraction = 0.15
    """Share of documents held out for test, by whole modules."""
    split_seed: Annotated[int, Field(ge=0)] = 0
    """Chooses which modules are held out; independent of the run's seed, so that seeds share one test set."""

    @model_validator(mode="after")
    def _packages_once(self) -> "DocumentationData":
        if len(set(self.packages)) != len(self.packages):
            raise ValueError("packages names a package twice")
        return self


class StoriesFiles(Contract):
    """Which file of the folder (without `.csv`) serves as which split."""

    train: str = "train"
    """Stories to learn from."""
    validation: str = "val"
    """Stories for early stopping and calibration."""
    test: str = "test"
    """Held-out stories."""

    @model_validator(mode="after")
    def _distinct(self) -> "StoriesFiles":
        if len({self.train, self.validation, self.test}) < 3:
            raise ValueError("two splits name the same file; every split needs stories of its own")
        return self


class StoriesData(PassagesBase):
    """A folder of CSV files with the columns `document_id,text`, the passages of a story in order."""

    kind: Literal["stories"]
    path: str
    """The folder; relative paths start at the workspace, `data://name` at `INTERLOCK_DATA_DIR`."""
    name: str
    """Name of the dataset in cards and reports, e.g. `fairytales`."""
    licence: str = "not stated"
    """Licence note for the dataset card."""
    splits: StoriesFiles = StoriesFiles()
    """The split that the source brings along is kept as it is."""


PassagesData = Annotated[DocumentationData | StoriesData, Field(discriminator="kind")]
"""The type of `lane.data` in lanes that learn from order."""
