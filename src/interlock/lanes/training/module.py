"""What the training loop needs of a lane's Lightning module."""

from typing import Any

import lightning as L
import torch
from torch import nn

from interlock.lanes.training.config import AdamW
from interlock.lanes.training.optimizers import build_optimizer


class TrainedModule(L.LightningModule):
    """A network under training. Subclasses give the two losses, and may give parameter groups of their own."""

    def __init__(self, network: nn.Module, optimizer: AdamW) -> None:
        """`network` is what gets saved; anything else the subclass holds is only needed for training."""
        super().__init__()
        self.network = network
        self._optimizer_config = optimizer

    def training_step(self, batch: Any, batch_idx: int) -> torch.Tensor:
        """Scalar loss of one batch."""
        raise NotImplementedError

    def validation_step(self, batch: Any, batch_idx: int) -> dict[str, Any]:
        """`{"loss": scalar, "count": examples}`; the epoch's loss is the mean over examples."""
        raise NotImplementedError

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Groups for the optimiser, each `{"params": [...]}` with its own `lr` where it differs from the configured."""
        return [{"params": [parameter for parameter in self.parameters() if parameter.requires_grad]}]

    def configure_optimizers(self) -> Any:
        """Called by Lightning."""
        total = int(self.trainer.estimated_stepping_batches)
        return build_optimizer(self.parameter_groups(), self._optimizer_config, total_steps=total)
