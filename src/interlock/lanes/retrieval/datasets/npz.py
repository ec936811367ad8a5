"""Vectors and ids in one `.npz` file.

    doc_ids        (N,)   strings or integers, unique
    doc_vectors    (N, D) float16, float32 or float64; finite, no row of length zero; stored as float32
    query_ids      (Q,)   like doc_ids
    query_vectors  (Q, D) like doc_vectors
    qrels          (P, 2) integers: row of the query, row of its document
    query_split    (Q,)   optional: "train", "validation" or "test"

Without `query_split`, shares are held out by whole groups: queries that share a document, or documents of equal
vectors. Vectors stream from the file to the prepared folder; memory grows with ids and judgements. Does not normalise
vectors and does not look for near copies, for which vectors have no agreed meaning: equal vectors only.
"""

import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from interlock.errors import DataError
from interlock.lanes.retrieval.datasets.card import Source
from interlock.lanes.retrieval.datasets.config import SPLITS, NpzData, SplitName
from interlock.lanes.retrieval.datasets.faults import Faults
from interlock.lanes.retrieval.datasets.locations import resolve_location
from interlock.lanes.retrieval.datasets.npz_arrays import ArrayHeader, NpzArrays
from interlock.lanes.retrieval.datasets.origin import Origin
from interlock.lanes.retrieval.datasets.splits import Links, crossing, hold_out_queries, joined
from interlock.lanes.retrieval.datasets.writer import PreparedWriter, VectorSink
from interlock.lanes.spec import Progress
from interlock.provenance.digest import sha256_file


@dataclass(frozen=True)
class ArraySpec:
    """What an array must look like."""

    shape: str
    kinds: str
    """Allowed `dtype.kind` letters."""
    words: str
    """The same for people."""
    required: bool = True


_IDS = "strings or integers"
_FLOATS = "float16, float32 or float64"
ARRAYS = {
    "doc_ids": ArraySpec("(N,)", "USiu", _IDS),
    "doc_vectors": ArraySpec("(N, D)", "f", _FLOATS),
    "query_ids": ArraySpec("(Q,)", "USiu", _IDS),
    "query_vectors": ArraySpec("(Q, D)", "f", _FLOATS),
    "qrels": ArraySpec("(P, 2)", "iu", "integers"),
    "query_split": ArraySpec("(Q,)", "US", "strings", required=False),
}
CROSSING = "query or answer in a later split"


@dataclass(frozen=True)
class Tables:
    """The small arrays, checked."""

    doc_ids: list[str]
    query_ids: list[str]
    qrels: NDArray[np.int64]
    """Distinct rows (query, document), sorted."""
    split: list[SplitName] | None
    """Split of each query where the file says so."""


def write_npz(config: NpzData, writer: PreparedWriter, *, root: Path, progress: Progress) -> Origin:
    """Check, split and write. Raises DataError naming file, array, row and value of what is wrong."""
    path = resolve_location(config.path, root=root)
    left_out: Counter[str] = Counter()
    with NpzArrays(path, max_bytes=config.max_bytes) as arrays:
        check_headers(path, arrays.headers)
        tables = _read_tables(arrays, left_out)
        vectors = _Vectors(arrays, writer, progress)
        same_document, same_query = vectors.copy("doc_vectors"), vectors.fingerprints("query_vectors")
        rank = _divide(config, tables, same_document, same_query=same_query, left_out=left_out)
        vectors.copy("query_vectors", keep=rank >= 0)
    writer.add_documents(tables.doc_ids, [""] * len(tables.doc_ids))
    rows = np.flatnonzero(rank >= 0)
    writer.add_queries(
        [tables.query_ids[row] for row in rows], [""] * len(rows), [SPLITS[number] for number in rank[rows]]
    )
    query, document = tables.qrels[rank[tables.qrels[:, 0]] >= 0].T
    writer.add_qrels(
        [tables.query_ids[row] for row in query], [tables.doc_ids[row] for row in document], [1] * len(query)
    )
    return Origin(
        name=config.name,
        licence=config.licence,
        dimensions=arrays.headers["doc_vectors"].shape[1],
        near_duplicates_removed=left_out[CROSSING],
        left_out=dict(left_out),
        sources=(Source(name=path.name, sha256=sha256_file(path)),),
    )


def check_headers(path: Path, headers: Mapping[str, ArrayHeader]) -> None:
    """Raise DataError for missing or unknown arrays and for shapes and types that do not fit, all at once."""
    _check_names(path, headers)
    faults = Faults(path)
    for name, header in headers.items():
        spec = ARRAYS[name]
        if header.dtype.kind not in spec.kinds:
            faults.add("wrong type", f"{name} is {header.dtype}", hint=f"{name} holds {spec.words}")
        if len(header.shape) != spec.shape.count(" ") + 1 or 0 in header.shape:
            faults.add("wrong shape", f"{name} is {header.shape}", hint=f"{name} is {spec.shape}, not empty")
    faults.refuse()
    _check_lengths(headers, faults)
    faults.refuse()


def _check_names(path: Path, headers: Mapping[str, ArrayHeader]) -> None:
    there = ", ".join(headers) or "none"
    if "query_vectors" not in headers and "qrels" not in headers and any("vector" in name for name in headers):
        raise DataError(
            f"vectors without queries: nothing can be learned from or tested on them; its arrays: {there}",
            path=path,
            hint="add query_ids (Q,), query_vectors (Q, D) and qrels (P, 2), pairs of query row and document row",
        )
    faults = Faults(path)
    for name in headers:
        if name not in ARRAYS:
            near = get_close_matches(name, ARRAYS, n=1)
            faults.add(
                "unknown array",
                repr(name) + (f", did you mean {near[0]!r}?" if near else ""),
                hint=f"the arrays are {', '.join(ARRAYS)}",
            )
    for name, spec in ARRAYS.items():
        if spec.required and name not in headers:
            faults.add("missing array", f"{name} {spec.shape}; its arrays: {there}", hint=f"add {name}")
    faults.refuse()


def _check_lengths(headers: Mapping[str, ArrayHeader], faults: Faults) -> None:
    shape = {name: header.shape for name, header in headers.items()}
    same = [
        ("doc_ids", 0, "doc_vectors", 0),
        ("query_ids", 0, "query_vectors", 0),
        ("query_vectors", 1, "doc_vectors", 1),
    ]
    if "query_split" in headers:
        same.append(("query_split", 0, "query_ids", 0))
    for one, axis, other, other_axis in same:
        if shape[one][axis] != shape[other][other_axis]:
            faults.add(
                "shapes do not fit together",
                f"{one} is {shape[one]}, {other} is {shape[other]}",
                hint="rows of ids and vectors belong together; queries and documents share one width",
            )
    if shape["qrels"][1] != 2:
        faults.add("wrong shape", f"qrels is {shape['qrels']}", hint="qrels is (P, 2): query row, document row")


def _read_tables(arrays: NpzArrays, left_out: Counter[str]) -> Tables:
    faults = Faults(arrays.path)
    doc_ids, query_ids = (_read_ids(arrays, name, faults) for name in ("doc_ids", "query_ids"))
    qrels = arrays.whole("qrels").astype(np.int64)
    for column, (what, count) in enumerate((("query", len(query_ids)), ("document", len(doc_ids)))):
        for row in np.flatnonzero((qrels[:, column] < 0) | (qrels[:, column] >= count)):
            faults.add(
                f"qrels name an unknown {what}",
                f"qrels row {row} is {qrels[row].tolist()}, {what} rows go to {count - 1}",
                hint="qrels holds row numbers from 0, not ids",
            )
    split = _read_split(arrays, faults) if "query_split" in arrays.headers else None
    faults.refuse()
    distinct = np.unique(qrels, axis=0)
    left_out["judgement repeated"] += len(qrels) - len(distinct)
    return Tables(doc_ids, query_ids, distinct, split)


def _read_ids(arrays: NpzArrays, name: str, faults: Faults) -> list[str]:
    seen: dict[str, int] = {}
    ids = _strings(arrays, name)
    for row, identifier in enumerate(ids):
        if not identifier:
            faults.add("empty id", f"{name} row {row}", hint="give every row an id")
        elif (first := seen.setdefault(identifier, row)) != row:
            faults.add("duplicate id", f"{name} row {row}: {identifier!r}, first in row {first}", hint="ids are unique")
    return ids


def _read_split(arrays: NpzArrays, faults: Faults) -> list[SplitName]:
    names: list[SplitName] = []
    for row, written in enumerate(_strings(arrays, "query_split")):
        known = next((split for split in SPLITS if split == written), None)
        if known is None:
            faults.add(
                "unknown split", f"query_split row {row}: {written!r}", hint=f"a split is one of {', '.join(SPLITS)}"
            )
        else:
            names.append(known)
    return names


def _strings(arrays: NpzArrays, name: str) -> list[str]:
    try:
        values = [item.decode() if isinstance(item, bytes) else str(item) for item in arrays.whole(name).tolist()]
        "".join(values).encode()
    except ValueError as error:  # code points that are not characters
        raise DataError(
            f"not valid Unicode: {error}", path=arrays.path, key=name, hint="store ids as valid strings or integers"
        ) from None
    return values


class _Vectors:
    """Streams vectors, refusing rows that have no direction, and tells equal rows by their fingerprint."""

    def __init__(self, arrays: NpzArrays, writer: PreparedWriter, progress: Progress) -> None:
        self._arrays, self._writer, self._progress = arrays, writer, progress

    def copy(self, name: str, keep: NDArray[np.bool_] | None = None) -> NDArray[np.int64]:
        """Write the rows of `name` (those marked in `keep`) and label each row: equal labels, equal vectors."""
        rows, width = self._arrays.headers[name].shape
        target = "corpus_vectors" if name == "doc_vectors" else name
        sink = self._writer.vectors(target, rows=rows if keep is None else int(keep.sum()), width=width)
        return self._labels(name, sink, keep)

    def fingerprints(self, name: str) -> NDArray[np.int64]:
        """Check the rows and label them, writing nothing."""
        return self._labels(name, None, None)

    def _labels(self, name: str, sink: VectorSink | None, keep: NDArray[np.bool_] | None) -> NDArray[np.int64]:
        faults, numbers = Faults(self._arrays.path), dict[bytes, int]()
        labels: list[int] = []
        for block in self._progress.track(self._arrays.blocks(name), name):
            with np.errstate(over="ignore"):  # a float64 beyond float32 becomes infinite and is refused as such
                vectors = block.astype(np.float32)
            _check_rows(name, vectors, faults, start=len(labels))
            if sink is not None:
                sink.add(vectors if keep is None else vectors[keep[len(labels) : len(labels) + len(vectors)]])
            prints = (hashlib.blake2b(row.tobytes(), digest_size=16).digest() for row in vectors)
            labels += [numbers.setdefault(fingerprint, len(numbers)) for fingerprint in prints]
        faults.refuse()
        return np.array(labels, np.int64)


def _check_rows(name: str, vectors: NDArray[np.float32], faults: Faults, *, start: int) -> None:
    finite = np.isfinite(vectors).all(axis=1)
    for row in np.flatnonzero(~finite):
        faults.add(
            "NaN or infinity", f"{name} row {start + row}", hint="leave these rows out, or encode their items again"
        )
    for row in np.flatnonzero(finite & ~vectors.any(axis=1)):
        faults.add("zero vector, which has no direction", f"{name} row {start + row}", hint="leave these rows out")


def _divide(
    config: NpzData,
    tables: Tables,
    same_document: NDArray[np.int64],
    *,
    same_query: NDArray[np.int64],
    left_out: Counter[str],
) -> NDArray[np.int64]:
    """Index into SPLITS of each query, -1 where it is left out."""
    query, document = tables.qrels.T
    judged = np.zeros(len(tables.query_ids), np.bool_)
    judged[query] = True
    left_out["query without a judgement"] += int((~judged).sum())
    shared = joined(Links(query, same_document[document]), Links(np.flatnonzero(judged), same_query[judged]))
    if tables.split is None:
        shares: dict[SplitName, float] = {"validation": config.validation_fraction, "test": config.test_fraction}
        rank = hold_out_queries(tables.query_ids, judged, shared, shares=shares, seed=config.split_seed)
    else:
        rank = np.array([SPLITS.index(split) for split in tables.split], np.int64)
        cross = crossing(tables.split, shared) & judged
        left_out[CROSSING] += int(cross.sum())
        rank[cross] = -1
    rank[~judged] = -1
    return rank
