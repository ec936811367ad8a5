"""Streams a dataset into the prepared folder and digests its content on the way.

    corpus.parquet    doc_id: string, text: string
    queries.parquet   query_id: string, text: string, split: train | validation | test
    qrels.parquet     query_id: string, doc_id: string, relevance: int8 (> 0)
    corpus_vectors.npy, query_vectors.npy    float32 (rows, D); only where the source is vectors

Row groups have a fixed size, so bytes and digest depend on the rows alone, not on how they arrive. Memory is bounded
by one row group per table. The digest of a table is SHA-256 over its rows, each field as `<length>:<UTF-8 bytes>`;
the dataset's digest is SHA-256 over the canonical JSON of the tables' digests. Does not write the card.
"""

import hashlib
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from interlock.lanes.retrieval.datasets.card import SplitCounts, WordStats
from interlock.lanes.retrieval.datasets.config import SPLITS
from interlock.provenance.canonical import sha256_json
from interlock.provenance.files import atomic_file

if TYPE_CHECKING:
    from numpy.typing import NDArray

ROW_GROUP = 16_384
DIGEST_FORMAT = "interlock.retrieval.v1"
SCHEMAS = {
    "corpus": pa.schema([("doc_id", pa.string()), ("text", pa.string())]),
    "queries": pa.schema([("query_id", pa.string()), ("text", pa.string()), ("split", pa.string())]),
    "qrels": pa.schema([("query_id", pa.string()), ("doc_id", pa.string()), ("relevance", pa.int8())]),
}
VECTORS = ("corpus_vectors", "query_vectors")


class RowDigest:
    """SHA-256 over rows; equal for equal rows however they are batched."""

    def __init__(self, table: str) -> None:
        self._hash = hashlib.sha256(f"{DIGEST_FORMAT}/{table}\n".encode())

    def update(self, columns: Sequence[Sequence[str | int]]) -> None:
        """Add rows given as columns of equal length."""
        parts: list[bytes] = []
        for row in zip(*columns, strict=True):
            for field in row:
                data = str(field).encode()
                parts += (b"%d:" % len(data), data)
        self._hash.update(b"".join(parts))

    def update_bytes(self, data: bytes | memoryview) -> None:
        """Add raw bytes (vectors, whose header fixed their shape before)."""
        self._hash.update(data)

    def hexdigest(self) -> str:
        """Digest so far."""
        return self._hash.hexdigest()


def dataset_sha256(tables: dict[str, str]) -> str:
    """The dataset's digest from the digests of its tables and vectors."""
    return sha256_json({"format": DIGEST_FORMAT, "tables": tables})


class WordCount:
    """Word counts of texts as a histogram, so that quantiles of millions need little memory."""

    def __init__(self) -> None:
        self._histogram: Counter[int] = Counter()

    def add(self, texts: Sequence[str]) -> None:
        """Count the words of each text."""
        self._histogram.update(len(text.split()) for text in texts)

    def stats(self) -> WordStats:
        """Mean and quantiles."""
        total = self._histogram.total()
        if not total:
            return WordStats(mean=0.0, median=0, p95=0, max=0)
        words = sum(length * count for length, count in self._histogram.items())
        return WordStats(
            mean=round(words / total, 2),
            median=self._quantile(0.5),
            p95=self._quantile(0.95),
            max=max(self._histogram),
        )

    def _quantile(self, share: float) -> int:
        wanted, seen = share * self._histogram.total(), 0
        for length in sorted(self._histogram):
            seen += self._histogram[length]
            if seen >= wanted:
                return length
        raise AssertionError("the last length holds every text")


class _Table:
    """One Parquet file: rows are held until a full row group can be written."""

    def __init__(self, name: str, file: BinaryIO) -> None:
        self.digest = RowDigest(name)
        self.rows = 0
        self._schema = SCHEMAS[name]
        self._writer = pq.ParquetWriter(file, self._schema, compression="zstd")
        self._pending: list[list[Any]] = [[] for _ in self._schema]

    def add(self, *columns: Sequence[Any]) -> None:
        self.digest.update(columns)
        self.rows += len(columns[0])
        for pending, column in zip(self._pending, columns, strict=True):
            pending.extend(column)
        while len(self._pending[0]) >= ROW_GROUP:
            self._flush(ROW_GROUP)

    def close(self) -> None:
        if self._pending[0]:
            self._flush(len(self._pending[0]))
        self._writer.close()

    def abandon(self) -> None:
        """Let go of a file that is about to be deleted; its contents no longer matter."""
        with suppress(OSError, pa.ArrowException):
            self._writer.close()
        self._writer.is_open = False  # else its finaliser writes to the closed file, and complains

    def _flush(self, count: int) -> None:
        arrays = [
            pa.array(pending[:count], field.type) for pending, field in zip(self._pending, self._schema, strict=True)
        ]
        self._writer.write_batch(pa.record_batch(arrays, schema=self._schema))
        for pending in self._pending:
            del pending[:count]


class VectorSink:
    """Rows of one `.npy` file, written in order."""

    def __init__(self, file: BinaryIO, digest: RowDigest) -> None:
        self._file, self._digest = file, digest

    def add(self, rows: "NDArray[np.float32]") -> None:
        """Append rows (n, D)."""
        data = np.ascontiguousarray(rows, dtype="<f4").tobytes()
        self._digest.update_bytes(data)
        self._file.write(data)


class PreparedWriter:
    """Writes the tables of a prepared folder. Use as a context manager: files appear only if the block succeeds."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.document_words, self.query_words = WordCount(), WordCount()
        self._stack = ExitStack()
        self._tables: dict[str, _Table] = {}
        self._vectors: dict[str, RowDigest] = {}
        self._split_queries: Counter[str] = Counter()
        self._split_positives: Counter[str] = Counter()
        self._split_of: dict[str, str] = {}

    def __enter__(self) -> "PreparedWriter":
        for name in SCHEMAS:
            file = self._stack.enter_context(atomic_file(self.folder / f"{name}.parquet"))
            self._tables[name] = _Table(name, file)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            self._abandon(error)
            return
        try:
            for table in self._tables.values():
                table.close()
        except BaseException as failed:
            self._abandon(failed)
            raise
        self._stack.close()

    def _abandon(self, error: BaseException) -> None:
        for table in self._tables.values():
            table.abandon()
        self._stack.__exit__(type(error), error, error.__traceback__)

    def add_documents(self, ids: Sequence[str], texts: Sequence[str]) -> None:
        """Append documents; ids are unique (checked by the source)."""
        self.document_words.add(texts)
        self._tables["corpus"].add(ids, texts)

    def add_queries(self, ids: Sequence[str], texts: Sequence[str], splits: Sequence[str]) -> None:
        """Append queries with their split."""
        assert set(splits) <= set(SPLITS)
        self.query_words.add(texts)
        self._split_queries.update(splits)
        self._split_of.update(zip(ids, splits, strict=True))
        self._tables["queries"].add(ids, texts, splits)

    def add_qrels(self, query_ids: Sequence[str], doc_ids: Sequence[str], relevance: Sequence[int]) -> None:
        """Append judgements (1..127) of queries added before."""
        self._split_positives.update(self._split_of[query] for query in query_ids)
        self._tables["qrels"].add(query_ids, doc_ids, relevance)

    def vectors(self, name: str, *, rows: int, width: int) -> VectorSink:
        """Return a sink for exactly `rows` float32 vectors; the file appears with the tables."""
        assert name in VECTORS
        digest = RowDigest(f"{name}/{rows}x{width}")
        file = self._stack.enter_context(atomic_file(self.folder / f"{name}.npy"))
        header = {"descr": "<f4", "fortran_order": False, "shape": (rows, width)}
        np.lib.format.write_array_header_1_0(file, header)
        self._vectors[name] = digest
        return VectorSink(file, digest)

    @property
    def documents(self) -> int:
        """Documents added so far."""
        return self._tables["corpus"].rows

    def split_counts(self) -> dict[str, SplitCounts]:
        """Queries and positives of each split so far."""
        return {
            split: SplitCounts(queries=self._split_queries[split], positives=self._split_positives[split])
            for split in SPLITS
        }

    def table_digests(self) -> dict[str, str]:
        """Digest of each table and vector file so far."""
        digests = {name: table.digest for name, table in self._tables.items()} | self._vectors
        return {name: digest.hexdigest() for name, digest in digests.items()}
