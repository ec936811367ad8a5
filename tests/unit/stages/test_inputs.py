"""A lane is made from a run that passes and is what its records say; anything else is refused before it is used."""

import hashlib
import json
import shutil

import pytest
from hypothesis import given
from hypothesis import strategies as st
from toy_pair import ToyPair

from interlock.contracts.stage import Artifact, StageRecord
from interlock.errors import ExitCode, ProvenanceError, StageError, UnpassedInputError
from interlock.lanes.spec import StageOutcome
from interlock.provenance.identity import input_sha256
from interlock.stages import evaluate, prepare, train
from interlock.stages.current import why_not_current
from interlock.stages.frame import run_stage
from interlock.stages.inputs import input_uses, open_inputs, read_source, verdicts_digest
from interlock.stages.place import load_record, read_composed
from interlock.stages.progress import Silent

QUIET = Silent()


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Both lanes as DVC leaves them, archived."""
    pair = ToyPair(tmp_path_factory.mktemp("made") / "w")
    pair.dvc("toy", "follower")
    pair.archive("toy", "follower")
    return pair


@pytest.fixture
def pair(made, tmp_path):
    """The same, to be changed."""
    shutil.copytree(made.path, tmp_path / "w", symlinks=True)
    copied = object.__new__(ToyPair)
    copied.path = tmp_path / "w"
    return copied


def opened(pair, *, allowed=None, earlier=(), stage="prepare"):
    place = pair.lane("follower")
    uses = input_uses(stage, place, read_composed(place.params))
    return open_inputs(uses, place, allowed=allowed or {}, earlier=earlier)["base"]


def say_verdict(pair, verdict):
    """Let the judge of the toy lane have said something else, its record agreeing."""
    folder = pair.lane("toy").folder / "judge"
    stated = json.loads((folder / "verdict.json").read_text()) | {"verdict": verdict}
    text = json.dumps(stated)
    (folder / "verdict.json").write_text(text)
    record = load_record(folder)
    artifact = Artifact(sha256=hashlib.sha256(text.encode()).hexdigest(), size_bytes=len(text))
    changed = record.model_copy(update={"artifacts": {**record.artifacts, "verdict.json": artifact}})
    (folder / "record.json").write_text(changed.model_dump_json())


class TestRefused:
    @pytest.mark.parametrize("verdict", ["fail", "inconclusive", "blocked"])
    def test_a_verdict_that_is_no_pass(self, pair, verdict):
        say_verdict(pair, verdict)
        with pytest.raises(UnpassedInputError) as caught:
            prepare.run(pair.lane("follower"), progress=QUIET)
        error = caught.value
        assert (error.exit_code, error.key, error.value) == (ExitCode.BLOCKED, "lane.inputs.base", "lane:toy")
        assert error.message == f"may not be used: run {pair.run_id('toy')} has the verdict {verdict}"
        assert "lane.allow_unpassed.base=true" in error.hint
        assert not (pair.lane("follower").folder / "prepare/record.json").exists()
        assert f"has the verdict {verdict}" in why_not_current("prepare", pair.lane("follower"))

    @pytest.mark.parametrize("stage", [train, evaluate])
    def test_every_stage_that_reads_it_refuses_for_itself(self, pair, stage):
        say_verdict(pair, "fail")
        with pytest.raises(UnpassedInputError):
            stage.run(pair.lane("follower"), progress=QUIET)

    def test_another_inputs_permission_is_not_this_ones(self, pair):
        say_verdict(pair, "fail")
        with pytest.raises(UnpassedInputError):
            opened(pair, allowed={"start": True, "base": False})
        assert opened(pair, allowed={"base": True}).verdict == "fail"

    def test_a_verdict_of_a_training_that_was_replaced(self, pair):
        pair.params(toy={"seed": 2})
        pair.dvc()
        train.run(pair.lane("toy"), progress=QUIET)
        with pytest.raises(StageError, match="it was trained again since it was judged"):
            opened(pair)

    def test_a_lane_that_has_not_run(self, pair):
        shutil.rmtree(pair.lane("toy").folder / "train")
        with pytest.raises(StageError, match="the input cannot be read: this stage has not finished") as caught:
            opened(pair)
        assert (caught.value.key, caught.value.value) == ("lane.inputs.base", "lane:toy")

    def test_a_lane_that_was_not_judged(self, pair):
        (pair.lane("toy").folder / "judge/record.json").unlink()
        with pytest.raises(StageError, match="has not finished"):
            opened(pair)

    @pytest.mark.parametrize("change", [lambda path: path.write_bytes(b"other"), lambda path: path.unlink()])
    def test_a_changed_file(self, pair, change):
        change(pair.lane("toy").folder / "train/model.safetensors")
        with pytest.raises(ProvenanceError, match=r"a file of run .* was changed or is gone") as caught:
            opened(pair)
        assert caught.value.key == "lane.inputs.base"
        assert "dvc checkout" in caught.value.hint

    def test_a_verdict_that_was_edited(self, pair):
        path = pair.lane("toy").folder / "judge/verdict.json"
        path.write_text(path.read_text().replace("pass", "fail"))
        with pytest.raises(ProvenanceError, match="differs from its recorded digest"):
            opened(pair)

    def test_prepared_data_of_another_training(self, pair):
        pair.params(toy={"lane": {"data": {"count": 300}}})
        pair.dvc()
        prepare.run(pair.lane("toy"), progress=QUIET)
        with pytest.raises(ProvenanceError, match="its prepared data is not what it was trained on"):
            opened(pair)

    @pytest.mark.slow
    def test_another_run_than_an_earlier_stage_read(self, pair):
        earlier = load_record(pair.lane("follower").folder / "prepare")
        pair.params(toy={"seed": 2})
        pair.dvc("toy")
        assert "the input base changed since it ran: it was run" in why_not_current("train", pair.lane("follower"))
        with pytest.raises(StageError, match=f"is run {pair.run_id('toy')} now, and prepare read run"):
            opened(pair, earlier=[earlier], stage="train")
        with pytest.raises(StageError, match="and prepare read run"):
            train.run(pair.lane("follower"), progress=QUIET)

    @pytest.mark.slow
    def test_a_run_that_was_replaced_while_it_was_read(self, pair):
        def work(frame):
            shutil.rmtree(pair.lane("toy").folder)
            shutil.copytree(other, pair.lane("toy").folder)
            return StageOutcome()

        other = pair.path / "other"
        shutil.copytree(pair.lane("toy").folder, other)
        pair.params(toy={"seed": 2})
        pair.dvc("toy")
        with pytest.raises(StageError, match="another lane ran again while this stage read it"):
            run_stage("prepare", pair.lane("follower"), work, progress=QUIET, identify=lambda frame: None)
        assert not (pair.lane("follower").folder / "prepare/record.json").exists()


class TestArchived:
    """An input that is pinned to an archived run."""

    @pytest.fixture
    def pinned(self, pair):
        """The dependant, composed with the archived run, and that run's folder."""
        run_id = pair.run_id("toy")
        place = pair.place(f"lane.inputs.base=run:{run_id}")
        return pair, place, pair.home / "runs" / run_id

    def use(self, place):
        return input_uses("prepare", place, read_composed(place.params))

    def test_gives_the_very_same_as_the_lane(self, pinned):
        pair, place, folder = pinned
        archived = open_inputs(self.use(place), place, allowed={})["base"]
        of_lane = opened(pair)
        assert archived.trained == folder / "models"
        for name in ("run_id", "sha256", "verdict", "facts", "lane"):
            assert getattr(archived, name) == getattr(of_lane, name), name
        for name in load_record(pair.lane("toy").folder / "train").artifacts:
            assert (archived.trained / name).read_bytes() == (of_lane.trained / name).read_bytes()

    def test_changed_weights_are_refused(self, pinned):
        _, place, folder = pinned
        path = folder / "models/model.safetensors"
        path.chmod(0o644)
        path.write_bytes(b"other")
        with pytest.raises(ProvenanceError, match="was changed or is gone") as caught:
            open_inputs(self.use(place), place, allowed={})
        assert f"interlock verify {folder.name}" in caught.value.hint

    @pytest.mark.parametrize("record", ["prepare", "train"])
    def test_a_changed_record_is_refused(self, pinned, record):
        _, place, folder = pinned
        path = folder / f"models/records/{record}.json"
        path.chmod(0o644)
        path.write_text(path.read_text().replace('"lane": "toy"', '"lane": "tox"'))
        with pytest.raises(ProvenanceError, match="the input cannot be read: file differs"):
            self.use(place)

    def test_a_run_rewritten_as_a_whole_is_not_what_was_pinned(self, pinned):
        from interlock.contracts.card import RunCard
        from interlock.provenance.digest import describe_files

        _, place, folder = pinned
        path, card_path = folder / "models/records/train.json", folder / "models/run_card.json"
        for file in (path, card_path):
            file.chmod(0o644)
        text = path.read_text()
        path.write_text(text.replace('"converged": true', '"converged": false'))
        assert path.read_text() != text
        card = RunCard.model_validate_json(card_path.read_bytes())
        fresh = describe_files(folder / "models", ["records/train.json"])
        card_path.write_text(card.model_copy(update={"artifacts": {**card.artifacts, **fresh}}).model_dump_json())
        with pytest.raises(ProvenanceError, match="the archived run is not what it was when this was composed"):
            self.use(place)

    def test_the_newest_judgement_counts(self, pinned):
        from toy_homes import judge_by_hand

        pair, place, folder = pinned
        config = read_composed(place.params)
        before = verdicts_digest(config, pair.home)
        judge_by_hand(pair.home, folder.name, target=0.99)  # dated before the one of the pipeline
        assert verdicts_digest(config, pair.home) == before
        for path in folder.glob("judgements/*/when.json"):
            if json.loads(path.read_text())["source"] == "command":
                path.write_text(json.dumps({"at": "2999-01-01T00:00:00+00:00", "source": "command"}))
        assert verdicts_digest(config, pair.home) != before
        with pytest.raises(UnpassedInputError, match="has the verdict fail"):
            open_inputs(self.use(place), place, allowed={})

    def test_a_judgement_that_no_event_records_is_refused(self, pinned):
        """Laid beside the others after composing: it says pass, and nobody knows who made it."""
        _, place, folder = pinned
        (real,) = folder.glob("judgements/*")
        forged = real.with_name("f" * 64)
        shutil.copytree(real, forged)
        told = json.loads((forged / "judgement.json").read_text()) | {"judgement_id": "f" * 64}
        (forged / "judgement.json").write_text(json.dumps(told))
        (forged / "when.json").write_text(json.dumps({"at": "2999-01-01T00:00:00+00:00", "source": "command"}))
        with pytest.raises(ProvenanceError, match="no event records the newest judgement"):
            self.use(place)

    def test_a_run_that_nobody_judged_is_refused(self, pinned):
        _, place, folder = pinned
        shutil.rmtree(folder / "judgements")
        with pytest.raises(UnpassedInputError, match="has the verdict not judged"):
            open_inputs(self.use(place), place, allowed={})

    def test_a_file_that_the_archive_keeps_under_another_name(self, pinned):
        _, place, folder = pinned
        (folder / "models/train").mkdir()
        shutil.copy(folder / "models/loss.csv", folder / "models/train/loss.csv")
        with pytest.raises(StageError, match="the archive keeps this training file under another name"):
            open_inputs(self.use(place), place, allowed={})


@pytest.mark.slow
def test_the_input_enters_the_run_and_its_verdict_does_not(pair):
    before = pair.run_id("follower")
    say_verdict(pair, "fail")
    pair.params(follower={"lane": {"allow_unpassed": {"base": True}}})
    assert pair.dvc("follower") == ["follower-prepare"]  # allowed by a person, and nothing is trained again
    record = load_record(pair.lane("follower").folder / "prepare")
    assert (record.lane_inputs["base"].verdict, record.params["lane"]["allow_unpassed"]) == ("fail", {"base": True})
    assert pair.run_id("follower") == before
    pair.params(toy={"seed": 2})
    pair.dvc("toy", "follower")
    assert pair.run_id("follower") != before


def test_stages_that_read_no_input_know_none(made):
    place = made.lane("follower")
    config = read_composed(place.params)
    assert [stage for stage in ("export", "judge", "decide") if input_uses(stage, place, config)] == []
    assert input_uses("train", place, config)["base"].verdict is None
    assert verdicts_digest(config, made.home) is None


def test_a_lane_sees_what_it_is_made_from(made):
    found = opened(made)
    assert found.lane.kind == "toy"
    assert found.facts == {
        **load_record(made.lane("toy").folder / "prepare").facts,
        **load_record(made.lane("toy").folder / "train").facts,
    }
    assert load_record(made.lane("follower").folder / "prepare").facts["base_steps"] == found.facts["steps"]


words = st.text("abc", min_size=1, max_size=3)


@given(words, words, words, words)
def test_the_digest_covers_all_that_may_be_used(run, lane, fact, content):
    """Two runs have one digest only when everything that is handed over is equal."""

    def digest(*parts):
        run, lane, fact, content = (f"{part:0>64.64}".replace("c", "d") for part in parts)
        common = {"lane": "x", "status": "completed", "params_sha256": "0" * 64, "code_sha256": "0" * 64}
        rest = {"lock_sha256": "0" * 64, "inputs": {}}
        made = {"m": Artifact(sha256=content, size_bytes=1)}
        before = StageRecord(stage="prepare", run_id=None, artifacts={}, facts={"f": fact}, **common, **rest)
        after = StageRecord(stage="train", run_id=run, artifacts=made, params={"lane": {"k": lane}}, **common, **rest)
        return input_sha256(before, after)

    given_parts = (run, lane, fact, content)
    assert digest(*given_parts) == digest(*given_parts)
    for index in range(4):
        other = [part + "a" if number == index else part for number, part in enumerate(given_parts)]
        assert digest(*other) != digest(*given_parts)


def test_a_planted_verdict_in_the_archive_is_not_looked_at(pair):
    folder = pair.home / "runs" / pair.run_id("toy")
    (folder / "verdict.json").write_text(json.dumps({"run_id": folder.name, "verdict": "fail"}))
    assert read_source(folder).verdict == "pass"
