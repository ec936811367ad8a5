"""Stage prepare: the images, divided once for all runs, with a card that says what they are."""

from pathlib import Path
from typing import Literal, cast

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save

from digits_lane.config import Digits, DigitsLane
from interlock.lanes.spec import StageJob, StageOutcome
from interlock.provenance.digest import sha256_file
from interlock.provenance.files import write_atomic, write_json

Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = ("train", "validation", "test")
PIXEL_MAX = 16.0


def prepare(job: StageJob) -> StageOutcome:
    """Write `images.safetensors` and the dataset's card. Its facts `dataset` and `dataset_sha256` enter the run id."""
    data = cast(DigitsLane, job.lane).data
    arrays = _divided(data)
    write_atomic(job.folder / "images.safetensors", save(arrays))
    digest = sha256_file(job.folder / "images.safetensors")
    counts = {split: len(arrays[f"{split}.label"]) for split in SPLITS}
    card = {"name": "digits", "sha256": digest, "images": counts, "licence": "CC BY 4.0 (UCI, Alpaydin and Kaynak)"}
    write_json(job.folder / "dataset_card.json", card)
    job.progress.message(f"digits: {counts}, sha256 {digest[:12]}")
    facts = {"dataset": "digits", "dataset_sha256": digest, "splits_correct": _are_disjoint(arrays)}
    return StageOutcome(facts=facts)


def read_split(folder: Path, split: Split) -> tuple[NDArray[np.float32], NDArray[np.int64], list[str]]:
    """Images (N, 64) between 0 and 1, labels (N,) from 0 to 9, and the name of each image."""
    arrays = load_file(folder / "images.safetensors")
    names = [f"image{number:04d}" for number in arrays[f"{split}.number"]]
    return arrays[f"{split}.pixels"], arrays[f"{split}.label"], names


def _divided(data: Digits) -> dict[str, NDArray[np.generic]]:
    """Every array under `<split>.<what>`. Copies of an image stay in one split."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    pixels = (digits.data / PIXEL_MAX).astype(np.float32)
    _, group = np.unique(pixels, axis=0, return_inverse=True)
    shuffled = np.random.default_rng(data.split_seed).permutation(group.max() + 1)[group.reshape(-1)]
    share = shuffled / (group.max() + 1)
    is_test = share < data.test_fraction
    is_validation = ~is_test & (share < data.test_fraction + data.validation_fraction)
    chosen = {"train": ~is_test & ~is_validation, "validation": is_validation, "test": is_test}
    arrays: dict[str, NDArray[np.generic]] = {}
    for split, mask in chosen.items():
        arrays[f"{split}.pixels"] = pixels[mask]
        arrays[f"{split}.label"] = digits.target[mask].astype(np.int64)
        arrays[f"{split}.number"] = np.flatnonzero(mask)
    return arrays


def _are_disjoint(arrays: dict[str, NDArray[np.generic]]) -> bool:
    """Whether no image stands in two splits."""
    seen = [{row.tobytes() for row in arrays[f"{split}.pixels"]} for split in SPLITS]
    return sum(map(len, seen)) == len(set().union(*seen))
