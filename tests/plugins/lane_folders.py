"""Finished lane folders made by hand in milliseconds, for tests of what is done with them afterwards."""

import hashlib
import json
from pathlib import Path

from interlock.contracts.decision import Action, Decision, Evidence, Statement
from interlock.contracts.stage import STAGE_INPUTS, Observations, StageRecord
from interlock.contracts.verdict import GateResult, Judgement, Verdict
from interlock.provenance.canonical import pretty_json, sha256_json
from interlock.provenance.digest import describe_files, files_under, sha256_file

RUN = "0123456789abcdef"
BODY = {
    "lane": {
        "kind": "tower",
        "data": {"kind": "docstrings"},
        "model": {"width": 8},
        "optimizer": {"kind": "adamw", "lr": 0.001, "schedule": "cosine"},
        "trainer": {"epochs": 3, "batch_size": 32},
        "inputs": {},
    },
    "seed": 1,
    "hardware": {"kind": "cpu", "threads": 1, "deterministic": True},
}


def digest(text):
    return hashlib.sha256(text.encode()).hexdigest()


def write(path, text):
    """Plainly: atomic writes wait for the disk, which these tests do not need."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())


def make_judgement(run_id=RUN, *, verdict, identity, words="", lane="query_tower"):
    """A judgement of one gate."""
    row = GateResult(
        gate="quality", metric="r_at_5", severity="block", verdict=Verdict(verdict), observed=0.6, bound=None,
        target=0.5, comparison=">=", unit="ratio", n=10, method="plain", reason=f"because {words}", evidence="",
    )  # fmt: skip
    return Judgement(
        judgement_id=identity, run_id=run_id, lane=lane, verdict=Verdict(verdict), rows=(row,),
        gates_sha256="0" * 64, measurements_sha256="0" * 64,
    )  # fmt: skip


class LaneFolder:
    """Writes stages one by one; `finish` writes all of them. Keyword arguments change what a stage says."""

    def __init__(self, folder: Path, *, run_id=RUN, seed=1, started="2026-03-01T10:00:00+00:00", commit="a" * 40):
        self.lane = "query_tower"
        self.folder, self.run_id, self.started, self.commit = folder, run_id, started, commit
        self.params = {**BODY, "seed": seed}
        self.executions = 0
        self.environment = {"python_version": "3.11.7", "machine_class": "x86_64/any/avx2/cpu"}
        self.lock_sha256 = digest("lock")

    def finish(self, *, export="completed", verdict="pass", until="decide", **changes):
        steps = {
            "prepare": lambda: self.prepare(),
            "train": lambda: self.train(**changes),
            "evaluate": lambda: self.evaluate(),
            "export": lambda: self.export(status=export),
            "judge": lambda: self.judge(verdict=verdict),
            "decide": lambda: self.decide(action="accept" if verdict == "pass" else "escalate"),
        }
        for name, step in steps.items():
            step()
            if name == until:
                break
        return self

    def prepare(self, *, dataset="docstrings"):
        card = {"name": dataset, "sha256": digest("data")}
        facts = {"dataset": dataset, "dataset_sha256": digest("data")}
        files = {"dataset_card.json": json.dumps(card), "corpus.parquet": "rows"}
        self.stage("prepare", files, facts=facts, run_id=None, params={"lane": {"kind": "tower"}})

    def train(self, *, weights="weights", log="log", code="train"):
        files = {
            "model.safetensors": weights,
            "checkpoints/best.safetensors": weights,
            "loss.csv": "epoch,loss\n1,0.5\n",
            "train_log.jsonl": log,
        }
        self.stage("train", files, volatile=("train_log.jsonl",), params=self.params, code=code)

    def evaluate(self, *, r_at_5=0.6, code="evaluate"):
        files = {
            "metrics.json": json.dumps({"r_at_5": r_at_5}),
            "measurements.json": json.dumps({"items": [r_at_5]}),
            "eval_report.md": f"R@5 {r_at_5}",
        }
        self.stage("evaluate", files, params=self.params, code=code)

    def export(self, *, status="completed", onnx="onnx", latency_ms=1.5, code="export", reason="KPIs do not pass"):
        if status == "skipped":
            self.stage("export", {}, status="skipped", reason=reason, params=self.params, code=code)
            return
        files = {
            "model.onnx": onnx,
            "metrics.json": json.dumps({"latency_ms": latency_ms}),
            "measurements.json": json.dumps({"items": [latency_ms]}),
        }
        self.stage("export", files, volatile=("metrics.json", "measurements.json"), params=self.params, code=code)

    def judge(self, *, verdict="pass", gates="gates", words=""):
        identity = digest(self.run_id + verdict + gates)
        judgement = make_judgement(self.run_id, verdict=verdict, identity=identity, words=words, lane=self.lane)
        files = {"judgement.json": pretty_json(judgement), "verdict.md": f"# {verdict}"}
        self.stage("judge", files, facts={"verdict": verdict, "judgement_id": identity}, params={"gates": gates})
        self.judgement = judgement

    def decide(self, *, action="accept"):
        identity = digest(self.judgement.judgement_id + action)
        said = Statement(text="It follows from the verdict.", evidence=("verdict",))
        decision = Decision(
            decision_id=identity,
            judgement_id=self.judgement.judgement_id,
            run_id=self.run_id,
            lane=self.lane,
            verdict=self.judgement.verdict,
            action=Action(action),
            reasons=(said,),
            confidence="high",
            policy="rules",
            evidence=(Evidence(id="verdict", value=str(self.judgement.verdict), pointer="judgement.json#/verdict"),),
        )
        files = {"decision.json": pretty_json(decision), "lane_report.yaml": f"started: {self.executions}"}
        self.stage("decide", files, volatile=("lane_report.yaml",), facts={"action": action, "decision_id": identity})

    def stage(self, stage, files, **say):
        """Write one stage's folder as the frame around stages does."""
        folder = self.folder / stage
        if folder.is_dir():
            for name in files_under(folder):
                (folder / name).unlink()
        for name, text in files.items():
            write(folder / name, text)
        self.executions += 1
        volatile, params = say.get("volatile", ()), say.get("params", {})
        observations = Observations(
            attempt=f"{self.started[:10].replace('-', '')}T100000.{self.executions:06d}Z-aaaaaa",
            started_at=self.started,
            duration_s=60.0,
            host="workbench",
            git_commit=self.commit,
            git_dirty=False,
            environment=self.environment,
            volatile_artifacts=describe_files(folder, volatile),
        )
        write(folder / "observations.json", pretty_json(observations))
        record = StageRecord(
            stage=stage,
            lane=self.lane,
            status=say.get("status", "completed"),
            reason=say.get("reason", ""),
            run_id=say.get("run_id", self.run_id),
            params_sha256=sha256_json(params),
            params=params,
            code_sha256=digest(say.get("code", stage)),
            lock_sha256=self.lock_sha256,
            inputs={name: sha256_file(self.folder / name / "outputs.json") for name in STAGE_INPUTS[stage]},
            artifacts=describe_files(folder, set(files) - set(volatile)),
            volatile=tuple(volatile),
            facts=say.get("facts", {}),
        )
        write(folder / "outputs.json", pretty_json(record.outputs()))
        write(folder / "record.json", pretty_json(record))


def tree(folder: Path) -> dict[str, bytes]:
    """Every file below a folder by name."""
    return {name: (folder / name).read_bytes() for name in files_under(folder)} if folder.is_dir() else {}
