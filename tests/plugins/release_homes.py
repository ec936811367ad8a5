"""Homes with archived models that can be released: real scores, a real ONNX file, a real judgement, real events.

home = ReleaseHome(tmp_path)
run_id = home.archive(hits=range(0, 240))            # which of 400 items it answers
home.into_production(run_id)
candidate = home.archive(hits=range(0, 330), seed=2)
released = home.release(candidate, evidence=home.shadow(candidate))
"""

import hashlib
import json
from datetime import UTC, datetime
from functools import cache

import numpy as np
from lane_folders import LaneFolder, digest

from interlock.contracts.agent import Agent
from interlock.contracts.experiment import Budget
from interlock.contracts.gate import BaselineGate, PredicateGate, ThresholdGate
from interlock.contracts.llm import NoModel
from interlock.contracts.release import ReleaseSettings, ServiceLevel
from interlock.lanes.measuring import Subject, Value, check, from_scores, write_measurements, write_scores
from interlock.provenance.canonical import canonical_json, plain, pretty_json, sha256_json
from interlock.provenance.environment import environment, environment_digest
from interlock.provenance.identity import run_id
from interlock.registry.approving import approve
from interlock.registry.persons import Told
from interlock.registry.promotion import promote
from interlock.registry.queries import list_models
from interlock.runs.deciding.configured import Configured
from interlock.runs.releasing import releasing
from interlock.runs.releasing.shadow import read_shadow
from interlock.runs.releasing.situation import Situation
from interlock.runs.releasing.version import find_version, in_production, previous
from interlock.runs.sync import sync_lane
from interlock.stages.verdicts import read_measured

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
ITEMS = 400
GATES = {
    "r_at_5": ThresholdGate(kind="threshold", metric="r_at_5", direction="at_least", target=0.3, n_min=200),
    "over_bm25": BaselineGate(
        kind="baseline", metric="r_at_5", baseline="bm25.r_at_5", direction="at_least", n_min=200
    ),
    "model_loadable": PredicateGate(kind="predicate", check="model_loadable", phase="shipped"),
}
LEVELS = {
    "error_rate": ServiceLevel(
        metric="error_rate", direction="at_most", target=0.01, unit="ratio", n_min=1000
    ),
    "throughput": ServiceLevel(
        metric="throughput_per_s", direction="at_least", target=100.0, unit="requests/s", confidence=None
    ),
    "drift": ServiceLevel(
        metric="drift_ms", direction="at_most", target=5.0, unit="ms", n_min=100, when="beside_production"
    ),
    "correlation": ServiceLevel(
        metric="score_correlation", direction="at_most", target=0.95, unit="ratio", severity="advise"
    ),
}  # fmt: skip
OBSERVED = {
    "error_rate": {"observed": 0.002, "lower": 0.001, "upper": 0.006, "confidence": 0.95, "n": 2000, "unit": "ratio"},
    "throughput_per_s": {"observed": 140.0, "n": 1, "unit": "requests/s"},
    "drift_ms": {"observed": 0.4, "lower": -0.5, "upper": 1.2, "confidence": 0.95, "n": 2000, "unit": "ms"},
    "score_correlation": {
        "observed": 0.5, "lower": 0.4, "upper": 0.6, "confidence": 0.95, "n": 2000, "unit": "ratio",
    },
}  # fmt: skip
RULES, GUARDED = {"kind": "rules"}, {"kind": "guard", "proposal": {"kind": "llm"}, "fallback": {"kind": "rules"}}
MEMBERS = ("infrastructure_monitor", "quality_safety_officer", "ops_commander")


def team(policy=GUARDED):
    """The executive team; each member decides by `policy`."""
    quorum = {"kind": "quorum", "members": list(MEMBERS), "chair": "ops_commander", "go_min": 2}
    guard = {"kind": "guard", "proposal": quorum, "fallback": RULES}
    policies = {"executive_team": guard, **dict.fromkeys(MEMBERS, policy)}
    return {
        name: Agent.model_validate_json(
            canonical_json({"tier": "executive", "responsibilities": ["release"], "policy": chosen})
        )
        for name, chosen in policies.items()
    }


def configured(llm=None, *, prices=None, policy=GUARDED):
    return Configured(
        agents=team(policy), llm=llm or NoModel(kind="none"), prices=prices or {},
        budget=Budget(compute_hours_max=1.0), max_attempts=2, search_space={},
    )  # fmt: skip


@cache
def onnx_bytes(dim=8, name="vectors", elem="FLOAT", batch="B", more=()):
    """A model that gives its input back: `ids` [B, dim] in, `vectors` [B, dim] out."""
    import onnx
    from onnx import TensorProto, helper

    kind = getattr(TensorProto, elem)
    given = helper.make_tensor_value_info("ids", kind, [batch, dim])
    outs = [helper.make_tensor_value_info(out, kind, [batch, dim]) for out in (name, *more)]
    nodes = [helper.make_node("Identity", ["ids"], [out.name]) for out in outs]
    model = helper.make_model(helper.make_graph(nodes, "echo", [given], outs))
    onnx.checker.check_model(model)
    return model.SerializeToString(deterministic=True)


class ReleaseFolder(LaneFolder):
    """Stage folders of one model."""

    def __init__(self, folder, *, workspace, hits, onnx=None, extra=(), gates=GATES, **more):
        self.latency_ms, self.tail_ms = more.pop("latency_ms", 1.0), more.pop("tail_ms", 0.0)
        seed = more.pop("seed", 1)
        super().__init__(folder, seed=seed, **more)
        self.hits, self.onnx, self.gates = set(hits), onnx or onnx_bytes(), gates
        self.extra = dict(extra)
        self.environment = environment()
        self.lock_sha256 = environment_digest(workspace)
        self.run_id = run_id(
            lane_body=self.params["lane"], seed=seed, hardware=self.params["hardware"], dataset_sha256=digest("data"),
            input_digests={}, code_sha256=digest("train"), lock_sha256=self.lock_sha256,
        )  # fmt: skip

    def evaluate(self):
        items = [f"q{index:04d}" for index in range(ITEMS)]
        hit = np.array([float(index in self.hits) for index in range(ITEMS)])
        scores = {"r_at_5": hit, "bm25.r_at_5": (np.arange(ITEMS) % 10 == 0).astype(float)}
        self._measured("evaluate", [from_scores(name, column) for name, column in scores.items()], items, scores, {})

    def export(self, *, status="completed"):
        if status == "skipped":
            super().export(status=status)
            return
        samples = self.latency_ms + np.random.default_rng(7).random(1000) * 0.01
        samples[:80] += self.tail_ms  # of eight requests in a hundred
        values = [check("model_loadable", True)]
        values += [
            Value(
                name=name, value=float(np.quantile(samples, q)), unit="ms", n=1000, estimator="quantile", quantile=q,
                column="latency_ms", reason="batch 1, this machine",
            )
            for name, q in (("latency_p50", 0.5), ("latency_p95", 0.95), ("latency_p99", 0.99))
        ]  # fmt: skip
        items = [f"{index:06d}" for index in range(1000)]
        files = {"model.onnx": self.onnx, **self.extra}
        self._measured("export", values, items, {"latency_ms": samples}, files)

    def judge(self, *, verdict=None):
        folders = [self.folder / "evaluate", self.folder / "export"]
        measured = read_measured([path for path in folders if path.is_dir()], run_id=self.run_id)
        judgement = measured.judgement(self.lane, self.gates)
        facts = {"verdict": judgement.verdict.value, "judgement_id": judgement.judgement_id}
        params = {"lane": {"kind": "tower", "gates": plain(dict(self.gates))}}
        self.stage("judge", {"judgement.json": pretty_json(judgement)}, facts=facts, params=params)
        self.judgement = judgement

    def decide(self, *, action=None):
        super().decide(action="accept" if self.judgement.verdict.value == "pass" else "escalate")

    def _measured(self, stage, values, items, scores, files):
        """Write scores and measurements where the stage's files go, then the stage around them."""
        draft = self.folder / f".{stage}"
        draft.mkdir(parents=True, exist_ok=True)
        name, item = ("latency.parquet", "sample") if stage == "export" else ("per_query.parquet", "query_id")
        sha256 = write_scores(draft / name, items, scores, item=item)
        subject = Subject(
            folder=draft, stage=stage, run_id=self.run_id, evaluator_sha256=digest("evaluator"), split="test",
            split_sha256=digest("split"),
        )  # fmt: skip
        write_measurements(subject, values, scores_sha256=sha256, scores_file=name, item=item)
        found = {path.name: path.read_bytes() for path in draft.iterdir()}
        volatile = tuple(found) if stage == "export" else ()
        self.stage(stage, {**found, **files}, volatile=volatile, params=self.params)


class ReleaseHome:
    """A home, and a workspace whose lock is empty, so that every environment is the locked one."""

    def __init__(self, path):
        self.home, self.workspace, self._path = path / "home", path / "workspace", path
        self.workspace.mkdir(parents=True)
        (self.workspace / "requirements.lock").write_text("# nothing\n")
        self._made, self._versions = 0, {}

    @classmethod
    def at(cls, path):
        """For a home that is copied there; later runs get seeds that the copied one has not used."""
        home = cls(path)
        home._made = 50
        return home

    def versions(self, run):
        """The candidate and what it would replace; verified once, until something is archived or promoted here."""
        if run not in self._versions:
            candidate = find_version(self.home, run)
            self._versions[run] = candidate, previous(self.home, candidate, releasing.lane_of(candidate))
        return self._versions[run]

    def archive(self, *, export="completed", **options):
        """Archive a run; returns its id."""
        self._made += 1
        work = self._path / f"work{self._made}"
        options.setdefault("hits", range(0, 240))
        options.setdefault("seed", self._made)
        folder = ReleaseFolder(work, workspace=self.workspace, **options)
        folder.finish(export=export)
        sync_lane(work, workspace=self.workspace, home=self.home)
        return folder.run_id

    def model(self, run):
        return next(row for row in list_models(self.home) if row.run_id == run)

    def approve(self, run, purpose):
        told = Told(by="Ada", reason="seen", expires="2h", agents=frozenset())
        approve(self.home, self.model(run).id, purpose=purpose, told=told, now=datetime.now(UTC))

    def into_production(self, run):
        self._versions.clear()
        name, first = self.model(run).id, in_production(self.home, "query_tower") is None
        promote(self.home, name, to="staging", by="Ada", reason="good")
        self.approve(run, "first_release" if first else "deployment")
        promote(self.home, name, to="production", by="Ada", reason="good")

    def shadow(self, run, *, production=None, observed=OBSERVED, **changes):
        """Write a shadow report with its raw record; returns its path."""
        folder = self._path / f"shadow{self._made}"
        folder.mkdir(exist_ok=True)
        raw = b'{"request": 1}\n'
        (folder / "metrics.log").write_bytes(raw)
        values = {
            "lane": "query_tower", "candidate_run": run, "candidate_sha256": self.model(run).sha256,
            "production_run": production, "requests": 2000, "duration_s": 120.0,
            "observations": {name: {**item, "source": "metrics.log"} for name, item in observed.items()},
            "files": {"metrics.log": hashlib.sha256(raw).hexdigest()},
        }  # fmt: skip
        (folder / "shadow.json").write_text(json.dumps(values | changes))
        return folder / "shadow.json"

    def situation(self, run, *, evidence=None, settings=None, gates=GATES, now=None):
        """What the executives look at, without composing a configuration."""
        candidate, production = self.versions(run)
        lane = releasing.lane_of(candidate)
        holder = in_production(self.home, lane)
        return Situation(
            home=self.home, workspace=self.workspace, lane=lane, kind="tower", candidate=candidate,
            production=production, contested_by=holder.contested_by if holder else (),
            settings=settings or ReleaseSettings(service_levels=LEVELS), gates_sha256=sha256_json(dict(gates)),
            services={}, now=now or datetime.now(UTC),
            shadow=read_shadow(evidence, candidate, production=production, lane=lane) if evidence else None,
        )  # fmt: skip

    def release(self, run, *, asker=None, how=None, **looked):
        return releasing.release(self.situation(run, **looked), how or configured(), asker=asker)
