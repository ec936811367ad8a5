"""What a lane is made from is checked and pinned while composing; a wrong input is refused by its name."""

import json
import shutil

import pytest
from hypothesis import given
from hypothesis import strategies as st
from toy_pair import ToyPair

from interlock.config.inputs import in_order
from interlock.config.params import compose_workspace, composed_text
from interlock.config.sweep_plan import compose_jobs
from interlock.errors import ConfigError
from interlock.registry.archive import read_card
from interlock.registry.events import Proposal, append_new

BASE, START, ALLOW = "lane.inputs.base", "lane.inputs.start", "lane.allow_unpassed"
ABSENT = "0123456789abcdef"


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """Both lanes, run and archived."""
    pair = ToyPair(tmp_path_factory.mktemp("inputs") / "w")
    pair.dvc("toy", "follower")
    pair.archive("toy", "follower")
    return pair


@pytest.fixture
def pair(tmp_path):
    """A workspace in which nothing has run."""
    return ToyPair(tmp_path / "w")


class TestRefused:
    @pytest.mark.parametrize(
        ("override", "key", "problem"),
        [
            ("lane.inputs.bas=lane:toy", "lane.inputs.bas", "the lane has no such input"),
            (f"{BASE}=null", BASE, "is required: the lane is made from a run of toy; write lane:NAME, run:ID, "),
            (f"{BASE}=toy", BASE, "must be lane:NAME, run:ID, registry:LANE@production or registry:LANE@staging"),
            (f"{BASE}=3", BASE, "must be lane:NAME, run:ID"),
            (f"{BASE}=lane:../toy", BASE, "must be lane:NAME, run:ID"),
            (f"{BASE}=run:123", BASE, "must be lane:NAME, run:ID"),
            (f"{BASE}=lane:query_tower", BASE, "the lane query_tower is not run: `lanes` in params.yaml does not list"),
            (f"{START}=lane:toy", START, "the lane toy is of kind toy, and this input takes toy_follower"),
            (f"{START}=lane:follower", START, "the lane would need its own result; an earlier run of it is run:ID"),
            (f"{BASE}=run:{ABSENT}", BASE, f"run {ABSENT} is not in the archive; interlock pull brings it"),
            (f"{BASE}=registry:toy@production", BASE, "no model of toy is in production; interlock registry promote"),
            (f"{BASE}=registry:toy", BASE, "must be lane:NAME, run:ID"),
            (f"{ALLOW}.bas=true", f"{ALLOW}.bas", "allows nothing: the lane is given no such input"),
            (f"{ALLOW}.start=true", f"{ALLOW}.start", "allows nothing: the lane is given no such input"),
            (f"{ALLOW}.base=1", f"{ALLOW}.base", "Input should be a valid boolean"),
        ],
    )
    def test_by_key_and_way_out(self, pair, override, key, problem):
        found = pair.faults(override)
        assert list(found) == [key]
        assert found[key].startswith(problem)

    def test_a_judgement_that_no_event_records(self, archive, pair):
        shutil.copytree(archive.home, pair.home)
        run_id = archive.run_id("toy")
        assert pair.faults(f"{BASE}=run:{run_id}") == {}
        (judgement,) = (pair.home / "runs" / run_id / "judgements").glob("*/judgement.json")
        judgement.chmod(0o644)
        judgement.write_text(judgement.read_text() + "\n")
        assert "no event records the newest judgement" in pair.faults(f"{BASE}=run:{run_id}")[BASE]

    def test_inputs_of_a_lane_that_takes_none(self, pair):
        found = pair.faults("lane.inputs.base=lane:follower", lane="toy")
        assert found == {BASE: "the lane takes no inputs; remove it"}

    def test_a_name_that_was_meant_is_offered(self, pair):
        with pytest.raises(ConfigError) as caught:
            pair.composed("lane.inputs.bas=lane:toy", f"{START}=lane:folower", f"{ALLOW}.bse=true")
        assert {fault.key: fault.nearest for fault in caught.value.faults} == {
            "lane.inputs.bas": BASE,
            START: "lane:follower",
            f"{ALLOW}.bse": f"{ALLOW}.base",
        }
        assert f"set in:  override {START}=lane:folower" in str(caught.value)

    def test_lanes_that_need_each_other(self, pair):
        pair.lane_file("a", inputs="{base: lane:toy, start: lane:b}")
        pair.lane_file("b", inputs="{base: lane:toy, start: lane:follower}")
        pair.params("[toy, follower, a, b]", follower={"lane": {"inputs": {"start": "lane:a"}}})
        with pytest.raises(ConfigError) as caught:
            compose_workspace(pair.path)
        said = str(caught.value)
        for circle in ("a -> b -> follower -> a", "b -> follower -> a -> b", "follower -> a -> b -> follower"):
            assert f"the lanes need each other in a circle, {circle}; name an earlier run" in said

    def test_a_lane_that_a_circle_lies_behind_is_not_blamed(self, pair):
        pair.lane_file("a", inputs="{base: lane:toy, start: lane:b}")
        pair.lane_file("b", inputs="{base: lane:toy, start: lane:a}")
        pair.params("[toy, follower, a, b]")
        assert pair.faults(f"{START}=lane:a") == {}
        assert list(pair.faults(lane="a")) == [START]

    def test_an_archived_run_of_another_kind(self, archive):
        run_id = archive.run_id("follower")
        found = archive.faults(f"{BASE}=run:{run_id}")
        assert found == {BASE: f"run {run_id} is of kind toy_follower, and this input takes toy"}

    def test_a_pin_that_the_archive_does_not_give(self, archive):
        run_id = archive.run_id("toy")
        found = archive.faults(f"{BASE}=run:{run_id}@sha256:{'0' * 64}")
        assert found[BASE].startswith(
            f"run {run_id} is not what it was when this was written down; it is run:{run_id}@"
        )

    def test_a_card_that_no_event_knows(self, pair):
        pair.dvc("toy")
        pair.archive("toy")
        run_id = pair.run_id("toy")
        card = pair.home / "runs" / run_id / "models/run_card.json"
        card.chmod(0o644)
        card.write_text(card.read_text().replace('"seed": 1', '"seed": 2'))
        assert "the run card is not the one that the event log recorded" in pair.faults(f"{BASE}=run:{run_id}")[BASE]

    def test_without_params_yaml_no_lane_can_be_looked_up(self, pair):
        (pair.path / "params.yaml").unlink()
        assert pair.faults() == {BASE: "cannot be looked up: there is no params.yaml, which says which lanes run"}

    @pytest.mark.slow
    def test_every_door_refuses_alike(self, pair, monkeypatch):
        from doors import DOORS, answers
        from override_cases import Setting

        monkeypatch.chdir(pair.path)
        monkeypatch.setattr("sys.argv", ["interlock"])
        for value in ("lane:query_tower", "run:0123456789abcdef", "nobody"):
            found = answers(pair.path, "follower", [Setting(BASE, None, value, value)])
            assert isinstance(found[DOORS[0]], list)
            assert all(found[door] == found[DOORS[0]] for door in DOORS), found


class TestPinned:
    def test_a_lane_stays_as_it_is_written(self, pair):
        assert pair.composed().lane.inputs == {"base": "lane:toy"}

    def test_a_run_gets_the_digest_of_what_is_used(self, archive):
        run_id = archive.run_id("toy")
        used = read_card(archive.home, archive.run_id("follower")).inputs["base"]
        assert archive.composed(f"{BASE}=run:{run_id}").lane.inputs == {"base": used}
        assert archive.composed(f"{BASE}={used}").lane.inputs == {"base": used}

    def test_a_stage_of_the_registry_is_read_at_compose(self, archive):
        run_id = archive.run_id("toy")
        model = read_card(archive.home, run_id).name
        body = {
            "lane": "toy", "before": "candidate", "to": "production", "by": "Ada", "reason": "best", "run_id": run_id,
            "judgement_id": "0" * 64, "sha256": "0" * 64, "replaces": [],
        }  # fmt: skip
        append_new(archive.home, [Proposal(kind="promoted", subject=model, body=body)])
        by_name, by_run = (archive.composed(f"{BASE}={text}") for text in ("registry:toy@production", f"run:{run_id}"))
        assert composed_text(by_name) == composed_text(by_run)
        assert "registry:" not in composed_text(by_name)

    def test_null_is_as_if_it_were_not_written(self, pair):
        assert composed_text(pair.composed(f"{START}=null")) == composed_text(pair.composed())

    def test_a_sweep_composes_the_other_lane_once(self, pair, monkeypatch):
        from interlock.config import inputs

        composed = []
        monkeypatch.setattr(inputs, "compose_lane", lambda *asked: composed.append(asked) or inputs_compose(*asked))
        jobs = compose_jobs(pair.path / "conf", [["lane=follower", f"seed={seed}"] for seed in range(3)])
        assert len(composed) == 1
        assert [job.experiment.seed for job in jobs] == list(range(3))
        assert {needed.lane for job in jobs for needed in job.needs} == {"toy"}


def inputs_compose(conf, overrides):
    from interlock.config.compose import compose_lane

    return compose_lane(conf, overrides)


def test_lanes_come_in_an_order_that_makes_sense(pair):
    pair.params("[follower, toy]")
    assert list(compose_workspace(pair.path)) == ["toy", "follower"]


@given(st.lists(st.integers(0, 7), min_size=1, unique=True), st.data())
def test_each_lane_comes_after_what_it_needs(lanes, data):
    needs = {
        str(lane): {str(i): str(i) for i in data.draw(st.sets(st.sampled_from(lanes))) if i < lane} for lane in lanes
    }
    ordered = in_order(needs)
    assert sorted(ordered) == sorted(needs)
    for lane, needed in needs.items():
        assert all(ordered.index(other) < ordered.index(lane) for other in needed.values())
    if not any(needs.values()):
        assert ordered == list(needs)


def test_a_permission_is_part_of_the_composed_text_and_of_no_run(pair):
    from interlock.contracts.lane import BODY_KEYS

    text = composed_text(pair.composed(f"{ALLOW}.base=true"))
    assert "allow_unpassed:\n    base: true" in text
    assert "allow_unpassed" not in BODY_KEYS
    assert json.loads(json.dumps(pair.composed().lane.allow_unpassed)) == {}
