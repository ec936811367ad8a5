"""Facts of runs written by hand, for tests of what is drawn from them: every verdict, hostile text, a sweep."""

from dataclasses import replace

from interlock.contracts.attempt import AttemptEnd, AttemptStart
from interlock.contracts.card import CardObservations, CardStage, RunCard, Spend
from interlock.contracts.decision import Action, Decision, Evidence, Statement
from interlock.contracts.measurement import Measurement
from interlock.contracts.stage import Artifact
from interlock.contracts.sweep import (
    LaneRanking,
    PlannedJob,
    RankedBy,
    RankedRun,
    Ranking,
    SweepJob,
    SweepManifest,
    Unranked,
)
from interlock.contracts.verdict import Cause, GateResult, Judgement, Verdict, fold
from interlock.contracts.verification import Link, Verification
from interlock.registry.queries import AttemptRow, ModelRow, RunRow, RunView, StageChange
from interlock.reports.run_facts import Flip, Flipped, RunFacts, SweepFacts

RUN, OTHER = "0123456789abcdef", "fedcba9876543210"  # pragma: allowlist secret
HOSTILE = "</style></title><script>document.title='taken'</script><img src=x onerror=alert(1)>{{ 7*7 }}&amp;"
SHA = "ab" * 32


def row(gate, verdict="pass", **say):
    """A gate's row; numbers as given."""
    values = {
        "metric": gate,
        "severity": "block",
        "observed": 0.66,
        "bound": 0.64,
        "other_bound": 0.68,
        "target": 0.5,
        "comparison": ">=",
        "unit": "ratio",
        "n": 1802,
        "method": "wilson",
        "reason": f"{gate} says so",
        "evidence": f"evaluate/metrics.json#/{gate}@sha256:{SHA}",
        "on_failure": f"Mend {gate}.",
    } | say
    return GateResult(gate=gate, verdict=Verdict(verdict), **values)


def check(gate, verdict="pass", **say):
    """A yes/no row."""
    say = {"observed": float(verdict == "pass"), "bound": None, "other_bound": None, "target": None} | say
    return row(gate, verdict, comparison="is", unit="bool", n=1, method="plain", **say)


def blocked(gate, **say):
    """A row that could not be judged."""
    nothing = {"observed": None, "bound": None, "other_bound": None, "n": None, "evidence": "", "cause": Cause.MISSING}
    return row(gate, "blocked", method="none", reason=f"{gate}: not among them", **nothing | say)


MIXED = (
    row("r_at_5"),
    row("undecided", "inconclusive", bound=0.45, other_bound=0.7, n_needed=4500),
    row("too_slow", "fail", comparison="<=", unit="ms", observed=14.0, bound=15.0, other_bound=13.0, target=10.0),
    row("one_sided", "inconclusive", bound=None, other_bound=0.7),
    row(
        "latency", severity="advise", comparison="<=", unit="ms", observed=0.3, bound=0.32, other_bound=0.29, target=10
    ),
    check("no_nan_inf", severity="halt"),
    check("loads", "fail"),
    blocked("missing"),
)


def judgement(rows=MIXED, run_id=RUN):
    return Judgement(
        judgement_id="1" * 64,
        run_id=run_id,
        lane="query_tower",
        verdict=fold(rows),
        rows=tuple(rows),
        gates_sha256=SHA,
        measurements_sha256=SHA,
    )


def card(run_id=RUN, *, export="completed", seed=1, lr=0.01):
    stage = CardStage(status="completed", code_sha256=SHA, params_sha256=SHA)
    return RunCard(
        run_id=run_id,
        model_type="query_tower",
        lane="query_tower",
        dataset=HOSTILE[:40],
        dataset_sha256=SHA,
        seed=seed,
        git_commit="c" * 40,
        hyperparameters={"config": {"lane": {"optimizer": {"lr": lr}}, "seed": seed}},
        env={"python_version": "3.11.7", "machine_class": "x86_64/any/avx2/cpu"},
        results={"r_at_5": 0.66},
        hardware={"kind": "cpu"},
        config_sha256=SHA,
        code_sha256=SHA,
        lock_sha256=SHA,
        reproducibility="bit_exact",
        export=export,
        stages=dict.fromkeys(("prepare", "train", "evaluate", "export"), stage),
        model_files=("model.safetensors",),
        artifacts={"model.safetensors": Artifact(sha256=SHA, size_bytes=16_856_852)},
        observations=CardObservations(
            created_at=1_780_000_000,
            git_dirty=True,
            duration_mins=1.234,
            hosts=("workbench",),
            attempts={},
            machine_class="x86_64/any/avx2/cpu",
            spend=Spend(compute_hours=0.02),
        ),
    )


def attempts():
    def one(stage, exit_, error=""):
        name = f"20260528T100000.00000{len(stage)}Z-aaaaaa"
        start = AttemptStart(
            attempt=name,
            lane="query_tower",
            stage=stage,
            run_id=RUN,
            params_sha256=SHA,
            started_at="2026-05-28T10:00:00+00:00",
            host="workbench",
            boot_id="b",
            pid=7,
            process_started_s=1.0,
        )
        if exit_ is None:
            return AttemptRow(start=start, end=None)
        end = AttemptEnd(attempt=name, exit=exit_, ended_at="2026-05-28T10:01:00+00:00", duration_s=60.0, error=error)
        return AttemptRow(start=start, end=end)

    return (one("train", "killed"), one("train", "completed"), one("export", "failed", HOSTILE), one("judge", None))


def decision(found):
    said = Statement(text="It rests on {gate.r_at_5.observed}.", evidence=("gate.r_at_5.observed",))
    evidence = Evidence(id="gate.r_at_5.observed", value=0.66, pointer="judgement.json#/rows/0/observed")
    return Decision(
        decision_id="2" * 64,
        judgement_id=found.judgement_id,
        run_id=found.run_id,
        lane=found.lane,
        verdict=found.verdict,
        action=Action.ESCALATE,
        reasons=(said,),
        confidence="high",
        policy="rules",
        evidence=(evidence,),
    )


def measurement(name, value=0.66, **say):
    return Measurement(name=name, value=value, estimator="value", evidence="", **{"unit": "ratio", "n": 1802} | say)


def model():
    return ModelRow(
        id="query_tower_docs_20260528_ccccccc_0123456789abcdef",
        model_type="query_tower",
        dataset="docs",
        git_commit="c" * 40,
        run_id=RUN,
        seed=1,
        hyperparameters={},
        metrics={},
        path="runs/x/models/model.safetensors",
        created_at=1_780_000_000,
        sha256=SHA,
        verdict="fail",
        stage="candidate",
    )


def sweep(this=RUN):
    values = (0.70, 0.69, 0.60)
    jobs = tuple(
        PlannedJob(
            number=n,
            overrides=(f"lane.optimizer.lr={10.0**-n}", "seed=1"),
            varies=(f"lane.optimizer.lr={10.0**-n}",),
            lane="query_tower",
            seed=1,
            params_sha256=SHA,
            unseeded_sha256=SHA,
        )
        for n in range(4)
    )
    runs = tuple(
        RankedRun(
            rank=n + 1,
            number=n,
            run_id=this if n == 1 else f"{n:016x}",
            label=jobs[n].varies[0],
            seed=1,
            verdict=Verdict.PASS,
            value=value,
            low=value - 0.03,
            high=value + 0.03,
            n=100,
            ties_with_best=value > 0.65,
        )
        for n, value in enumerate(values)
    )
    by = RankedBy(metric="r_at_5", direction="at_least", gate="r_at_5")
    ranking = Ranking(
        sweep_id="5" * 16,
        confidence=0.95,
        lanes=(LaneRanking(lane="query_tower", by=by, unit="ratio", split="test", runs=runs),),
        others=(Unranked(number=3, label="lane.optimizer.lr=0.001", status="failed", reason=HOSTILE),),
    )
    manifest = SweepManifest(
        sweep_id="5" * 16,
        experiment="default",
        command=("lane.optimizer.lr=1,0.1,0.01,0.001",),
        sweeper="basic",
        context_sha256=SHA,
        ranked_by={"query_tower": by},
        jobs=jobs,
    )
    done = tuple(
        SweepJob(
            number=n,
            overrides=jobs[n].overrides,
            lane="query_tower",
            params_sha256=SHA,
            status="failed" if n == 3 else "finished",
            duration_s=1.0,
        )
        for n in range(4)
    )
    return SweepFacts(manifest=manifest, ranking=ranking, jobs=done)


def verification(*, broken=False):
    links = (
        Link(section="run card", name="run card -> model", state="holds"),
        Link(section="signature", name="signature", state="unchecked", detail="no key at hand"),
    )
    bad = Link(section="files", name="run card -> loss.csv", state="broken", detail=HOSTILE)
    return Verification(run_id=RUN, links=(*links, bad) if broken else links, num_files=20, size_bytes=1 << 24)


def bare(run_id=RUN, state="train failed"):
    """A run that never got a card."""
    run = RunRow(run_id=run_id, lane="query_tower", state=state, created_at=1_780_000_000)
    return RunFacts(view=RunView(run=run, card=None, judgements=(), decisions=(), attempts=attempts(), path="runs/x"))


def full(run_id=RUN, rows=MIXED, **changes):
    """A run with everything a page can show, hostile wherever data or people write text."""
    found = judgement(rows, run_id)
    run = RunRow(
        run_id=run_id,
        lane="query_tower",
        state="decided",
        verdict=found.verdict.value,
        action="escalate",
        dataset=HOSTILE,
        seed=1,
        created_at=1_780_000_000,
    )
    flipped = [Flipped(query_id=f"q{n}", text=HOSTILE if n else "", rank=n + 1, other_rank=None) for n in range(3)]
    example = {
        "query": HOSTILE,
        "query_id": "q1",
        "rank": 2,
        "answer": {"doc_id": "d1", "text": HOSTILE},
        "first": [{"doc_id": "d0", "text": "x" * 400}, {"doc_id": "d1", "text": HOSTILE}],
    }
    names = [f"{system}r_at_{k}" for system in ("", "bm25.") for k in (1, 5, 10)]
    facts = RunFacts(
        view=RunView(run=run, card=card(run_id), judgements=(), decisions=(), attempts=attempts(), path="runs/x"),
        judgement=found,
        judged_at="2026-05-28T10:00:00+00:00",
        decision=decision(found),
        model=model(),
        history=(
            StageChange(from_stage="", to_stage="candidate", at="2026-05-28T10:00:00+00:00", reason="registered"),
        ),
        measurements={name: measurement(name) for name in names} | {"tiny": measurement("tiny", 7.7e-07)},
        intervals={name: (0.6, 0.7) for name in names},
        training={"best_epoch": 2, "convergence": "early stopping ended it", "reference_digest": SHA, "steps": 30},
        losses=tuple(
            {"epoch": float(n), "step": 10.0 * n, "train_loss": 3.0 / n, "validation_loss": 2.0 + (n - 2) ** 2}
            for n in (1, 2, 3)
        ),
        log=tuple({"step": float(n), "loss": 3.0 / (n + 1), "lr": 0.1} for n in range(50)),
        recall=tuple(
            {"k": k, "tower": 0.4 + k / 100, "bm25": 0.3 + k / 100, "chance": 0.001} for k in (1.0, 5.0, 10.0)
        ),
        examples={"hits": [example], "misses": [example | {"rank": None}]},
        flips=(
            Flip(metric="r_at_5", baseline="bm25", gained=flipped, lost=flipped[:1], num_gained=30, num_lost=10, n=100),
        ),
        dataset={"documents": 12_000, "name": HOSTILE},
        sweep=sweep(run_id),
        parents=(("parent run", OTHER, "pass"),),
        verification=verification(),
    )
    return replace(facts, **changes)
