"""What evaluate hands to the judge: per-item scores, measurements with evidence, and the flat metrics file.

    per_query.parquet    one row per item, one column per score             (evidence of means and rates)
    metrics.json         {"r_at_5": 0.61, ...}                              (what DVC shows; evidence of every value)
    measurements.json    contracts.measurement.Measurements                 (what the judge reads)

Written in this order, each naming the digest of the ones before it. `read_scores` is the judge's side: it trusts no
number whose file has changed. Imports pyarrow only inside functions (0.2 s) and never torch.

Does not judge: intervals and verdicts are in `interlock.gates`.
"""

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from interlock.contracts.measurement import Bins, Estimator, Measurement, Measurements, ScoresRef
from interlock.errors import DataError, ProvenanceError
from interlock.provenance.canonical import sha256_json
from interlock.provenance.digest import sha256_file
from interlock.provenance.files import atomic_file, inside, write_json

SCORES_FILE = "per_query.parquet"
METRICS_FILE = "metrics.json"
MEASUREMENTS_FILE = "measurements.json"


@dataclass(frozen=True, kw_only=True)
class Value:
    """A measured number before it has evidence. Use `from_scores` for means over items, `from_ratio` for ratios."""

    name: str
    """Metric name, e.g. `r_at_5`."""
    value: float | None
    """The estimate; None when it could not be measured, with a reason."""
    unit: str
    """`ratio`, `cosine`, `ms`, `bool`, `nats`, `s`, `count` ..."""
    n: int = 1
    """Items behind it."""
    estimator: Estimator = "value"
    """How it follows from its items."""
    quantile: float | None = None
    """Which quantile, for estimator `quantile`."""
    column: str | None = None
    """Column of the scores file that holds its items; of a ratio what is counted, of a calibration 1 where correct."""
    denominator: str | None = None
    """Column of a ratio's denominators."""
    confidence: str | None = None
    """Column of a calibration's confidences; its value is `interlock.gates.calibration.plain_error`."""
    bins: Bins | None = None
    """Bins of a calibration."""
    reason: str = ""
    """Why there is no value, or a remark."""


@dataclass(frozen=True, kw_only=True)
class Subject:
    """What was measured, by what, and where the files are written."""

    folder: Path
    """Folder of the stage."""
    stage: str
    """Name of the stage, e.g. `evaluate`; the first part of every evidence pointer."""
    run_id: str
    """Run that was measured."""
    evaluator_sha256: str
    """Digest of the measuring code."""
    split: str = ""
    """Name of the split."""
    split_sha256: str | None = None
    """`split_digest` of it."""


def from_scores(name: str, scores: NDArray[np.float64], *, unit: str = "ratio") -> Value:
    """Mean over items, kept in the column `name`: estimator `rate` where every item is 0 or 1, else `mean`."""
    is_rate = bool(np.isin(scores, (0.0, 1.0)).all())
    return Value(
        name=name,
        value=math.fsum(scores.tolist()) / len(scores),
        unit=unit,
        n=len(scores),
        estimator="rate" if is_rate else "mean",
        column=name,
    )


def check(name: str, answer: bool, reason: str = "") -> Value:
    """A yes/no measurement, which predicate gates ask for."""
    return Value(name=name, value=float(answer), unit="bool", reason=reason)


def not_measured(name: str, reason: str, *, unit: str = "bool") -> Value:
    """What could not be measured; its gate is blocked with this reason."""
    return Value(name=name, value=None, unit=unit, n=0, reason=reason)


def from_ratio(
    name: str,
    numerators: NDArray[np.float64],
    denominators: NDArray[np.float64],
    *,
    unit: str,
    columns: tuple[str, str],
) -> Value:
    """Sum of `numerators` [n] over sum of `denominators` [n], kept in these two columns.

    Without a value, and with a reason, where the denominators are negative or add up to nothing.
    """
    total = math.fsum(denominators.tolist())
    defined = bool((denominators >= 0).all()) and total > 0
    return Value(
        name=name,
        value=math.fsum(numerators.tolist()) / total if defined else None,
        unit=unit,
        n=len(numerators),
        estimator="ratio",
        column=columns[0],
        denominator=columns[1],
        reason="" if defined else f"its denominators add up to {total:g} or are negative",
    )


def write_scores(
    path: Path, item_ids: Sequence[str], columns: Mapping[str, ArrayLike], *, item: str = "query_id"
) -> str:
    """Write one float64 column per score beside the item ids, and return the file's SHA-256.

    Equal content gives equal bytes: rows are sorted by item, columns by name. Raises DataError for repeated items,
    columns of another length, and scores that are not finite.
    """
    import pyarrow
    import pyarrow.parquet

    order = sorted(range(len(item_ids)), key=item_ids.__getitem__)
    if len(set(item_ids)) != len(item_ids):
        raise DataError("an item is scored twice", path=path, key=item)
    arrays: dict[str, Any] = {item: pyarrow.array([item_ids[i] for i in order], pyarrow.string())}
    for name in sorted(columns):
        scores = np.asarray(columns[name], dtype=np.float64)
        if scores.shape != (len(item_ids),) or not np.isfinite(scores).all():
            raise DataError(
                f"needs one finite score for each of the {len(item_ids)} items",
                path=path,
                key=name,
                value=f"{scores.shape}, {int((~np.isfinite(scores)).sum())} not finite",
            )
        arrays[name] = pyarrow.array(scores[order])
    with atomic_file(path) as file:
        pyarrow.parquet.write_table(pyarrow.table(arrays), file, compression="zstd", store_schema=False)
    return sha256_file(path)


def read_scores(measurement: Measurement, folder: Path) -> tuple[list[str], NDArray[np.float64]]:
    """Item ids (sorted) and their scores [n]; of a ratio or a calibration both columns [n, 2].

    Raises ProvenanceError unless the file has the recorded digest and columns.
    """
    reference = measurement.scores
    if reference is None:
        raise DataError(
            "measurement has no per-item scores", key=measurement.name, hint="only means and rates carry them"
        )
    path = inside(folder, reference.file)
    if not path.is_file() or sha256_file(path) != reference.sha256:
        raise ProvenanceError(
            "per-item scores are missing or differ from their recorded digest",
            path=path,
            key=measurement.name,
            value=reference.sha256,
            hint="run the stage again: dvc repro",
        )
    import pyarrow.parquet

    # ParquetFile and to_pylist, because read_table and to_numpy import pandas, which doubles the judge's start-up time
    try:
        file = pyarrow.parquet.ParquetFile(path)
    except (OSError, pyarrow.ArrowInvalid) as error:  # torn while it was written, and described afterwards
        raise ProvenanceError(
            "per-item scores are not a readable Parquet file",
            path=path,
            key=measurement.name,
            hint="run the stage again: dvc repro",
        ) from error
    second = reference.denominator or reference.confidence
    columns = [reference.column] if second is None else [reference.column, second]
    if missing := sorted({reference.item, *columns} - set(file.schema_arrow.names)):
        raise ProvenanceError("per-item scores lack a column", path=path, key=measurement.name, value=missing)
    table = file.read(columns=[reference.item, *columns])
    scores = [np.array(table.column(column).to_pylist(), dtype=np.float64) for column in columns]
    return table.column(reference.item).to_pylist(), scores[0] if second is None else np.stack(scores, axis=1)


def write_measurements(
    subject: Subject,
    values: Sequence[Value],
    *,
    scores_sha256: str | None = None,
    scores_file: str = SCORES_FILE,
    item: str = "query_id",
) -> Measurements:
    """Write metrics.json, then measurements.json with pointers into it. Values that are not finite become None."""
    names = [value.name for value in values]
    if repeated := sorted({name for name in names if names.count(name) > 1}):
        raise DataError("a metric is measured twice", path=subject.folder, value=repeated)
    finite = [_finite(value) for value in values]
    write_json(subject.folder / METRICS_FILE, {value.name: value.value for value in finite})
    metrics_sha256 = sha256_file(subject.folder / METRICS_FILE)
    measurements = Measurements(
        run_id=subject.run_id,
        items=tuple(
            Measurement(
                name=value.name,
                value=value.value,
                unit=value.unit,
                n=value.n,
                estimator=value.estimator,
                quantile=value.quantile,
                bins=value.bins,
                split=subject.split,
                split_sha256=subject.split_sha256,
                evaluator_sha256=subject.evaluator_sha256,
                reason=value.reason,
                scores=_scores_ref(value, scores_file, scores_sha256, item),
                evidence=evidence_pointer(f"{subject.stage}/{METRICS_FILE}", value.name, metrics_sha256),
            )
            for value in sorted(finite, key=lambda value: value.name)
        ),
    )
    write_json(subject.folder / MEASUREMENTS_FILE, measurements)
    return measurements


def evidence_pointer(file: str, name: str, sha256: str) -> str:
    """`file#/name@sha256:digest`, with the name escaped as a JSON pointer (RFC 6901)."""
    return f"{file}#/{name.replace('~', '~0').replace('/', '~1')}@sha256:{sha256}"


def split_digest(queries: Mapping[str, str], relevant: Mapping[str, Mapping[str, int]], *, corpus_sha256: str) -> str:
    """Digest of what a split asks: query ids with their texts, their relevant documents, and the searched corpus.

    Independent of any order. Two measurements may be compared only where it is equal: the corpus belongs to it, because
    the same queries over fewer documents are an easier task.
    """
    items = [
        [query, hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest(), dict(relevant.get(query, {}))]
        for query, text in sorted(queries.items())
    ]
    return sha256_json({"corpus": corpus_sha256, "queries": items})


def _finite(value: Value) -> Value:
    if value.value is None or math.isfinite(value.value):
        return value
    return Value(
        name=value.name,
        value=None,
        unit=value.unit,
        n=value.n,
        estimator=value.estimator,
        quantile=value.quantile,
        bins=value.bins,
        reason=f"not finite: {value.value}. {value.reason}".strip(),
    )


def _scores_ref(value: Value, file: str, sha256: str | None, item: str) -> ScoresRef | None:
    if value.column is None:
        return None
    if sha256 is None:
        raise DataError("a value names a score column, but no scores were written", key=value.name, value=value.column)
    return ScoresRef(
        file=file,
        column=value.column,
        denominator=value.denominator,
        confidence=value.confidence,
        item=item,
        sha256=sha256,
    )
