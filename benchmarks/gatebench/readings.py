"""What can be wrong with measurements, gates, judgements and decisions as they are read and written.

    reading_cases    a folder of measurements, or the gates, are spoiled, then read and judged as the judge stage does
    contract_cases   judgements and decisions that may not be written down

A refusal by name counts as `blocked`: nothing was judged. The healthy twin is the same folder, unspoiled.
"""

import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from gatebench.cases import Case, blocked
from gatebench.toy_runs import edit_json, refusal_is_blocked
from interlock.contracts.decision import Decision
from interlock.contracts.gate import Gate
from interlock.contracts.verdict import Judgement, Verdict, fold
from interlock.gates.judgement import make_judgement
from interlock.lanes.measuring import Subject, Value, from_ratio, from_scores, write_measurements, write_scores
from interlock.provenance.digest import sha256_file
from interlock.stages.verdicts import read_archived, read_gates, read_measured

BLOCKED = blocked()

# --- a folder of measurements ----------------------------------------------------------------------------------------

RUN = "0123456789abcdef"
GATES: dict[str, Any] = {
    "recall": {"kind": "threshold", "metric": "r_at_5", "direction": "at_least", "target": 0.5, "n_min": 50},
    "gain": {"kind": "baseline", "metric": "r_at_5", "baseline": "bm25.r_at_5", "direction": "at_least"},
    "speed": {
        "kind": "threshold",
        "metric": "output_rate",
        "direction": "at_least",
        "target": 800.0,
        "unit": "tokens/s",
    },
    "loads": {"kind": "predicate", "check": "model_loadable", "phase": "shipped"},
}
Change = Callable[[Path], None]


def _write_run(folder: Path) -> None:
    """What evaluate and export leave: 120 queries, recall 0.7 beside 0.3, 1,000 tokens/s, and a model that loads."""
    for stage in ("evaluate", "export"):
        (folder / stage).mkdir(parents=True)
    ours = np.r_[np.ones(84), np.zeros(36)]
    columns = {"r_at_5": ours, "bm25.r_at_5": ours * (np.arange(120) % 7 < 3)}
    seconds = np.linspace(0.5, 2.0, 120)
    output = {"tokens": seconds * np.linspace(900.0, 1100.0, 120), "seconds": seconds}
    items = [f"q{index:04d}" for index in range(120)]
    sha256 = write_scores(folder / "evaluate" / "per_query.parquet", items, columns | output)
    values = [from_scores(name, scores) for name, scores in columns.items()]
    speed = from_ratio("output_rate", output["tokens"], seconds, unit="tokens/s", columns=("tokens", "seconds"))
    values.append(speed)
    write_measurements(_subject(folder, "evaluate"), values, scores_sha256=sha256)
    write_measurements(_subject(folder, "export"), [Value(name="model_loadable", value=1.0, unit="bool")])


def _subject(folder: Path, stage: str, run_id: str = RUN) -> Subject:
    return Subject(
        folder=folder / stage,
        stage=stage,
        run_id=run_id,
        evaluator_sha256="b" * 64,
        split="test",
        split_sha256="a" * 64,
    )


def _read(folder: Path, gates: Mapping[str, Any] = GATES) -> Verdict:
    def verdict() -> Verdict:
        measured = read_measured([folder / "evaluate", folder / "export"], run_id=RUN)
        return measured.judgement("tower", read_gates(gates)).verdict

    return refusal_is_blocked(verdict)


def _measurements(change: Callable[[Any], None]) -> Change:
    return lambda folder: edit_json(folder / "evaluate" / "measurements.json", change)


def _first(**fields: Any) -> Change:
    return _measurements(lambda found: found["items"][-1].update(fields))


def _text(old: str, new: str) -> Change:
    def change(folder: Path) -> None:
        path = folder / "evaluate" / "measurements.json"
        text = path.read_text()
        assert old in text, f"{old!r} is not in {path}"
        path.write_text(text.replace(old, new, 1))

    return change


def _scores_ref(**fields: Any) -> Change:
    def change(found: Any) -> None:
        for item in found["items"]:
            item["scores"].update(fields)

    return _measurements(change)


def _speed(**fields: Any) -> Change:
    """Change where the ratio's columns stand."""

    def change(found: Any) -> None:
        item = next(item for item in found["items"] if item["name"] == "output_rate")
        item["scores"].update(fields)

    return _measurements(change)


def _torn_and_described(folder: Path) -> None:
    """The file was torn while it was written, and described afterwards."""
    path = folder / "evaluate" / "per_query.parquet"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    _scores_ref(sha256=sha256_file(path))(folder)


def _scores_outside(folder: Path) -> None:
    shutil.move(folder / "evaluate" / "per_query.parquet", folder / "per_query.parquet")
    _scores_ref(file="../per_query.parquet")(folder)


def _with_null_scores(folder: Path) -> None:
    """A file of the right shape that another tool wrote, with gaps."""
    import pyarrow
    import pyarrow.parquet

    path = folder / "evaluate" / "per_query.parquet"
    table = pyarrow.parquet.read_table(path)
    columns = {name: table.column(name).to_pylist() for name in table.column_names}
    columns["r_at_5"][3] = None
    pyarrow.parquet.write_table(pyarrow.table(columns), path)
    _scores_ref(sha256=sha256_file(path))(folder)


def _measured_twice(folder: Path) -> None:
    write_measurements(_subject(folder, "export"), [Value(name="r_at_5", value=0.9, unit="ratio", n=120)])


def _write_nan(folder: Path) -> None:
    write_scores(folder / "evaluate" / "per_query.parquet", ["q1", "q2"], {"r_at_5": [1.0, float("nan")]})


def _write_twice(folder: Path) -> None:
    write_scores(folder / "evaluate" / "per_query.parquet", ["q1", "q1"], {"r_at_5": [1.0, 1.0]})


def _write_short(folder: Path) -> None:
    write_scores(folder / "evaluate" / "per_query.parquet", ["q1", "q2"], {"r_at_5": [1.0]})


READING: dict[str, Change] = {
    "scores_file_missing": lambda folder: (folder / "evaluate" / "per_query.parquet").unlink(),
    "scores_file_cut": lambda folder: (folder / "evaluate" / "per_query.parquet").write_bytes(b"PAR1"),
    "scores_file_torn_and_described": _torn_and_described,
    "scores_file_outside": _scores_outside,
    "scores_with_gaps": _with_null_scores,
    "scores_column_renamed": _scores_ref(column="recall"),
    "scores_item_column_renamed": _scores_ref(item="id"),
    "denominator_column_renamed": _speed(denominator="duration"),
    "denominator_not_named": _speed(denominator=None),
    "denominator_is_the_numerator": _speed(denominator="tokens"),
    "ratio_upside_down": _speed(column="seconds", denominator="tokens"),
    "run_id_of_other_run": _measurements(lambda found: found.update(run_id="f" * 16)),
    "run_id_missing": _measurements(lambda found: found.pop("run_id")),
    "measurements_file_missing": lambda folder: (folder / "evaluate" / "measurements.json").unlink(),
    "measurements_file_empty": lambda folder: (folder / "evaluate" / "measurements.json").write_text(""),
    "measurements_file_cut": lambda folder: _text('"unit"', "")(folder),
    "measurements_empty_list": _measurements(lambda found: found.update(items=[])),
    "measured_in_two_stages": _measured_twice,
    "measured_twice_in_one": _measurements(lambda found: found["items"].append(found["items"][-1])),
    "value_nan_in_json": _text('"value": 0.7', '"value": NaN'),
    "value_as_text": _first(value="0.7"),
    "value_yes": _first(value=True),
    "value_in_percent": _first(value=70.0),
    "value_raised": _first(value=0.9),
    "n_negative": _first(n=-5),
    "n_as_fraction": _first(n=0.5),
    "field_mistyped": _measurements(lambda found: found["items"][-1].update(values=0.9)),
    "estimator_unknown": _first(estimator="best_of_five"),
    "writer_given_nan": _write_nan,
    "writer_given_an_item_twice": _write_twice,
    "writer_given_too_few_scores": _write_short,
    "export_folder_missing": lambda folder: shutil.rmtree(folder / "export"),
}

GATE_FILES: dict[str, Callable[[Any], None]] = {
    "gate_metric_mistyped": lambda gates: gates["recall"].update(metric="r_at5"),
    "gate_key_mistyped": lambda gates: gates["recall"].update(target_=0.1),
    "gate_kind_unknown": lambda gates: gates["recall"].update(kind="thresholds"),
    "gate_without_direction": lambda gates: gates["recall"].pop("direction"),
    "gate_without_target": lambda gates: gates["recall"].pop("target"),
    "gate_target_nan": lambda gates: gates["recall"].update(target=float("nan")),
    "gate_target_minus_infinite": lambda gates: gates["recall"].update(target=float("-inf")),
    "gate_target_as_text": lambda gates: gates["recall"].update(target="0.5"),
    "gate_confidence_of_a_coin": lambda gates: gates["recall"].update(confidence=0.5),
    "gate_confidence_certain": lambda gates: gates["recall"].update(confidence=1.0),
    "gate_n_min_zero": lambda gates: gates["recall"].update(n_min=0),
    "gate_severity_unknown": lambda gates: gates["recall"].update(severity="ignore"),
    "gates_all_removed": lambda gates: gates.clear(),
}


def reading_cases(folder: Path) -> Iterator[Case]:
    """Measurements that were spoiled before they were read, and gates before they were."""
    counter = iter(range(10_000))

    def drive(change: Change, change_gates: Callable[[Any], None]) -> Verdict:
        place = folder / f"read{next(counter):04d}"
        gates = json.loads(json.dumps(GATES))

        def verdict() -> Verdict:
            _write_run(place)
            change(place)
            change_gates(gates)
            return _read(place, gates)

        try:
            return refusal_is_blocked(verdict)
        finally:
            shutil.rmtree(place)

    nothing: Callable[[Any], None] = lambda found: None  # noqa: E731
    twin = partial(drive, nothing, nothing)
    for fault, change in READING.items():
        yield _case(fault, partial(drive, change, nothing), twin)
    for fault, change_gates in GATE_FILES.items():
        yield _case(fault, partial(drive, nothing, change_gates), twin)
    yield _case("archive_without_export", partial(_archived, folder, False), partial(_archived, folder, True))


def _archived(folder: Path, whole: bool) -> Verdict:
    """The archive's layout: export's measurements in a folder of their own beside the rest."""
    place = folder / "archived"
    _write_run(place)
    shutil.copytree(place / "evaluate", place / "models")
    if whole:
        shutil.copytree(place / "export", place / "models" / "export")
    try:
        measured = read_archived(place / "models", run_id=RUN)
        return fold(measured.rows(read_gates(GATES)))
    finally:
        shutil.rmtree(place)


def _case(fault: str, drive: Callable[[], Verdict], twin: Callable[[], Verdict]) -> Case:
    return Case(fault=fault, kind="files", number=0, expected=BLOCKED, drive=drive, drive_twin=twin)


# --- what may not be written down ------------------------------------------------------------------------------------


def contract_cases(folder: Path) -> Iterator[Case]:
    """Judgements and decisions that do not follow from their rows."""
    honest = partial(_judged, folder, lambda rows: rows, lambda fields: fields)
    changes: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any]]] = {
        "row_left_out": (lambda rows: rows[1:], lambda fields: fields),
        "rows_left_out": (lambda rows: (), lambda fields: fields),
        "row_made_advisory": (
            lambda rows: (rows[0].model_copy(update={"severity": "advise"}), *rows[1:]),
            lambda fields: fields,
        ),
        "row_counted_twice": (lambda rows: (*rows, rows[0]), lambda fields: fields),
        "pass_over_failing_rows": (
            lambda rows: (rows[0].model_copy(update={"verdict": Verdict.FAIL}), *rows[1:]),
            lambda fields: fields | {"verdict": "pass"},
        ),
        "pass_without_observation": (
            lambda rows: rows,
            lambda fields: fields | {"rows": [row | {"observed": None} for row in fields["rows"]]},
        ),
    }
    for fault, (change_rows, change_fields) in changes.items():
        yield _case(fault, partial(_judged, folder, change_rows, change_fields), honest)
    yield Case(
        fault="accepting_a_fail",
        kind="files",
        number=0,
        expected=BLOCKED,
        after="RD-Agent: accept is a yes or no of a language model",
        drive=partial(_accepted, Verdict.FAIL),
        drive_twin=partial(_accepted, Verdict.PASS),
    )


def _judged(folder: Path, change_rows: Callable[[Any], Any], change_fields: Callable[[Any], Any]) -> Verdict:
    place = folder / "contract"
    _write_run(place)

    def verdict() -> Verdict:
        gates: dict[str, Gate] = read_gates(GATES)
        measured = read_measured([place / "evaluate", place / "export"], run_id=RUN)
        made = make_judgement(
            run_id=RUN, lane="tower", gates=gates, measurements=measured.measurements,
            rows=change_rows(measured.rows(gates)),
        )  # fmt: skip
        written = change_fields(made.model_dump(mode="json"))
        return Judgement.model_validate_json(json.dumps(written)).verdict

    try:
        return refusal_is_blocked(verdict)
    finally:
        shutil.rmtree(place)


def _accepted(verdict: Verdict) -> Verdict:
    """Somebody decides to accept; the verdict that goes forward is the decision's."""
    fields = {
        "decision_id": "a" * 64,
        "judgement_id": "b" * 64,
        "run_id": RUN,
        "lane": "tower",
        "verdict": verdict.value,
        "action": "accept",
        "reasons": [{"text": "It looks good.", "evidence": ["verdict"]}],
        "confidence": "high",
        "policy": "language_model",
        "evidence": [{"id": "verdict", "value": verdict.value, "pointer": "judgement.json#/verdict"}],
    }
    return refusal_is_blocked(lambda: Decision.model_validate_json(json.dumps(fields)).verdict)
