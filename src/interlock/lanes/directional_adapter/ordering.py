"""The loss and the adapter under training; apart from `model`, so that only training needs Lightning."""

from torch import Tensor
from torch.nn import functional

from interlock.lanes.directional_adapter.model import AdapterNetwork, Side
from interlock.lanes.training.config import AdamW
from interlock.lanes.training.module import TrainedModule


class OrderTraining(TrainedModule):
    """The adapter under training."""

    def __init__(self, network: AdapterNetwork, *, optimizer: AdamW) -> None:
        super().__init__(network, optimizer)

    def loss(self, part: dict[str, Side]) -> Tensor:
        """Mean of -log P(right order) in nats.

        Both ways of a pair have the same loss, because the score changes its sign with the order: asking forward alone
        is training on balanced classes.
        """
        assert isinstance(self.network, AdapterNetwork)
        return functional.softplus(-self.network(part["first"], part["second"])).mean()
