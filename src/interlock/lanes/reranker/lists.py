"""Candidate lists: what a reranker is given, with how relevant each candidate is. One Parquet file each.

    row     document's row in the corpus      grade   2 answer, 1 related (soft negative), 0 unrelated (hard negative)
    score   the first stage's                 rank    the first stage's, from 1; 0 where it did not retrieve it

Within a list candidates stand by row, so that their place says nothing. Does not mine: see `mining.py`.

Shapes: Q queries, C places of the longest list; empty places behind the end hold row -1.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from interlock.errors import DataError
from interlock.provenance.files import atomic_file

ANSWER, SOFT, HARD = 2, 1, 0
EMPTY = -1
"""Row of an empty place."""

COLUMNS = {"query": "int32", "row": "int64", "grade": "int8", "score": "float32", "rank": "int32"}


@dataclass(frozen=True, kw_only=True)
class Lists:
    """The lists of one split, item i belonging to query i of the split."""

    rows: NDArray[np.int64]
    """[Q, C]."""
    grades: NDArray[np.int8]
    """[Q, C]; 0 in empty places."""
    scores: NDArray[np.float32]
    """[Q, C]; 0 in empty places."""
    ranks: NDArray[np.int32]
    """[Q, C]; 0 in empty places."""

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def filled(self) -> NDArray[np.bool_]:
        """[Q, C] where there is a candidate."""
        filled: NDArray[np.bool_] = self.rows != EMPTY
        return filled

    def take(self, queries: NDArray[np.int64]) -> "Lists":
        """The lists of these queries, in this order."""
        return Lists(
            rows=self.rows[queries], grades=self.grades[queries], scores=self.scores[queries], ranks=self.ranks[queries]
        )

    def is_retrieved(self) -> NDArray[np.bool_]:
        """[Q] whether the first stage itself found an answer among as many documents as the list is long."""
        within = (self.ranks > 0) & (self.ranks <= self.filled.sum(axis=1, keepdims=True))
        found: NDArray[np.bool_] = ((self.grades == ANSWER) & self.filled & within).any(axis=1)
        return found

    def ordered(self, scores_QC: NDArray[np.float32]) -> NDArray[np.int64]:
        """[Q, C] rows by falling score, the lower row first among equals, empty places last."""
        keyed = np.where(self.filled, scores_QC.astype(np.float64), -np.inf)
        order = np.argsort(-keyed, axis=1, kind="stable")  # places are by row already
        return np.take_along_axis(self.rows, order, axis=1)


def write_lists(path: Path, lists: Lists) -> None:
    """Write one row for each candidate; equal lists give equal bytes."""
    import pyarrow
    import pyarrow.parquet

    query, place = np.nonzero(lists.filled)
    found: dict[str, NDArray[Any]] = {
        "row": lists.rows,
        "grade": lists.grades,
        "score": lists.scores,
        "rank": lists.ranks,
    }
    columns = {"query": query.astype(np.int32), **{name: values[query, place] for name, values in found.items()}}
    with atomic_file(path) as file:
        pyarrow.parquet.write_table(pyarrow.table(columns), file, compression="zstd", store_schema=False)


def read_lists(path: Path) -> Lists:
    """Read them back. Raises DataError for a file that is missing or holds something else."""
    import pyarrow
    import pyarrow.parquet

    try:
        table = pyarrow.parquet.ParquetFile(path).read()
    except (OSError, pyarrow.ArrowInvalid) as error:
        raise DataError("cannot read the candidate lists", path=path, hint="run prepare again") from error
    types = [str(kind).replace("float", "float32") for kind in table.schema.types]
    if dict(zip(table.schema.names, types, strict=True)) != COLUMNS:
        raise DataError(f"columns are {table.column_names}, expected {list(COLUMNS)}", path=path, hint="prepare again")
    columns: dict[str, NDArray[Any]] = {name: table.column(name).to_numpy() for name in COLUMNS}
    lengths = np.bincount(columns["query"])
    shape = (len(lengths), int(lengths.max()))
    filled = np.arange(shape[1]) < lengths[:, None]
    kept: dict[str, NDArray[Any]] = {}
    for name, empty in (("row", EMPTY), ("grade", 0), ("score", 0), ("rank", 0)):
        kept[name] = np.full(shape, empty, dtype=COLUMNS[name])
        kept[name][filled] = columns[name]
    return Lists(rows=kept["row"], grades=kept["grade"], scores=kept["score"], ranks=kept["rank"])
