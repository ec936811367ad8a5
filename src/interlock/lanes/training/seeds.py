"""Seeds: one for each use, all following from the run's. Kept apart from `resume`, which needs Lightning."""

import hashlib
import random

import numpy as np
import torch


def derived_seed(seed: int, *labels: object) -> int:
    """A 32-bit seed for one use: BLAKE2b over `seed/label/label...`; equal on every machine."""
    text = "/".join(str(part) for part in (seed, *labels))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=4).digest(), "little")


def seed_all(seed: int) -> None:
    """Seed torch, numpy's legacy generator and `random`; 0 <= seed < 2**32."""
    torch.manual_seed(seed)
    np.random.seed(seed)
    random.seed(seed)
