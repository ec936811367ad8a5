"""A gate pinned to another archived run: whatever is not that run's own, unchanged measurement blocks or is refused."""

import json
import shutil

import pytest
from toy_homes import toy_run

from interlock.contracts.measurement import Measurements
from interlock.contracts.stage import STAGES
from interlock.contracts.verdict import Cause, Verdict
from interlock.errors import ProvenanceError
from interlock.gates.pairing import scores_sha256
from interlock.gates.sample import checked_sample
from interlock.provenance.canonical import pretty_json, sha256_json
from interlock.runs.proof.prove import prove_run
from interlock.runs.runner import run_lane
from interlock.runs.sync import keep_judgement
from interlock.stages.baselines import BASELINES_FILE, baseline_texts, beside_baselines
from interlock.stages.current import why_not_current
from interlock.stages.pinned import pinned_digest
from interlock.stages.place import load_record
from interlock.stages.progress import Silent
from interlock.stages.verdicts import read_archived, read_gates

ABSENT = "0123456789abcdef"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A home with a worse run (accuracy 0.75), a better one (0.9), and another seed of the better one."""
    folder = tmp_path_factory.mktemp("baselines")
    overrides = {"worse": ["lane.model.value=0.02"], "better": ["seed=1"], "again": ["seed=2"]}
    return folder / "home", {name: toy_run(folder / "home", folder / name, *given) for name, given in overrides.items()}


@pytest.fixture
def runs(made):
    return made[1]


@pytest.fixture
def home(made, tmp_path):
    return shutil.copytree(made[0], tmp_path / "home")


def gate(run_id, metric="accuracy", **fields):
    return {"kind": "baseline", "metric": "accuracy", "baseline": metric, "direction": "at_least", "margin": 0.1,
            "baseline_run": run_id} | fields  # fmt: skip


def models(home, run_id):
    return home / "runs" / run_id / "models"


def measured_beside(home, run_id, gates):
    return beside_baselines(read_archived(models(home, run_id), run_id=run_id), gates, home)


def judged(home, run_id, pinned):
    gates = read_gates({"gain": pinned})
    (row,) = measured_beside(home, run_id, gates).rows(gates)
    return row


class TestRefused:
    @pytest.mark.parametrize(
        "run_id", ["../../../../tmp", "0123", "G" * 16, ABSENT.upper(), "", "registry:toy@staging"]
    )
    def test_what_is_no_run_id(self, run_id):
        with pytest.raises(ValueError, match="String should match pattern"):
            read_gates({"gain": gate(run_id)})

    def test_a_run_that_is_not_in_the_archive(self, home, runs):
        row = judged(home, runs["better"], gate(ABSENT))
        assert (row.verdict, row.cause) == (Verdict.BLOCKED, Cause.MISSING)
        assert f"run {ABSENT} is not in the archive; interlock pull brings it" in row.reason

    def test_a_run_that_gave_up_its_copy(self, home, runs):
        (models(home, runs["worse"]) / "run_card.json").unlink()
        assert judged(home, runs["better"], gate(runs["worse"])).cause is Cause.MISSING

    def test_what_that_run_did_not_measure(self, home, runs):
        row = judged(home, runs["better"], gate(runs["worse"], "recall"))
        assert (row.cause, f"run {runs['worse']} did not measure that" in row.reason) == (Cause.MISSING, True)

    @pytest.mark.parametrize("metric", ["accuracy", "base.accuracy"])
    def test_itself(self, home, runs, metric):
        row = judged(home, runs["better"], gate(runs["better"], metric))
        assert (row.verdict, row.cause) == (Verdict.BLOCKED, Cause.NOT_COMPARABLE)
        assert "pinned to the very run that is judged" in row.reason

    def test_gates_that_nobody_read_the_archive_for(self, home, runs):
        gates = read_gates({"gain": gate(runs["worse"])})
        (row,) = read_archived(models(home, runs["better"]), run_id=runs["better"]).rows(gates)
        assert (row.verdict, row.cause) == (Verdict.BLOCKED, Cause.MISSING)

    def test_an_own_measurement_under_the_name_of_another_run(self, home, runs):
        gates = read_gates({"gain": gate(ABSENT)})
        own = measured_beside(home, runs["better"], gates)
        name = f"run:{ABSENT}/accuracy"
        own.measurements[name] = own.measurements["base.accuracy"].model_copy(update={"name": name})
        own.scores[name], own.items[name] = own.scores["base.accuracy"], own.items["base.accuracy"]
        assert own.rows(gates)[0].cause is Cause.MISSING

    @pytest.mark.parametrize("name", ["measurements.json", "per_query.parquet", "run_card.json"])
    def test_changed_bytes(self, home, runs, name):
        path = models(home, runs["worse"]) / name
        path.chmod(0o644)
        path.write_bytes(path.read_bytes()[:-5] + b"    ")
        with pytest.raises(ProvenanceError, match=f"pinned to run {runs['worse']}, which was changed") as refused:
            judged(home, runs["better"], gate(runs["worse"]))
        assert f"interlock verify {runs['worse']}" in refused.value.hint

    def test_a_file_that_the_card_does_not_list(self, home, runs):
        folder = models(home, runs["worse"])
        card = json.loads((folder / "run_card.json").read_text())
        del card["artifacts"]["measurements.json"]
        (folder / "run_card.json").chmod(0o644)
        (folder / "run_card.json").write_text(json.dumps(card))
        with pytest.raises(ProvenanceError, match="does not list this file"):
            judged(home, runs["better"], gate(runs["worse"]))

    def test_another_runs_card(self, home, runs):
        for name in ("run_card.json",):
            target = models(home, runs["worse"]) / name
            target.unlink()
            shutil.copy(models(home, runs["again"]) / name, target)
        with pytest.raises(ProvenanceError, match="the card belongs to another run"):
            judged(home, runs["better"], gate(runs["worse"]))

    def test_another_evaluator(self, home, runs):
        gates = read_gates({"gain": gate(runs["worse"])})
        found = measured_beside(home, runs["better"], gates)
        name = f"run:{runs['worse']}/accuracy"
        found.baselines[name] = found.baselines[name].model_copy(update={"evaluator_sha256": "f" * 64})
        assert found.rows(gates)[0].cause is Cause.EVALUATOR_DIFFERS


class TestJudged:
    def test_better_worse_and_equal(self, home, runs):
        better = judged(home, runs["better"], gate(runs["worse"]))
        assert (better.verdict, better.method, better.n) == (Verdict.PASS, "tango", 400)
        assert better.observed == pytest.approx(0.15)
        assert f"accuracy - run:{runs['worse']}/accuracy 0.150" in better.reason
        assert judged(home, runs["worse"], gate(runs["better"])).verdict is Verdict.FAIL

    def test_another_run_with_the_same_answers_is_compared_with(self, home, runs):
        """No worse than before is a question, and equal answers are an answer; only a run's own are refused."""
        assert judged(home, runs["again"], gate(runs["better"], margin=-0.02)).verdict is Verdict.PASS
        assert judged(home, runs["again"], gate(runs["better"], margin=0.02)).verdict is Verdict.FAIL

    def test_pinned_to_bytes_as_well(self, home, runs):
        run = read_archived(models(home, runs["worse"]), run_id=runs["worse"])
        sample = checked_sample("accuracy", run.measurements, scores=run.scores, items=run.items)
        right = scores_sha256(sample)
        assert judged(home, runs["better"], gate(runs["worse"], baseline_sha256=right)).verdict is Verdict.PASS
        other = judged(home, runs["better"], gate(runs["worse"], baseline_sha256="0" * 64))
        assert other.cause is Cause.BASELINE_CHANGED

    def test_the_judgements_identity_covers_what_was_compared_with(self, home, runs):
        gates = read_gates({"gain": gate(runs["worse"])})
        here = measured_beside(home, runs["better"], gates)
        shutil.rmtree(models(home, runs["worse"]))
        missing = measured_beside(home, runs["better"], gates)
        one, other = here.judgement("toy", gates), missing.judgement("toy", gates)
        assert one.gates_sha256 == other.gates_sha256
        assert one.judgement_id != other.judgement_id
        assert one.measurements_sha256 == sha256_json({**here.measurements, **here.baselines})
        assert baseline_texts(missing) == {}

    def test_a_stage_that_judges_runs_again_when_the_run_arrives(self, home, runs):
        config = {"lane": {"gates": {"gain": gate(runs["worse"]), "other": {"kind": "predicate"}}}}
        here = pinned_digest(config, home)
        shutil.rmtree(models(home, runs["worse"]))
        assert here != pinned_digest(config, home) is not None
        assert pinned_digest({"lane": {"gates": {"plain": gate(None)}}}, home) is None


def test_interlock_run_judges_again_when_the_run_arrives(make_place, home, runs):
    """The same home as `made`, where `make_place` looks for it."""
    away = shutil.move(home / "runs" / runs["worse"], home / "away")
    pinned = [f"lane.gates.over_base.{key}={value}" for key, value in
              {"baseline": "accuracy", "baseline_run": f"run:{runs['worse']}", "margin": 0.1}.items()]  # fmt: skip
    place = make_place(*pinned)
    run_lane(place, progress=Silent())
    assert load_record(place.folder / "export").status == "skipped"
    assert {why_not_current(stage, place) for stage in STAGES} == {""}
    shutil.move(away, home / "runs" / runs["worse"])
    assert [stage for stage in STAGES if why_not_current(stage, place)] == ["export", "judge"]
    assert "a run that its gates are pinned to" in why_not_current("judge", place)
    run_lane(place, progress=Silent())
    assert load_record(place.folder / "judge").facts["verdict"] == "pass"
    assert (place.folder / "judge" / BASELINES_FILE).is_file()


class TestJudgedAgain:
    """What `interlock verify` says of a judgement that compared with another run."""

    @pytest.fixture
    def kept(self, home, runs):
        gates = read_gates({"gain": gate(runs["worse"])})
        found = measured_beside(home, runs["better"], gates)
        files = {"gates.json": pretty_json(gates), **baseline_texts(found)}
        keep_judgement(home, found.judgement("toy", gates), made_at="2026-03-01T00:00:00+00:00", files=files)
        return home / "runs" / runs["better"] / "judgements" / found.judgement("toy", gates).judgement_id

    def links(self, home, runs, state):
        found = prove_run(home, runs["better"])
        return [link for link in found.links if link.state == state and link.section == "judgements"]

    def test_it_comes_out_again(self, home, runs, kept):
        assert prove_run(home, runs["better"]).ok
        assert any("as that run measured it" in link.detail for link in self.links(home, runs, "holds"))
        assert any(link.detail == "pass, 1 gates" for link in self.links(home, runs, "holds"))

    def test_without_the_other_run_it_is_unchecked(self, home, runs, kept):
        shutil.rmtree(home / "runs" / runs["worse"])
        assert prove_run(home, runs["better"]).ok
        (link,) = [link for link in self.links(home, runs, "unchecked") if "is not in this archive" in link.detail]
        assert link.way_out == "interlock pull"

    def test_made_up_measurements_are_found(self, home, runs, kept):
        """Even by somebody who computes the judgement's own digests again."""
        path = kept / BASELINES_FILE
        said = Measurements.model_validate_json(path.read_text())
        worse = said.items[0].model_copy(update={"value": 0.1})
        gates = read_gates({"gain": gate(runs["worse"])})
        measured = read_archived(models(home, runs["better"]), run_id=runs["better"])
        forged = {**measured.measurements, worse.name: worse}
        path.write_text(pretty_json(said.model_copy(update={"items": (worse,)})))
        judgement = json.loads((kept / "judgement.json").read_text())
        judgement["measurements_sha256"] = sha256_json(forged)
        identity = {"run_id": runs["better"], "gates": sha256_json(gates), "measurements": sha256_json(forged)}
        judgement["judgement_id"] = sha256_json(identity)
        (kept / "judgement.json").write_text(json.dumps(judgement))
        details = [link.detail for link in self.links(home, runs, "broken")]
        assert f"run {runs['worse']} measured something else" in details
