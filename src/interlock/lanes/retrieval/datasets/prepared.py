"""Reads a prepared retrieval dataset, lazily: nothing but the card is loaded until it is asked for.

    data = PreparedDataset.open(job.inputs["prepare"])
    train, pairs = data.queries("train"), data.positives("train")
    train.texts[pairs.query_row[0]], data.documents(pairs.doc_row[:1])

Row numbers: a document's row is its place in `corpus.parquet`; a query's row is its place within its own split.
Corpus text is held as one Arrow column once `documents` is used (about the size of the text); `corpus_texts` streams.
Does not tokenise, sample or batch for training.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from interlock.errors import DataError
from interlock.lanes.retrieval.datasets.card import DatasetCard, read_card
from interlock.lanes.retrieval.datasets.config import SplitName
from interlock.lanes.retrieval.datasets.writer import SCHEMAS, VECTORS, RowDigest, dataset_sha256

BATCH_ROWS = 8_192


@dataclass(frozen=True)
class Queries:
    """The queries of one split, in prepared order."""

    ids: list[str]
    texts: list[str]
    """Empty strings where the dataset is vectors."""
    rows: NDArray[np.int64]
    """Place of each query in `queries.parquet`, (Q,)."""

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True)
class Positives:
    """The judgements of one split, sorted by query row, then document row. All arrays have length P."""

    query_row: NDArray[np.int64]
    """Row of the query within its split."""
    doc_row: NDArray[np.int64]
    """Row of the document in the corpus."""
    relevance: NDArray[np.int8]
    """Grade, at least 1."""

    def __len__(self) -> int:
        return len(self.query_row)


class PreparedTables:
    """The tables of a prepared folder, without asking for the card; `PreparedDataset` is what stages use."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @cached_property
    def doc_ids(self) -> list[str]:
        """Every document id, in row order."""
        ids: list[str] = self._column("corpus", "doc_id").to_pylist()
        return ids

    def corpus_texts(self, batch_size: int = BATCH_ROWS) -> Iterator[list[str]]:
        """Stream all document texts in row order, `batch_size` at a time; memory is one row group."""
        for batch in self._parquet("corpus").iter_batches(batch_size=batch_size, columns=["text"]):
            yield batch.column(0).to_pylist()

    def documents(self, rows: "NDArray[np.int64] | Sequence[int]") -> list[str]:
        """Texts of the documents at `rows`, in that order."""
        texts: list[str] = self._corpus_text.take(pa.array(rows, pa.int64())).to_pylist()
        return texts

    def stream_documents(self, rows: NDArray[np.int64]) -> list[str]:
        """Texts at ascending `rows` by one pass over the corpus: slower than `documents`, but holds no other text."""
        texts: list[str] = []
        start = 0
        for batch in self._parquet("corpus").iter_batches(batch_size=BATCH_ROWS, columns=["text"]):
            stop = start + batch.num_rows
            first, last = np.searchsorted(rows, (start, stop))
            texts += batch.column(0).take(pa.array(rows[first:last] - start)).to_pylist()
            start = stop
        return texts

    def queries(self, split: SplitName) -> Queries:
        """The queries of one split."""
        rows = np.flatnonzero(pc.equal(self._queries["split"], split).to_numpy())
        table = self._queries.take(pa.array(rows))
        return Queries(table["query_id"].to_pylist(), table["text"].to_pylist(), rows.astype(np.int64))

    def positives(self, split: SplitName) -> Positives:
        """The judgements of one split."""
        ids = pa.array(self.queries(split).ids, pa.string())
        qrels = self._qrels
        query_row = pc.index_in(qrels["query_id"], value_set=ids).combine_chunks()
        ours = pc.is_valid(query_row).to_numpy(zero_copy_only=False)
        doc_row = pc.index_in(qrels["doc_id"].filter(pa.array(ours)), value_set=self._doc_id_array)
        queries = query_row.drop_null().to_numpy().astype(np.int64)
        documents = doc_row.to_numpy().astype(np.int64)
        relevance = qrels["relevance"].to_numpy()[ours].astype(np.int8)
        order = np.lexsort((documents, queries))
        return Positives(queries[order], documents[order], relevance[order])

    @cached_property
    def _queries(self) -> Any:
        return self._parquet("queries").read()

    @cached_property
    def _qrels(self) -> Any:
        return self._parquet("qrels").read()

    @cached_property
    def _corpus_text(self) -> Any:
        # large_string: 32-bit offsets overflow in `take` beyond 2 GiB of text
        return self._column("corpus", "text").cast(pa.large_string())

    @cached_property
    def _doc_id_array(self) -> Any:
        return self._column("corpus", "doc_id").combine_chunks()

    def _column(self, table: str, column: str) -> Any:
        return self._parquet(table).read(columns=[column])[column]

    def _parquet(self, name: str) -> Any:
        path = self.folder / f"{name}.parquet"
        try:
            return pq.ParquetFile(path)
        except (OSError, pa.ArrowInvalid) as error:
            raise DataError(f"not a readable Parquet file: {error}", path=path, hint="run prepare again") from None


class PreparedDataset(PreparedTables):
    """A finished prepared folder. Make one with `open`."""

    def __init__(self, folder: Path, card: DatasetCard) -> None:
        super().__init__(folder)
        self.card = card

    @classmethod
    def open(cls, folder: Path) -> "PreparedDataset":
        """Open the folder. Raises DataError when the card or a table is missing or its columns are not ours."""
        data = cls(folder, read_card(folder))
        for name, schema in SCHEMAS.items():
            found = data._parquet(name).schema_arrow
            if not found.equals(schema):
                raise DataError(
                    f"columns are {found.names}, expected {schema.names}",
                    path=folder / f"{name}.parquet",
                    hint="run prepare again",
                )
        return data

    @property
    def num_documents(self) -> int:
        """Documents in the corpus."""
        return self.card.documents

    @property
    def has_vectors(self) -> bool:
        """True when the dataset is vectors and every text is empty."""
        return self.card.dimensions is not None

    def document_vectors(self) -> NDArray[np.float32]:
        """Memory-mapped vectors of the corpus, (N, D) float32. Raises DataError for a text dataset."""
        return self._load_vectors("corpus_vectors")

    def query_vectors(self, split: SplitName) -> NDArray[np.float32]:
        """Vectors of one split's queries, (Q, D) float32. Raises DataError for a text dataset."""
        vectors: NDArray[np.float32] = self._load_vectors("query_vectors")[self.queries(split).rows]
        return vectors

    def verify(self) -> None:
        """Read everything back and compare with the card's digests. Raises DataError naming the part that differs."""
        tables = {name: self._table_digest(name) for name in SCHEMAS}
        if self.has_vectors:
            tables |= {name: self._vector_digest(name) for name in VECTORS}
        for name, sha256 in tables.items():
            if self.card.tables.get(name) != sha256:
                raise DataError(
                    "content differs from the dataset card",
                    path=self.folder,
                    key=name,
                    value=sha256,
                    hint="the file was changed after it was written; run prepare again",
                )
        if dataset_sha256(tables) != self.card.sha256:
            raise DataError("the card's digests do not agree with each other", path=self.folder, key="sha256")

    def _load_vectors(self, name: str) -> NDArray[np.float32]:
        path = self.folder / f"{name}.npy"
        if not self.has_vectors:
            raise DataError("this dataset is text and has no vectors", path=path, hint="encode its texts instead")
        vectors: NDArray[np.float32] = np.load(path, mmap_mode="r", allow_pickle=False)
        return vectors

    def _table_digest(self, name: str) -> str:
        digest = RowDigest(name)
        for batch in self._parquet(name).iter_batches(batch_size=BATCH_ROWS):
            digest.update([column.to_pylist() for column in batch.columns])
        return digest.hexdigest()

    def _vector_digest(self, name: str) -> str:
        vectors = self._load_vectors(name)
        digest = RowDigest(f"{name}/{vectors.shape[0]}x{vectors.shape[1]}")
        for start in range(0, len(vectors), BATCH_ROWS):
            digest.update_bytes(np.ascontiguousarray(vectors[start : start + BATCH_ROWS], dtype="<f4").tobytes())
        return digest.hexdigest()
