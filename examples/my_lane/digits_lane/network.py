"""The model. Shapes: N images, P = 64 pixels, C = 10 classes."""

from pathlib import Path

from torch import Tensor, nn

from interlock.lanes.exporting.weights import read_weights

PIXELS, CLASSES = 64, 10


class Network(nn.Module):
    """One hidden layer: (N, P) pixels to (N, C) scores."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(PIXELS, hidden)
        self.output = nn.Linear(hidden, CLASSES)

    def forward(self, pixels_NP: Tensor) -> Tensor:
        """Scores before softmax."""
        scores_NC: Tensor = self.output(nn.functional.relu(self.hidden(pixels_NP)))
        return scores_NC


def load_network(folder: Path) -> Network:
    """The trained network from the folder of stage train. Raises DataError for a damaged file."""
    weights, about = read_weights(folder / "model.safetensors")
    network = Network(int(about["hidden"]))
    network.load_state_dict(weights)
    return network.eval()
