"""How much each feature of a query counts beyond idf: learned from training pairs, document by document.

For each training pair the nearest training documents that do not answer compete with the answer in a softmax (listwise
loss, Cao et al. 2007). Learned is one log-factor per bucket, on the side of queries alone, so the score stays an inner
product and documents stay as they are. In-batch negatives teach this badly: they share few words with the query.

A pure function of texts, configuration and seed, like the rest of what is fitted before training; it takes seconds.

Shapes: Q queries, M documents, P pairs, K buckets, C = 1 + rivals of each query, E features that a query shares with
one of its C documents, over all pairs.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse
from torch import Tensor, nn
from torch.nn import functional

RIVALS = 60
"""Documents that compete with the answer of each query."""

BATCH = 1000
"""Pairs of one step."""

BLOCK = 500
"""Pairs compared at a time."""

REGULARISER = 1e-5
"""Factor of the sum of squared log-factors."""

LR_FLOOR = 0.02
"""Learning rate at the end, as a share of the peak."""

TEMPERATURE = 0.05
"""Where the learned temperature of the softmax starts."""

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Contest:
    """Products of shared features of each pair's query with its C documents, the answer first."""

    shared: sparse.csr_matrix
    """[P * C, K] float32; the sum of a row is a similarity."""
    width: int
    """C."""

    @classmethod
    def of(
        cls, queries_QK: sparse.csr_matrix, documents_MK: sparse.csr_matrix, *,
        query_row: Rows, document_row: Rows, rivals_QR: Rows,
    ) -> "Contest":  # fmt: skip
        """`query_row` and `document_row` [P] are the pairs, `rivals` the documents that do not answer each query."""
        width = 1 + rivals_QR.shape[1]
        blocks = []
        for start in range(0, len(query_row), BLOCK):
            part = slice(start, start + BLOCK)
            candidates = np.concatenate([document_row[part, None], rivals_QR[query_row[part]]], axis=1)
            asking = queries_QK[np.repeat(query_row[part], width)]
            blocks.append(asking.multiply(documents_MK[candidates.ravel()]).tocsr())
        return cls(sparse.vstack(blocks).tocsr(), width)

    def take(self, chosen: Rows) -> tuple[Tensor, Tensor, Tensor]:
        """Row within the batch, bucket and product of every shared feature of the chosen pairs."""
        rows = self.shared[(chosen[:, None] * self.width + np.arange(self.width)).ravel()]
        row_E = np.repeat(np.arange(rows.shape[0]), np.diff(rows.indptr))
        return torch.from_numpy(row_E), torch.from_numpy(rows.indices.astype(np.int64)), torch.from_numpy(rows.data)


class _Factors(nn.Module):
    """The log-factors under training."""

    def __init__(self, kinds_K: NDArray[np.int64], asked_K: NDArray[np.bool_]) -> None:
        super().__init__()
        self._kinds_K, self._asked_K = torch.from_numpy(kinds_K), torch.from_numpy(asked_K)
        self.own_K = nn.Parameter(torch.zeros(len(kinds_K)))
        self.by_kind = nn.Parameter(torch.zeros(int(kinds_K.max()) + 1))
        self.log_temperature = nn.Parameter(torch.tensor(TEMPERATURE).log())

    def forward(self) -> Tensor:
        """[K] log-factors."""
        return self.own_K * self._asked_K + self.by_kind[self._kinds_K]

    def loss(self, contest: Contest, chosen: Rows) -> Tensor:
        """Scalar."""
        row_E, bucket_E, product_E = contest.take(chosen)
        scores = torch.zeros(len(chosen) * contest.width)
        scores = scores.index_add(0, row_E, product_E * self().exp()[bucket_E]).view(len(chosen), contest.width)
        answers = torch.zeros(len(chosen), dtype=torch.long)
        listwise = functional.cross_entropy(scores / self.log_temperature.exp(), answers)
        return listwise + REGULARISER * self.own_K.square().sum()


def fit_gains(
    contest: Contest, kinds_K: NDArray[np.int64], asked_K: NDArray[np.bool_], *, epochs: int, lr: float, seed: int
) -> NDArray[np.float32]:
    """[K] log-factors: one for each kind of feature, and for each bucket that training queries hold (`asked`) its own.

    `kinds` says what kind of feature each bucket holds. All zero when there are no epochs, or no rivals.
    """
    num_pairs = contest.shared.shape[0] // contest.width
    if not epochs or contest.width == 1:
        return np.zeros(len(kinds_K), dtype=np.float32)
    factors = _Factors(kinds_K, asked_K)
    optimizer = torch.optim.Adam(factors.parameters(), lr=lr, betas=(0.9, 0.99))
    batch = min(BATCH, num_pairs)
    total = epochs * (num_pairs // batch)
    for step, chosen in enumerate(_batches(num_pairs, batch, epochs=epochs, seed=seed)):
        optimizer.param_groups[0]["lr"] = lr * max(LR_FLOOR, 1 - step / total)
        optimizer.zero_grad()
        torch.autograd.backward(factors.loss(contest, chosen))
        optimizer.step()
    learned: NDArray[np.float32] = factors().detach().numpy()
    return learned


def _batches(num_pairs: int, batch: int, *, epochs: int, seed: int) -> list[Rows]:
    """Shuffled anew in every epoch; what does not fill a batch waits for the next."""
    random = np.random.default_rng(seed)
    orders = [random.permutation(num_pairs) for _ in range(epochs)]
    starts = range(0, num_pairs - batch + 1, batch)
    return [np.sort(order[start : start + batch]) for order in orders for start in starts]
