"""A pretrained transformer that reads query and document together and gives one score, fine-tuned.

Needs the extra `hf`. Any sequence-classification model of Hugging Face with one output will do, by name or folder; one
without a trained head gets a new one, drawn from the run's seed. Nothing is asked of the hub unless the configuration
says so, weights are read from safetensors only, and no code from a model's repository is run.

Shapes: B lists, C candidates, T tokens of the longest pair.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from interlock.errors import StageError
from interlock.lanes.reranker.config import CrossEncoder
from interlock.lanes.reranker.model import NOWHERE, Batch
from interlock.lanes.training.device import quiet_libraries

_TOKENS = "token."
"""Prefix of the tokeniser's tensors in a batch."""


class CrossEncoderNetwork(nn.Module):
    """A sequence-classification model with one output."""

    def __init__(self, pretrained: nn.Module) -> None:
        super().__init__()
        self.pretrained = pretrained

    def forward(self, batch: Batch) -> Tensor:
        """[B, C] scores; `NOWHERE` in empty places, whose pairs are not in the batch."""
        filled_BC = batch["filled"]
        tokens = {name.removeprefix(_TOKENS): value for name, value in batch.items() if name.startswith(_TOKENS)}
        logits_N = self.pretrained(**tokens).logits[:, 0].float()
        scores_BC: Tensor = logits_N.new_full(filled_BC.shape, NOWHERE).masked_scatter(filled_BC, logits_N)
        return scores_BC


class Tokenizer:
    """Pairs of texts to tensors."""

    def __init__(self, tokenizer: Any, max_tokens: int) -> None:
        self._tokenizer, self._max_tokens = tokenizer, max_tokens

    def __call__(self, queries: Sequence[str], documents: Sequence[str]) -> Batch:
        """`token.input_ids` [N, T] and what else the model asks for."""
        found = self._tokenizer(
            list(queries), list(documents), padding=True, truncation="only_second" if self._max_tokens > 64 else True,
            max_length=self._max_tokens, return_tensors="pt",
        )  # fmt: skip
        return {f"{_TOKENS}{name}": value for name, value in found.items() if isinstance(value, torch.Tensor)}


def load_cross_encoder(config: CrossEncoder, workspace: Path) -> tuple[CrossEncoderNetwork, Tokenizer]:
    """Load the pretrained model. Raises StageError when the extra is missing or the model cannot be loaded."""
    try:
        from transformers import AutoModelForSequenceClassification, AutoTokenizer
    except ImportError as error:
        raise StageError(
            "a reranker of kind transformer needs transformers, which is not installed",
            key="lane.model.kind", value="transformer", hint="pip install 'interlock[hf]', or choose kind interaction",
        ) from error  # fmt: skip
    folder = workspace / config.name
    name = str(folder) if folder.is_dir() else config.name
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # its threads warn after a fork of loader workers
    given = {"revision": config.revision or "main", "local_files_only": config.offline, "trust_remote_code": False}
    try:
        with quiet_libraries():
            tokenizer = AutoTokenizer.from_pretrained(name, **given)
            model = AutoModelForSequenceClassification.from_pretrained(
                name, num_labels=1, use_safetensors=True, **given
            )
    except Exception as error:  # the libraries raise OSError, ValueError, EnvironmentError ... for one cause: no model
        raise StageError(
            f"the pretrained model cannot be loaded: {str(error).strip().splitlines()[0] if str(error) else error!r}",
            key="lane.model.name",
            value=config.name,
            hint="give a folder that holds the model, put it into the local cache first, or set "
            "lane.model.offline=false where a download is allowed",
        ) from error
    return CrossEncoderNetwork(model), Tokenizer(tokenizer, config.max_tokens)
