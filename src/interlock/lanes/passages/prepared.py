"""Reads prepared passages, lazily: nothing but the card is loaded until a split is asked for.

    data = PreparedPassages.open(job.inputs["prepare"])
    for document in data.documents("train"):
        document.passages                      # ("Return the norm of a vector", "The norm is never negative ...")

One file, `passages.parquet`, holds a row per passage, sorted by document and place. Does not batch for training.
"""

from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from interlock.errors import DataError
from interlock.lanes.passages.card import PassagesCard, read_card
from interlock.lanes.passages.documents import Document
from interlock.lanes.retrieval.datasets.config import SplitName
from interlock.lanes.retrieval.datasets.writer import RowDigest
from interlock.provenance.canonical import sha256_json

PASSAGES_FILE = "passages.parquet"
DIGEST_FORMAT = "interlock.passages.v1"
SCHEMA = pa.schema(
    [
        ("document_id", pa.string()),
        ("group", pa.string()),
        ("split", pa.string()),
        ("place", pa.int32()),
        ("text", pa.string()),
    ]
)


@dataclass(frozen=True)
class PreparedPassages:
    """A finished prepared folder. Make one with `open`."""

    folder: Path
    card: PassagesCard

    @classmethod
    def open(cls, folder: Path) -> "PreparedPassages":
        """Open the folder. Raises DataError when the card or the table is missing or its columns are not ours."""
        data = cls(folder, read_card(folder))
        found = _open(folder).schema_arrow
        if not found.equals(SCHEMA):
            raise DataError(
                f"columns are {found.names}, expected {SCHEMA.names}",
                path=folder / PASSAGES_FILE,
                hint="run prepare again",
            )
        return data

    def documents(self, split: SplitName) -> list[Document]:
        """The documents of one split with their passages in order, sorted by identifier."""
        return read_documents(self.folder, split)

    def verify(self) -> None:
        """Read everything back and compare with the card's digest. Raises DataError where it differs."""
        digest = RowDigest("passages")
        for batch in _open(self.folder).iter_batches():
            digest.update([column.to_pylist() for column in batch.columns])
        if (sha256 := content_sha256(digest)) != self.card.sha256:
            raise DataError(
                "content differs from the dataset card",
                path=self.folder / PASSAGES_FILE,
                value=sha256,
                hint="the file was changed after it was written; run prepare again",
            )


def read_documents(folder: Path, split: SplitName) -> list[Document]:
    """The documents of one split of a folder whose table is written, with or without a card."""
    table = _open(folder).read()
    rows: list[dict[str, Any]] = table.filter(pc.equal(table["split"], split)).to_pylist()
    return [_document(list(part)) for _, part in groupby(rows, key=lambda row: row["document_id"])]


def content_sha256(digest: RowDigest) -> str:
    """The dataset's digest from the digest of its rows."""
    return sha256_json({"format": DIGEST_FORMAT, "tables": {"passages": digest.hexdigest()}})


def _document(rows: list[dict[str, Any]]) -> Document:
    return Document(
        identifier=rows[0]["document_id"],
        group=rows[0]["group"],
        first=rows[0]["place"],
        passages=tuple(row["text"] for row in rows),
    )


def _open(folder: Path) -> Any:
    path = folder / PASSAGES_FILE
    try:
        return pq.ParquetFile(path)
    except (OSError, pa.ArrowInvalid) as error:
        raise DataError(f"not a readable Parquet file: {error}", path=path, hint="run prepare again") from None
