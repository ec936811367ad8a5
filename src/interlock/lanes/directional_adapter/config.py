"""What a user may say about a directional adapter: `lane.*` of kind `directional_adapter`. Torch-free."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from interlock.contracts.base import Contract
from interlock.contracts.lane import LaneBody
from interlock.lanes.passages.config import PassagesData
from interlock.lanes.training.config import AdamW, TrainerConfig


class HashedPassages(Contract):
    """Passages as weighted bags of hashed features, the small words and the places at both ends included."""

    kind: Literal["hashed"]
    buckets: Annotated[int, Field(ge=64, le=2**24)] = 2**15
    """Number of buckets that features are hashed into."""
    bigrams: bool = True
    """Count pairs of neighbouring words."""
    edge_words: Annotated[int, Field(ge=0, le=16)] = 4
    """Words at the beginning of a passage that count once more by their place, and half as many at its end."""
    max_features: Annotated[int, Field(ge=8, le=65_536)] = 1024
    """Distinct features kept of one passage."""
    min_passages: Annotated[int, Field(ge=1)] = 3
    """Features that stand in fewer training passages count for nothing."""


class Adapter(Contract):
    """A small head over hashed passages. Its answer to a pair and to the reversed pair add up to 1 by construction."""

    kind: Literal["adapter"]
    encoder: HashedPassages
    """Turns a passage into features."""
    dimensions: Annotated[int, Field(ge=1, le=1024)] = 32
    """Width of the learned encoding of a passage."""
    hidden: Annotated[int, Field(ge=1, le=4096)] = 64
    """Width of the layer that compares two encodings."""
    dropout: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.3
    """Share of encoding and of hidden units left out in training."""
    feature_dropout: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.3
    """Share of a passage's features left out in training."""


class OrderTrainer(TrainerConfig):
    """The training loop with what this lane adds."""

    limit_pairs: Annotated[int, Field(ge=100)] | None = None
    """Pairs of each split that training sees at most, chosen by the run's seed; null takes all. For quick looks."""


class DirectionalAdapter(LaneBody):
    """Configuration of the lane `directional_adapter`."""

    kind: Literal["directional_adapter"]
    data: PassagesData
    """Ordered passages."""
    model: Adapter
    """What is trained."""
    optimizer: AdamW
    """How it is trained."""
    trainer: OrderTrainer
    """For how long, in which batches."""

    @model_validator(mode="after")
    def _takes_no_inputs(self) -> "DirectionalAdapter":
        if self.inputs:
            raise ValueError(f"this lane takes no inputs, but {', '.join(sorted(self.inputs))} is set; remove it")
        return self
