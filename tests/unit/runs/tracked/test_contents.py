"""What trackers are shown: the worst gates first, an alert with reasons, charts, artifacts by digest."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from interlock.contracts.stage import Artifact
from interlock.contracts.tracking import TrackedRun
from interlock.contracts.verdict import Cause, GateResult, Judgement, Verdict, fold
from interlock.runs.tracked.contents import Told, alerts, gate_table, lineage, summary, tags
from interlock.runs.tracked.curves import charts, logged_curves
from interlock.runs.tracked.described import described, tracking_of

RUN_ID, SHA = "0123456789abcdef", "a" * 64


def row(gate: str, verdict: Verdict, **changes: Any) -> GateResult:
    fields: dict[str, Any] = {
        "gate": gate, "metric": gate, "severity": "block", "verdict": verdict, "observed": 0.5, "bound": 0.4,
        "target": 0.6, "comparison": ">=", "unit": "ratio", "n": 10, "method": "wilson",
        "reason": f"{gate} is {verdict}", "evidence": "", "on_failure": f"mend {gate}",
        "cause": Cause.MISSING if verdict is Verdict.BLOCKED else None,
    }  # fmt: skip
    return GateResult(**{**fields, **changes})


def judged(*rows: GateResult) -> Judgement:
    return Judgement(
        judgement_id="j" * 64,
        run_id=RUN_ID,
        lane="toy",
        verdict=fold(rows),
        rows=rows,
        gates_sha256=SHA,
        measurements_sha256=SHA,
    )


def told(judgement: Judgement | None = None, **changes: Any) -> Told:
    files = {name: Artifact(sha256=SHA, size_bytes=3) for name in ("model.safetensors", "dataset_card.json")}
    card = SimpleNamespace(
        run_id=RUN_ID, dataset="my data/v2", dataset_sha256="d" * 64, model_type="toy", export="completed",
        artifacts=files, results={"r_at_5": 0.5, "nested": {"x": 1}}, model_files=("model.safetensors", "model.onnx"),
        observations=SimpleNamespace(
            results={"latency_ms": 3.0}, artifacts={}, duration_mins=1.0,
            recovery=(), spend=SimpleNamespace(compute_hours=0.1, cost_usd=None),
        ),
    )  # fmt: skip
    fields = {"params": {}, "labels": {}, "decision": None, "model_id": "m", "stage": "production"}
    return Told(**{"home": Path("/home"), "card": card, "judgement": judgement, **fields, **changes})


def test_the_worst_gates_stand_on_top() -> None:
    rows = (row("a", Verdict.PASS), row("b", Verdict.FAIL), row("c", Verdict.BLOCKED), row("d", Verdict.INCONCLUSIVE))
    table = gate_table(judged(*rows))
    assert [line[0] for line in table.rows] == ["b", "c", "d", "a"]
    assert dict(zip(table.columns, table.rows[0], strict=True))["reason"] == "b is fail"


def test_an_alert_names_every_gate_that_failed_and_no_advice() -> None:
    judgement = judged(
        row("a", Verdict.FAIL),
        row("b", Verdict.FAIL, severity="advise"),
        row("c", Verdict.FAIL),
        row("d", Verdict.PASS),
    )
    (alert,) = alerts(told(judgement))
    assert alert.text == "a: a is fail (mend a)\nc: c is fail (mend c)"
    assert (alert.title, alert.level) == (f"fail: toy run {RUN_ID}", "WARN")


def test_a_halting_gate_is_urgent_and_a_pass_is_none() -> None:
    assert alerts(told(judged(row("a", Verdict.FAIL, severity="halt"))))[0].level == "ERROR"
    assert alerts(told(judged(row("a", Verdict.BLOCKED))))
    assert alerts(told(judged(row("a", Verdict.INCONCLUSIVE)))) == ()
    assert alerts(told(judged(row("a", Verdict.PASS)))) == ()
    assert alerts(told(None)) == ()


def test_tags_and_summary_say_what_was_judged() -> None:
    found = told(judged(row("a", Verdict.FAIL)), reproduced="bit_exact")
    assert tags(found) == ("dataset:my data/v2", "verdict:fail", "stage:production", "reproduced:bit_exact")
    values = summary(found)
    assert (values["verdict"], values["gates/a"], values["gates/a/bound"]) == ("fail", "fail", 0.4)
    assert (values["r_at_5"], values["latency_ms"], "nested" in values) == (0.5, 3.0, False)


@pytest.mark.parametrize(
    ("models", "export", "expected"),
    [("exported", "completed", 1), ("exported", "skipped", 0), ("all", "skipped", 1), ("none", "completed", 0)],
)
def test_which_models_become_artifacts(models: Any, export: str, expected: int) -> None:
    found = told(judged(row("a", Verdict.PASS)))
    found.card.export = export  # type: ignore[misc]
    made = lineage(found, models=models)
    assert len(made.outputs) == expected
    assert [(data.name, data.aliases) for data in made.inputs] == [("my-data-v2", ("d" * 12,))]
    for model in made.outputs:
        assert model.aliases == (RUN_ID, "verdict-pass", "production")
        assert {name: file.path for name, file in model.files.items()} == {
            "model.safetensors": f"runs/{RUN_ID}/models/model.safetensors"
        }


def test_charts_of_losses_and_of_metrics_beside_their_baselines() -> None:
    names = {"r_at_1": 0.4, "r_at_5": 0.6, "bm25.r_at_5": 0.5, "bm25.r_at_1": 0.3, "mrr_at_10": 0.5, "no_nan": 1.0}
    measured: Any = SimpleNamespace(measurements={name: SimpleNamespace(value=value) for name, value in names.items()})
    points = [(1, {"train/loss": 9.0}), (2, {"train/loss": 5.0, "epoch": 1, "validation/loss": 4.0})]
    points += [(4, {"epoch": 2, "validation/loss": 3.0, "train/lr": 0.1})]
    losses, recall = charts(measured, points)
    assert losses.series == {"validation/loss": ((1.0, 4.0), (2.0, 3.0))}
    assert recall.series == {"model": ((1.0, 0.4), (5.0, 0.6)), "bm25": ((1.0, 0.3), (5.0, 0.5))}


def test_a_run_trained_elsewhere_gets_its_curves_from_its_log(tmp_path: Path) -> None:
    from interlock.provenance.chain import append

    for step in (10, 20):
        append(tmp_path / "train_log.jsonl", {"epoch": 1, "step": step, "loss": 1 / step, "lr": 0.1, "timestamp": "t"})
    (tmp_path / "loss.csv").write_text("epoch,step,train_loss,validation_loss,lr\n1,20,0.3,0.4,0.1\n")
    assert list(logged_curves(tmp_path)) == [
        (10, {"train/loss": 0.1, "train/lr": 0.1}),
        (20, {"train/loss": 0.05, "train/lr": 0.1, "epoch": 1.0, "train/epoch_loss": 0.3, "validation/loss": 0.4}),
    ]


@pytest.mark.parametrize("text", ["", "not json\n", '{"seq":1}\n'])
def test_a_log_of_another_kind_gives_no_curves(text: str, tmp_path: Path) -> None:
    (tmp_path / "train_log.jsonl").write_text(text)
    (tmp_path / "loss.csv").write_text("step,loss\n0,0.5\n")
    assert list(logged_curves(tmp_path)) == []


def test_names_groups_and_job_types() -> None:
    config = {"experiment": {"name": "mine", "hypothesis": "h", "notes": "n"}, "seed": 1, "tracking": {"kind": "jsonl"}}

    def run(**labels: str) -> TrackedRun:
        return described(RUN_ID, lane="toy", config=config, labels=labels, tags=("x" * 99,), identity={"a": 1})

    plain = run()
    assert (plain.name, plain.group, plain.job_type, plain.notes) == ("mine-toy-01234567", "mine", "train", "h\n\nn")
    assert plain.tags == ("lane:toy", "x" * 64)
    assert plain.config == {
        "experiment": config["experiment"], "seed": 1, "interlock": {"run_id": RUN_ID, "a": 1}
    }  # fmt: skip
    assert (run(sweep="s").group, run(sweep="s").job_type) == ("s", "sweep")
    assert run(purpose="reproduce", sweep="s").job_type == "reproduce"
    assert "dvc:bony" in run(dvc_experiment="bony").tags


@pytest.mark.parametrize("config", [{}, {"tracking": None}, {"tracking": {"kind": "nonsense"}}, {"tracking": 3}])
def test_settings_that_do_not_hold_together_mean_local_files(config: dict[str, Any]) -> None:
    assert tracking_of(config).kind == "jsonl"
