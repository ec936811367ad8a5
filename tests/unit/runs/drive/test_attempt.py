"""An attempt's configuration: what decisions changed is composed with the rest, and ids stay what they are."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.config.compose import parse
from interlock.contracts.decision import Action
from interlock.contracts.drive import DrivenAttempt, DrivenDecision
from interlock.errors import ConfigError, DecisionError
from interlock.runs.drive.attempt import attempt_place, overrides_for
from interlock.runs.drive.begin import differing, drive_of, open_drive
from interlock.runs.drive.driver import next_attempt

ROOT = Path(__file__).resolve().parents[4]
HEX = "0123456789abcdef"


def decision(**overrides):
    said = {"action": Action.RETRAIN, "policy": "rules", "reasons": ("why",), "confidence": "low"}
    return DrivenDecision(decision_id="0" * 64, overrides=overrides, **said)


@given(
    st.text(HEX, min_size=16, max_size=16),
    st.text(HEX, min_size=12, max_size=12),
    st.floats(1e-6, 1e6) | st.integers(-5, 10**9),
)
def test_overrides_say_what_they_mean(run_id, drive, value):
    attempt = DrivenAttempt(attempt=2, parent_run=run_id, overrides={"lane.optimizer.lr": value})
    texts = overrides_for(attempt, drive=drive, attempts_max=7)
    read = {parse(text).key_or_group: parse(text).value() for text in texts}
    plain = {key: getattr(found, "text", found) for key, found in read.items()}
    assert plain == {
        "lane.optimizer.lr": value, "lineage.parent_run": run_id, "lineage.attempt": 2, "lineage.drive": drive,
        "max_attempts": 7,
    }  # fmt: skip
    assert type(plain["lane.optimizer.lr"]) is type(value)


def test_the_next_attempt_changes_what_was_proposed_and_keeps_what_was_changed_before(compose):
    composed = compose("lane.optimizer.lr=0.1")(())
    first = DrivenAttempt(attempt=1, run_id="a" * 16, overrides={"seed": 5})
    planned = next_attempt(first, decision(**{"lane.optimizer.lr": 0.2}), composed)
    assert (planned.attempt, planned.parent_run) == (2, "a" * 16)
    assert planned.changes == {"lane.optimizer.lr": (0.1, 0.2)}
    assert planned.overrides == {"seed": 5, "lane.optimizer.lr": 0.2}


@pytest.mark.parametrize(
    ("proposed", "says"),
    [
        ({"lane.optimizer.lr": 2.0}, "lies outside"),
        ({"lane.gates.accuracy.target": 0.1}, "not in the search space"),
        ({"lane.optimizer.lr": 0.1}, "present value"),
    ],
)
def test_what_may_not_be_changed_is_refused(compose, proposed, says):
    composed = compose("lane.optimizer.lr=0.1")(())
    with pytest.raises(DecisionError, match=says):
        next_attempt(DrivenAttempt(attempt=1, run_id="a" * 16), decision(**proposed), composed)


def test_an_attempt_keeps_its_folder_whatever_the_ceilings_say(compose):
    composer, names = compose(), set()
    for number, ceiling in ((1, None), (1, 9), (2, None)):
        attempt = DrivenAttempt(attempt=number)
        composed = composer(overrides_for(attempt, drive="0" * 12, attempts_max=ceiling))
        place = attempt_place(composed, ROOT, drive="0" * 12, attempt=number)
        assert place.params.read_text() == composed.text
        names.add(place.folder.name)
    assert len(names) == 2


def test_tracking_and_control_make_no_other_drive_and_everything_else_does(compose):
    asked = compose()(()).digest
    assert compose("tracking=wandb", "control.heartbeat_s=5")(()).digest == asked
    for other in ("seed=2", "max_attempts=3", "budget.usd=2", "lane.gates.accuracy.target=0.7", "llm=anthropic"):
        assert compose(other)(()).digest != asked


@pytest.mark.parametrize(
    ("overrides", "key"),
    [
        (("lineage.attempt=3",), "lineage.attempt"),
        (("lineage.parent_run='aaaaaaaaaaaaaaaa'",), "lineage.parent_run"),
        (("lineage.drive='aaaaaaaaaaaa'",), "lineage.drive"),
        (("~lane.search_space",), "lane.search_space"),
    ],
)
def test_what_cannot_be_driven_is_refused(compose, tmp_path, overrides, key):
    with pytest.raises(ConfigError) as caught:
        drive_of(tmp_path, compose(*overrides)(()))
    assert [fault.key for fault in caught.value.faults] == [key]


def test_the_same_words_with_another_conf_begin_another_drive_and_say_so(compose, tmp_path):
    first, second = compose()(()), compose("lane.gates.accuracy.target=0.7")(())
    opened = [
        open_drive(drive_of(tmp_path, composed), composed, command=("lane=toy",), workspace=ROOT)
        for composed in (first, first, second)
    ]
    assert [item.how for item in opened] == ["begun", "goes_on", "begun"]
    assert opened[2].before == drive_of(tmp_path, first).id
    assert opened[2].changed == ("lane.gates.accuracy.target",)


def test_a_drive_begins_anew_where_its_results_would_not_be_the_same(compose, tmp_path, monkeypatch):
    composed = compose()(())
    folder = drive_of(tmp_path, composed)
    open_drive(folder, composed, command=(), workspace=ROOT)
    monkeypatch.setattr("interlock.runs.drive.begin.basis", lambda *_: "other code")
    assert open_drive(folder, composed, command=(), workspace=ROOT).how == "begun_anew"


def test_differences_are_named_by_key():
    assert differing({"a": {"b": 1, "c": 2}, "d": 1}, {"a": {"b": 1, "c": 3}, "e": 1}) == ["a.c", "d", "e"]
