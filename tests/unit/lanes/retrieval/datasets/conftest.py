"""Tiny datasets in all three forms, and the one call that prepares them."""

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

from interlock.lanes.retrieval.datasets.card import DatasetCard
from interlock.lanes.retrieval.datasets.config import BeirData, NpzData, RetrievalData
from interlock.lanes.retrieval.datasets.preparation import prepare_dataset
from interlock.lanes.retrieval.datasets.prepared import PreparedDataset

ANIMALS = ("otter", "heron", "badger", "lynx", "marten", "viper", "bison", "raven", "ibex", "toad", "stoat", "crane")
HEADER = "query-id\tcorpus-id\tscore"


class Quiet:
    """Progress that says nothing."""

    def track(self, items: Iterable[Any], description: str, total: int | None = None) -> Iterable[Any]:
        return items

    def message(self, text: str) -> None:
        pass


def sentence(number: int) -> str:
    """A text whose word triples no other number shares."""
    animal = ANIMALS[number % len(ANIMALS)]
    return " ".join(f"{animal}{number}{word}" for word in ("lives", "eats", "hunts", "sleeps", "swims", "climbs"))


def documents(count: int) -> list[dict[str, str]]:
    return [{"_id": f"d{n}", "title": f"Article {n // 2}", "text": sentence(n)} for n in range(count)]


def queries(count: int) -> list[dict[str, str]]:
    return [{"_id": f"q{n}", "text": f"what does {ANIMALS[n % 12]}{n} do"} for n in range(count)]


def write_beir_folder(
    folder: Path,
    *,
    corpus: list[Any] | None = None,
    asked: list[Any] | None = None,
    qrels: Mapping[str, list[str]] | None = None,
) -> Path:
    """Write a BEIR folder: 24 documents, q0-q15 train and q16-q23 test, query n answered by document n."""
    (folder / "qrels").mkdir(parents=True)
    for name, rows in (("corpus", corpus or documents(24)), ("queries", asked or queries(24))):
        lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
        (folder / f"{name}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    if qrels is None:
        qrels = {"train": judgements(range(16)), "test": judgements(range(16, 24))}
    for name, rows in qrels.items():
        (folder / "qrels" / f"{name}.tsv").write_text("\n".join([HEADER, *rows]) + "\n", encoding="utf-8")
    return folder


def judgements(numbers: Iterable[int]) -> list[str]:
    return [f"q{n}\td{n}\t1" for n in numbers]


class Prepare:
    """Prepares into a fresh folder each time."""

    def __init__(self, root: Path) -> None:
        self.root, self.count = root, 0

    def __call__(self, config: RetrievalData) -> PreparedDataset:
        self.count += 1
        self.folder = self.root / f"prepared{self.count}"
        self.folder.mkdir()
        self.card: DatasetCard = prepare_dataset(config, self.folder, root=self.root, progress=Quiet())
        return PreparedDataset.open(self.folder)

    def beir(self, folder: Path, **fields: Any) -> PreparedDataset:
        return self(BeirData(kind="beir", path=str(folder), name="tiny", **fields))

    def npz(self, path: Path, **fields: Any) -> PreparedDataset:
        return self(NpzData(kind="npz", path=str(path), name="tiny", **fields))


@pytest.fixture
def prepare(tmp_path: Path) -> Prepare:
    return Prepare(tmp_path)


@pytest.fixture
def beir_folder(tmp_path: Path) -> Callable[..., Path]:
    """Factory of BEIR folders; see `write_beir_folder`."""
    made = iter(range(1000))
    return lambda **parts: write_beir_folder(tmp_path / f"beir{next(made)}", **parts)


@pytest.fixture
def tiny() -> Any:
    """The builders of this file, for tests that change single rows."""
    return type(
        "Tiny",
        (),
        {
            "documents": staticmethod(documents),
            "queries": staticmethod(queries),
            "judgements": staticmethod(judgements),
            "sentence": staticmethod(sentence),
            "Quiet": Quiet,
        },
    )
