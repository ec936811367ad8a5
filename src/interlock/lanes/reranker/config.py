"""What a user may say about a reranker: `lane.*` of kind `reranker`. Torch-free.

Each part is a union on `kind`, as in the query tower's configuration, whose datasets it shares. Combinations that
cannot work are refused when the configuration is composed.
"""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from interlock.contracts.base import Contract
from interlock.contracts.lane import LaneBody
from interlock.lanes.retrieval.datasets.config import BeirData, DocstringsData
from interlock.lanes.training.config import AdamW, TrainerConfig

FIRST_STAGE, BASELINE = "first_stage", "baseline_model"
"""Names of the inputs: the query tower that retrieves (required), a reranker to go on from (optional)."""


class Candidates(Contract):
    """The lists that are reranked: the answers of a query among what the first stage finds nearest to it."""

    size: Annotated[int, Field(ge=11, le=1000)] = 50
    """Candidates of one list, answers included."""
    false_negative_similarity: Annotated[float, Field(ge=0.3, le=1.0)] = 0.6
    """Jaccard similarity of word triples with an answer from which an unjudged candidate counts as a likely answer too
    (a false negative) and is left out of the lists, and counted."""


class RerankDocstrings(DocstringsData):
    """The documentation of installed packages; related are documents of one module (its classes included)."""

    candidates: Candidates = Candidates()
    """The lists made from it."""


class RerankBeir(BeirData):
    """Any BEIR folder; related are documents that share `group_field`."""

    candidates: Candidates = Candidates()
    """The lists made from it."""


RerankData = Annotated[RerankDocstrings | RerankBeir, Field(discriminator="kind")]


class Interaction(Contract):
    """A small network over word matches and over how the candidates of a list resemble each other.

    Trained from scratch on the first stage's features, which must be those of a hashed tower. Downloads nothing.
    """

    kind: Literal["interaction"]
    heads: Annotated[int, Field(ge=1, le=64)] = 8
    """Ways of weighing the other candidates of a list."""
    hidden: Annotated[int, Field(ge=1, le=4096)] = 64
    """Width of the hidden layer."""
    dropout: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.1
    """Share of the joint features left out in training."""


class CrossEncoder(Contract):
    """A pretrained transformer that reads query and document together. Needs `pip install interlock[hf]`."""

    kind: Literal["transformer"]
    name: str
    """Name on the model hub, or a folder (relative paths start at the workspace)."""
    revision: str | None = None
    """Commit of the model on the hub; null takes its default branch. Pin it for a reproducible run."""
    max_tokens: Annotated[int, Field(ge=8, le=65_536)] = 256
    """Longer pairs are cut at the document's end."""
    offline: bool = True
    """Never ask the hub: use folders and what is cached already."""


RerankModel = Annotated[Interaction | CrossEncoder, Field(discriminator="kind")]


class RerankTrainer(TrainerConfig):
    """The training loop with what a loss over graded lists needs."""

    soft_weight: Annotated[float, Field(ge=0.0, le=100.0)] = 2.0
    """Weight of the second half of the loss, which puts soft negatives before hard ones; 0 learns answers alone."""
    candidates_per_step: Annotated[int, Field(ge=2, le=1000)] | None = None
    """Candidates of a list that one step sees: its answers and others drawn anew; null takes all. Bounds memory."""
    unretrieved_weight: Annotated[float, Field(ge=0.0, le=1.0)] = 0.25
    """Weight of queries whose answer is not among the first `size` that the first stage found. Lists made for them hold
    it all the same, and teach that a poor match says little: more of it finds more answers in made lists, and fewer in
    the first stage's own results. 0 leaves them out."""
    limit_queries: Annotated[int, Field(ge=20)] | None = None
    """Queries of each split that training sees at most, chosen by the run's seed; null takes all. For quick looks."""


class Reranker(LaneBody):
    """Configuration of the lane `reranker`."""

    kind: Literal["reranker"]
    data: RerankData
    """The dataset, and the lists made from it; the first stage must have been trained on the same dataset."""
    model: RerankModel
    """What is trained."""
    optimizer: AdamW
    """How it is trained."""
    trainer: RerankTrainer
    """For how long, in which batches, on which lists."""

    @model_validator(mode="after")
    def _inputs_are_known(self) -> "Reranker":
        if FIRST_STAGE not in self.inputs:
            raise ValueError(
                f"lane.inputs.{FIRST_STAGE} is missing: name the query tower that retrieves, e.g. lane:query_tower"
            )
        if unknown := sorted(set(self.inputs) - {FIRST_STAGE, BASELINE}):
            raise ValueError(f"lane.inputs holds {', '.join(unknown)}; this lane knows {FIRST_STAGE} and {BASELINE}")
        return self
