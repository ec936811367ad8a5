"""Faults that are planted into real runs: in the data, in the scores, in the evaluation.

A damaged file is signed again, as a broken evaluation would have signed it: otherwise the next stage refuses before
anything is judged. A `lasting_` fault is in the code: it is there again when the evaluation is repeated.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch


def _scores(change: Callable[[Any], Any]) -> Callable[[Path], None]:
    """Damage the per-item scores of the evaluation."""

    def damage(evaluate: Path) -> None:
        import pyarrow.parquet as pq

        name = next(path.name for path in evaluate.glob("per_*.parquet"))
        pq.write_table(change(pq.read_table(evaluate / name)), evaluate / name)
        _sign_again(evaluate)

    return damage


def _sign_again(folder: Path) -> None:
    """Let records and measurements carry the digests that the files have now; a file that is gone stays named."""
    from interlock.provenance.digest import sha256_file

    found = {path.name: sha256_file(path) for path in folder.glob("*.parquet")}
    measurements = json.loads((folder / "measurements.json").read_text())
    for item in measurements["items"]:
        scores = item.get("scores")
        if scores and scores["file"] in found:
            scores["sha256"] = found[scores["file"]]
    (folder / "measurements.json").write_text(json.dumps(measurements, indent=2, sort_keys=True) + "\n")
    for name in ("record.json", "outputs.json"):
        record = json.loads((folder / name).read_text())
        for file in [file for file in record["artifacts"] if not (folder / file).is_file()]:
            del record["artifacts"][file]
        for file, described in record["artifacts"].items():
            described.update(sha256=sha256_file(folder / file), size_bytes=(folder / file).stat().st_size)
        (folder / name).write_text(json.dumps(record, indent=2, sort_keys=True) + "\n")


def _measurement_gone(metric: str) -> Callable[[Path], None]:
    def damage(evaluate: Path) -> None:
        path = evaluate / "measurements.json"
        measurements = json.loads(path.read_text())
        measurements["items"] = [item for item in measurements["items"] if item["name"] != metric]
        path.write_text(json.dumps(measurements, indent=2, sort_keys=True) + "\n")
        _sign_again(evaluate)

    return damage


def _value_changed(metric: str, *, by: float) -> Callable[[Path], None]:
    def damage(evaluate: Path) -> None:
        path = evaluate / "measurements.json"
        measurements = json.loads(path.read_text())
        for item in measurements["items"]:
            if item["name"] == metric:
                item["value"] = min(1.0, item["value"] + by)
        path.write_text(json.dumps(measurements, indent=2, sort_keys=True) + "\n")
        _sign_again(evaluate)

    return damage


def _not_a_number(table: Any) -> Any:
    import pyarrow as pa

    for index, field in enumerate(table.schema):
        if pa.types.is_floating(field.type):
            values = table.column(index).to_pylist()
            values[0] = float("nan")
            table = table.set_column(index, field, pa.array(values, field.type))
    return table


def _twice(table: Any) -> Any:
    import pyarrow as pa

    return pa.concat_tables([table, table.slice(0, 5)])


_DAMAGE: Mapping[str, Callable[[Path], None]] = {
    "scores_cut": _scores(lambda table: table.slice(0, table.num_rows * 2 // 3)),
    "scores_nan": _scores(_not_a_number),
    "scores_short": _scores(lambda table: table.slice(0, table.num_rows - 7)),
    "lasting_items_twice": _scores(_twice),
    "lasting_nan": _scores(_not_a_number),
    "recall_gone": _measurement_gone("r_at_5"),
    "recall_raised": _value_changed("r_at_5", by=0.1),
    "accuracy_gone": _measurement_gone("accuracy"),
    "accuracy_raised": _value_changed("accuracy", by=0.04),
}
"""Done to the evaluation's folder before the judge looks."""


@contextmanager
def _answers_shared() -> Iterator[None]:
    """Some test questions are also asked in training, with the same answer: what a careless join of tables gives."""
    from interlock.lanes.retrieval.datasets.writer import PreparedWriter

    plain = PreparedWriter.add_queries

    def leaking(self: Any, ids: Any, texts: Any, splits: Any) -> None:
        texts, splits = list(texts), list(splits)
        trained = [row for row, split in enumerate(splits) if split == "train"]
        tested = [row for row, split in enumerate(splits) if split == "test"]
        for source, copy in list(zip(tested, trained, strict=False))[::4]:
            texts[copy] = texts[source]
        plain(self, ids, texts, splits)

    with patch.object(PreparedWriter, "add_queries", leaking):
        yield


_PATCHES = {"leak_questions": _answers_shared}
PLANTS = (*_DAMAGE, *_PATCHES)
"""Names of all faults."""


def is_in_data(name: str) -> bool:
    """Whether the fault is in what prepare writes, so that nobody else may use it."""
    return name in _PATCHES


@contextmanager
def planted(name: str, place: Any) -> Iterator[Callable[[], None]]:
    """While the stages run; gives what is to be done before the judge."""
    damage = _DAMAGE.get(name)
    with _PATCHES[name]() if name in _PATCHES else patch.dict({}):
        yield (lambda: damage(place.folder / "evaluate")) if damage else (lambda: None)
