"""What the training loop needs of a lane's Lightning module: its loss. Memory per step is settled here.

A lane gives `loss`, the mean over the examples it is handed. Whether it is handed a whole batch or, with
`trainer.micro_batch`, a few examples at a time, is not its business:

    ordinary losses        one backward pass for each part; the gradients, weighted by examples, add up
    in-batch comparisons   `loss` sees the whole batch and encodes its inputs with `encoded`, which keeps the memory of
                           one part only: each part's activations are computed a second time when its gradient is due

The second is what Gao et al. 2021 (https://arxiv.org/abs/2101.06983) call cached gradients: the representations, and
with them the negatives, are those of the whole batch; only activations are not kept. It costs one more forward pass.
Either way the gradient is that of the whole batch up to the order in which floats are added, where nothing random
happens in the forward pass. Dropout draws other masks for parts than for a whole, but one set of them for each step:
the gradient is exactly that of the loss that was reported. Does not cover statistics over the batch inside a network
(batch normalisation): those see one part.
"""

from collections.abc import Callable, Sequence
from typing import Any

import lightning as L
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from interlock.lanes.training.batches import Batch
from interlock.lanes.training.config import AdamW
from interlock.lanes.training.optimizers import build_optimizer


class TrainedModule(L.LightningModule):
    """A network under training. Subclasses give `loss`, and may give `weight` and parameter groups of their own."""

    def __init__(self, network: nn.Module, optimizer: AdamW) -> None:
        """`network` is what gets saved; anything else the subclass holds is only needed for training."""
        super().__init__()
        self.network = network
        self._optimizer_config = optimizer

    def loss(self, part: Any) -> Tensor:
        """Scalar loss of what the lane's dataset gave: the mean over its examples. Used for validation too."""
        raise NotImplementedError

    def weight(self, part: Any, count: int) -> float:
        """How much the loss of this part counts beside that of others; `count` examples.

        Override it where the loss is a mean over something else (tokens, positions): give how many of those there are.
        A part that weighs 0 is left out.
        """
        return float(count)

    def encoded(self, encode: Callable[[Any], Tensor], parts: Sequence[Any]) -> Tensor:
        """`torch.cat([encode(part) for part in parts])`, keeping the activations of one part at a time.

        `encode` must be a function of the part and torch's generators alone; it may run twice, with the same draws. A
        part is tensors in dicts, lists and tuples: from them follows whose generators have to be put back.
        """
        if len(parts) == 1:
            return encode(parts[0])
        vectors = []
        for part in parts:
            vectors.append(checkpoint(encode, part, use_reentrant=False))
            torch.clear_autocast_cache()  # or the parts' gradients would be added up in the lower precision
        return torch.cat(vectors)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Loss of one optimiser step. That of several parts comes without a graph: its gradient is already there."""
        self.zero_grad()
        if len(batch.parts) == 1:
            return self.loss(batch.parts[0])
        return self._accumulated(batch)

    def validation_step(self, batch: Batch, batch_idx: int) -> dict[str, Any]:
        """`{"loss": scalar, "count": weight}`; the epoch's loss is the weighted mean."""
        shares, total = self._shares(batch)
        if len(shares) == 1:
            return {"loss": self.loss(shares[0][0]), "count": total}
        losses = [self.loss(part).float() * share for part, share in shares]
        return {"loss": torch.stack(losses).sum(), "count": total}

    def backward(self, loss: Tensor, *args: Any, **kwargs: Any) -> None:
        """Called by Lightning; nothing is left to do where `training_step` has accumulated the gradient."""
        if loss.requires_grad:
            super().backward(loss, *args, **kwargs)

    def optimizer_zero_grad(self, epoch: int, batch_idx: int, optimizer: Any) -> None:
        """Not here: Lightning calls it after `training_step`, which empties the gradients before its forward pass."""

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Groups for the optimiser, each `{"params": [...]}` with its own `lr` where it differs from the configured."""
        return [{"params": [parameter for parameter in self.parameters() if parameter.requires_grad]}]

    def configure_optimizers(self) -> Any:
        """Called by Lightning."""
        total = int(self.trainer.estimated_stepping_batches)
        return build_optimizer(self.parameter_groups(), self._optimizer_config, total_steps=total)

    def _shares(self, batch: Batch) -> tuple[list[tuple[Any, float]], float]:
        """Parts with their shares of the loss, and the sum of weights. A part that weighs nothing has no mean."""
        weights = [self.weight(part, count) for part, count in zip(batch.parts, batch.counts, strict=True)]
        total = sum(weights)
        shares = [(part, weight / total) for part, weight in zip(batch.parts, weights, strict=True) if weight]
        return shares or [(batch.parts[0], 1.0)], total

    def _accumulated(self, batch: Batch) -> Tensor:
        total = torch.zeros((), device=self.device)
        for part, share in self._shares(batch)[0]:
            loss = self.loss(part).float() * share
            with torch.autocast(self.device.type, enabled=False):  # a backward pass does not belong under autocast
                loss.backward()  # type: ignore[no-untyped-call]
            total += loss.detach()
        return total
