"""What a user may say about a query tower: `lane.*` of kind `query_tower`. Torch-free.

Each part is a union on `kind`, so that another encoder or optimiser is one more class here and one more module beside.
Combinations that cannot work are refused when the configuration is composed, not hours later.
"""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from interlock.contracts.base import Contract
from interlock.contracts.lane import LaneBody
from interlock.lanes.retrieval.datasets.config import RetrievalData
from interlock.lanes.training.config import AdamW, TrainerConfig

Factor = Annotated[float, Field(gt=0.0, le=100.0)]


class FeatureWeights(Contract):
    """How much a kind of feature counts before idf."""

    word: Factor = 1.0
    """Factor of stemmed words."""
    identifier: Factor = 0.5
    """Factor of whole compound identifiers."""
    bigram: Factor = 0.5
    """Factor of pairs of neighbouring words."""
    char_ngram: Factor = 0.2
    """Factor of character n-grams."""


class LexicalPart(Contract):
    """The part of a hashed encoder that compares words: a fixed signed sketch of the weighted features."""

    dimensions: Annotated[int, Field(ge=16, le=65_536)] = 4096
    """Width of the sketch; its noise falls with the square root."""
    copies: Annotated[int, Field(ge=1, le=16)] = 4
    """Places of the sketch that each bucket is added to."""
    own_share: Annotated[float, Field(ge=0.0, le=0.9)] = 0.25
    """Share of the sketch's columns that belong to one bucket each: those that weigh most in training documents."""
    idf_power: Annotated[float, Field(ge=0.0, le=2.0)] = 0.65
    """Exponent of the inverse document frequency."""
    query_count_max: Annotated[float, Field(ge=1.0)] = 2.0
    """Counts in queries above this count as this."""
    k1: Annotated[float, Field(gt=0.0, le=100.0)] = 1.0
    """Where counts in documents saturate (BM25)."""
    b: Annotated[float, Field(ge=0.0, le=1.0)] = 0.9
    """Share of the length correction in documents (BM25)."""
    pivot: Annotated[float, Field(ge=0.0, le=100.0)] = 2.0
    """Documents are divided by the root of squared norm plus squared pivot, in medians of the training norms; 0 is the
    plain cosine, more of it favours long documents less harshly."""
    gain_epochs: Annotated[int, Field(ge=0, le=1000)] = 8
    """Passes over the training queries in which it is learned how much each of their features counts; 0 leaves it at
    idf. Many passes overfit."""
    gain_lr: Annotated[float, Field(gt=0.0, le=10.0)] = 0.02
    """Peak learning rate of those passes (Adam, falling linearly)."""

    @property
    def own_columns(self) -> int:
        """Columns of the sketch that belong to one bucket each."""
        return int(self.dimensions * self.own_share)


class SemanticPart(Contract):
    """The part of a hashed encoder that is trained: one row per word bucket, summed and scaled to length 1."""

    dimensions: Annotated[int, Field(ge=2, le=4096)] = 256
    """Width of the learned table."""
    mix: Annotated[float, Field(ge=0.0, le=100.0)] = 0.05
    """Weight of the learned similarity beside the lexical one when searching."""
    dropout: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.0
    """Share of word occurrences left out of a text in training."""


class HashedEncoder(Contract):
    """Trained from scratch: hashed features, a lexical sketch and a learned table. Downloads nothing."""

    kind: Literal["hashed"]
    buckets: Annotated[int, Field(ge=64, le=2**24)] = 2**16
    """Number of buckets that features are hashed into."""
    identifiers: bool = False
    """Count compound identifiers (`read_csv`) also as a whole."""
    bigrams: bool = True
    """Count pairs of neighbouring words."""
    char_ngrams: tuple[int, int] | None = (4, 4)
    """Shortest and longest character n-gram inside a word; null counts none."""
    max_features: Annotated[int, Field(ge=8, le=65_536)] = 2048
    """Distinct features kept of one text."""
    weights: FeatureWeights = FeatureWeights()
    """How much each kind of feature counts."""
    lexical: LexicalPart = LexicalPart()
    """The part that compares words."""
    semantic: SemanticPart = SemanticPart()
    """The part that compares meanings."""

    @model_validator(mode="after")
    def _ngrams(self) -> "HashedEncoder":
        if self.char_ngrams is not None and not 1 <= self.char_ngrams[0] <= self.char_ngrams[1] <= 16:
            raise ValueError(f"char_ngrams {list(self.char_ngrams)} must be [shortest, longest] with 1 <= both <= 16")
        return self


class TransformerEncoder(Contract):
    """A pretrained sentence-transformers or Hugging Face model, fine-tuned. Needs `pip install interlock[hf]`."""

    kind: Literal["transformer"]
    name: str
    """Name on the model hub, or a folder (relative paths start at the workspace)."""
    revision: str | None = None
    """Commit of the model on the hub; null takes its default branch. Pin it for a reproducible run."""
    max_tokens: Annotated[int, Field(ge=8, le=65_536)] = 256
    """Longer texts are cut."""
    query_prefix: str = ""
    """Put before every query, e.g. `query: ` for E5 models."""
    document_prefix: str = ""
    """Put before every document."""
    offline: bool = True
    """Never ask the hub: use folders and what is cached already."""


class VectorsEncoder(Contract):
    """For datasets of vectors: a learned linear map per role on the given vectors, starting at the identity."""

    kind: Literal["vectors"]


Encoder = Annotated[HashedEncoder | TransformerEncoder | VectorsEncoder, Field(discriminator="kind")]


class Echo(Contract):
    """The Echo-Loop head: a linear map from the tower's vectors back to a frozen reference, fitted by ridge regression.

    For texts the reference is mean-centred LSA of the training texts; for vector datasets it is the given vectors,
    mean-centred. Neither is trained by the tower.
    """

    reference_dimensions: Annotated[int, Field(ge=2, le=1024)] = 64
    """Width of the LSA reference; not used for vector datasets."""
    ridge: Annotated[float, Field(gt=0.0, le=1e6)] = 3.0
    """Penalty on the squared weights of the map."""
    max_texts: Annotated[int, Field(ge=100)] = 20_000
    """Training texts the map is fitted on at most, chosen by the run's seed."""


class Tower(Contract):
    """One encoder for queries and documents, with an Echo-Loop head."""

    kind: Literal["tower"]
    encoder: Encoder
    """Turns a text into a vector of length 1."""
    echo: Echo = Echo()
    """The way back to the reference."""


class TowerTrainer(TrainerConfig):
    """The training loop with what a contrastive loss needs."""

    temperature: Annotated[float, Field(gt=0.0, le=10.0)] = 0.05
    """Similarities are divided by this before the softmax over candidates."""
    limit_pairs: Annotated[int, Field(ge=100)] | None = None
    """Pairs of each split that training sees at most, chosen by the run's seed; null takes all. For quick looks."""
    hard_negatives: Annotated[int, Field(ge=0, le=64)] = 2
    """Mined negatives drawn for each query and step, besides the other documents of the batch; 0 mines none."""
    hard_negative_pool: Annotated[int, Field(ge=1, le=1000)] = 30
    """Mined negatives kept for each query: the nearest training documents, before training, that do not answer it."""
    hard_negative_skip: Annotated[int, Field(ge=0, le=1000)] = 0
    """Nearest ones left out of the pool: in sparsely judged data they are often unmarked answers."""


class QueryTower(LaneBody):
    """Configuration of the lane `query_tower`."""

    kind: Literal["query_tower"]
    data: RetrievalData
    """The dataset."""
    model: Tower
    """What is trained."""
    optimizer: AdamW
    """How it is trained."""
    trainer: TowerTrainer
    """For how long, in which batches, with which negatives."""

    @model_validator(mode="after")
    def _fits_together(self) -> "QueryTower":
        data, encoder = self.data.kind, self.model.encoder.kind
        if (data == "npz") != (encoder == "vectors"):
            need = "vectors" if data == "npz" else "hashed or transformer"
            raise ValueError(
                f"data of kind {data} cannot be read by an encoder of kind {encoder}: "
                f"set lane.model.encoder.kind to {need}, or choose other data"
            )
        if self.inputs:
            raise ValueError(f"this lane takes no inputs, but {', '.join(sorted(self.inputs))} is set; remove it")
        return self
