"""What a user may say about a next-vector predictor: `lane.*` of kind `lvm`. Torch-free."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from interlock.contracts.base import Contract
from interlock.contracts.lane import LaneBody
from interlock.lanes.passages.config import PassagesData
from interlock.lanes.training.config import AdamW, TrainerConfig


class LsaVectors(Contract):
    """Mean-centred latent semantic analysis of the training passages; downloads nothing, and no loss ever trains it."""

    kind: Literal["lsa"]
    dimensions: Annotated[int, Field(ge=2, le=1024)] = 64
    """Width of the vectors."""


class Predictor(Contract):
    """What both kinds of predictor share."""

    encoder: LsaVectors
    """Turns passages into the vectors that are read and predicted; frozen."""
    width: Annotated[int, Field(ge=4, le=4096)] = 128
    """Width of the hidden states."""
    layers: Annotated[int, Field(ge=1, le=32)] = 1
    """Layers, one above the other."""
    dropout: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.2
    """Share of hidden values set to zero in training."""


class Recurrent(Predictor):
    """Gated recurrent units (Cho et al. 2014): one state that is carried from passage to passage."""

    kind: Literal["recurrent"]


class CausalTransformer(Predictor):
    """Self-attention over the passages so far, biased by distance (ALiBi, Press et al. 2022) for any length."""

    kind: Literal["causal_transformer"]
    heads: Annotated[int, Field(ge=1, le=64)] = 4
    """Attention heads of a layer; `width` is divided among them."""

    @model_validator(mode="after")
    def _heads_divide_the_width(self) -> "CausalTransformer":
        if self.width % self.heads:
            raise ValueError(f"width {self.width} cannot be divided among {self.heads} heads")
        return self


class SequenceTrainer(TrainerConfig):
    """The training loop over pieces of documents; an example is one piece."""

    window: Annotated[int, Field(ge=2, le=4096)] = 32
    """Predictions in one piece of a document in training. Evaluation always reads the whole document."""


class Lvm(LaneBody):
    """Configuration of the lane `lvm`."""

    kind: Literal["lvm"]
    data: PassagesData
    """The documents."""
    model: Annotated[Recurrent | CausalTransformer, Field(discriminator="kind")]
    """What is trained."""
    optimizer: AdamW
    """How it is trained."""
    trainer: SequenceTrainer
    """For how long, in which pieces."""
