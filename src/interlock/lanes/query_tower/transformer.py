"""A pretrained text encoder, fine-tuned: any sentence-transformers or Hugging Face model, by name or folder.

Needs the extra `hf`. Nothing is asked of the hub unless the configuration says so. Weights are read from safetensors
only, and no code from a model's repository is run.

Shapes: B texts, T tokens of the longest, D width of the vectors.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from interlock.errors import StageError
from interlock.lanes.query_tower.config import TransformerEncoder
from interlock.lanes.query_tower.inputs import DOCUMENT, Batch, Inputs, Rows
from interlock.lanes.training.device import quiet_libraries


class TransformerNetwork(nn.Module):
    """A sentence-transformers pipeline (transformer, pooling, ...) with unit vectors."""

    def __init__(self, pipeline: nn.Module, dimensions: int) -> None:
        super().__init__()
        self.pipeline, self.dimensions = pipeline, dimensions

    def forward(self, batch: Batch, role: int) -> Tensor:
        """[B, D] vectors of length 1."""
        vectors: Tensor = self.pipeline(dict(batch))["sentence_embedding"]
        return functional.normalize(vectors.float(), dim=1)

    def training_vectors(self, batch: Batch, role: int) -> Tensor:
        """The same: all of it is trained."""
        return self.forward(batch, role)


@dataclass(frozen=True)
class TokenInputs:
    """Texts that are tokenised when a batch is taken: `input_ids` and `attention_mask` [B, T] int64."""

    texts: Sequence[str]
    tokenize: Any

    def __len__(self) -> int:
        return len(self.texts)

    def take(self, rows: Rows) -> Batch:
        """See the class."""
        found = self.tokenize([self.texts[int(row)] for row in rows])
        return {name: value for name, value in found.items() if isinstance(value, Tensor)}


class TransformerFront:
    """Puts the role's prefix before each text."""

    def __init__(self, config: TransformerEncoder, tokenize: Any) -> None:
        self._config, self._tokenize = config, tokenize

    def inputs(self, source: Sequence[str] | NDArray[np.float32], role: int) -> TokenInputs:
        """Texts with their prefix."""
        prefix = self._config.document_prefix if role == DOCUMENT else self._config.query_prefix
        return TokenInputs([f"{prefix}{text}" for text in source], self._tokenize)

    def trained_part(self, inputs: Inputs) -> Inputs:
        """All of it."""
        return inputs


def load_transformer(config: TransformerEncoder, workspace: Path) -> tuple[TransformerNetwork, TransformerFront]:
    """Load the pretrained model. Raises StageError when the extra is missing or the model cannot be loaded."""
    model = _load(config, workspace)
    model.max_seq_length = config.max_tokens
    dimensions = model.get_embedding_dimension()
    tokenize = model.preprocess if hasattr(model, "preprocess") else model.tokenize
    network = TransformerNetwork(nn.Sequential(*model), int(dimensions))
    return network, TransformerFront(config, tokenize)


def _load(config: TransformerEncoder, workspace: Path) -> Any:
    try:
        from sentence_transformers import SentenceTransformer
    except ImportError as error:
        raise StageError(
            "an encoder of kind transformer needs sentence-transformers, which is not installed",
            key="lane.model.encoder.kind",
            value="transformer",
            hint="pip install 'interlock[hf]', or choose lane.model.encoder.kind hashed",
        ) from error
    folder = workspace / config.name
    name = str(folder) if folder.is_dir() else config.name
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # its threads warn after a fork of loader workers
    try:
        with quiet_libraries():
            return SentenceTransformer(
                name,
                device="cpu",
                revision=config.revision,
                local_files_only=config.offline,
                trust_remote_code=False,
                model_kwargs={"use_safetensors": True},
            )
    except Exception as error:  # the libraries raise OSError, ValueError, EnvironmentError ... for one cause: no model
        raise StageError(
            f"the pretrained model cannot be loaded: {str(error).strip().splitlines()[0] if str(error) else error!r}",
            key="lane.model.encoder.name",
            value=config.name,
            hint=(
                "give a folder that holds the model, put it into the local cache first, or set "
                "lane.model.encoder.offline=false where a download is allowed"
            ),
        ) from error
