"""Stages follow from the promotions of everybody: the same for all, whoever heard of what first."""

import json
import shutil

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from toy_homes import hand_over

from interlock.registry import index
from interlock.registry.events import Proposal, append_new, union
from interlock.registry.holders import holders
from interlock.registry.queries import list_models
from interlock.registry.stages import HELD, TRANSITIONS, Promoted

MODELS = {name: name[0] * 16 for name in ("ant", "bee", "cat")}


def register(home, model):
    """Write down a run and its model, without files."""
    run = MODELS[model]
    archived = {
        "lane": "tower", "model_type": "tower", "dataset": "d", "seed": 1, "git_commit": "", "created_at": 1,
        "export": "completed", "card_sha256": "0" * 64,
    }  # fmt: skip
    registered = {
        "run_id": run, "model_type": "tower", "dataset": "d", "git_commit": "", "seed": 1, "path": "p",
        "hyperparameters": {}, "metrics": {}, "created_at": 1, "sha256": "0" * 64,
    }  # fmt: skip
    append_new(
        home,
        [
            Proposal(kind="run_archived", subject=run, body=archived),
            Proposal(kind="model_registered", subject=model, body=registered),
        ],
    )


def say_promoted(home, model, to="production"):
    body = {
        "lane": "tower", "before": "candidate", "to": to, "by": "Ada", "reason": "best", "run_id": MODELS[model],
        "judgement_id": "0" * 64, "sha256": "0" * 64, "replaces": [],
    }  # fmt: skip
    append_new(home, [Proposal(kind="promoted", subject=model, body=body)])


def say_withdrawn(home, model, to):
    body = {
        "lane": "tower", "before": "production", "to": to, "by": "Bo", "reason": "errors", "run_id": MODELS[model],
        "sha256": "0" * 64, "replaces": [],
    }  # fmt: skip
    append_new(home, [Proposal(kind="withdrawn", subject=model, body=body)])


def stages(home):
    """Stage of every model, and who holds which one with whom in the way."""
    held = {item.stage: (item.model_id, item.contested_by) for item in holders(home)}
    return {model.id: model.stage for model in list_models(home)}, held


@pytest.fixture
def homes(tmp_path):
    """Two homes that know of the same three models."""
    first, second = tmp_path / "first", tmp_path / "second"
    for model in MODELS:
        register(first, model)
    hand_over(first, second)
    return first, second


def exchange(*some):
    for _ in range(2):
        for source in some:
            for target in some:
                if source != target:
                    hand_over(source, target)


def test_a_promotion_replaces_the_one_that_it_knew(homes):
    first, second = homes
    say_promoted(first, "ant")
    exchange(first, second)
    say_promoted(second, "bee")
    exchange(first, second)
    wanted = ({"ant": "retired", "bee": "production", "cat": "candidate"}, {"production": ("bee", ())})
    assert stages(first) == stages(second) == wanted


def test_promotions_unaware_of_each_other_are_contested_until_the_next_one(homes):
    first, second = homes
    say_promoted(first, "ant")
    say_promoted(second, "bee")
    exchange(first, second)
    assert stages(first) == stages(second)
    (winner, rivals) = stages(first)[1]["production"]
    assert {winner, *rivals} == {"ant", "bee"}
    rows = {model.id: model.contested_by for model in list_models(first)}
    assert rows == {"ant": ("bee",), "bee": ("ant",), "cat": ()}
    say_promoted(first, "cat")
    exchange(first, second)
    assert stages(first)[1] == stages(second)[1] == {"production": ("cat", ())}


def test_the_same_choice_twice_is_not_contested(homes):
    first, second = homes
    for home in homes:
        say_promoted(home, "ant")
    exchange(first, second)
    assert stages(second)[1] == {"production": ("ant", ())}


def test_a_third_promotion_settles_only_what_it_knew(homes):
    first, second = homes
    say_promoted(first, "ant")
    say_promoted(second, "bee")
    say_promoted(first, "cat")
    exchange(first, second)
    winner, rivals = stages(first)[1]["production"]
    assert {winner, *rivals} == {"bee", "cat"}, "ant was answered by cat, bee was not"


def test_leaving_staging_leaves_nobody_behind_there(homes):
    first, second = homes
    say_promoted(first, "ant", "staging")
    say_promoted(second, "bee", "staging")
    exchange(first, second)
    winner = stages(first)[1]["staging"][0]
    say_promoted(first, winner, "production")
    exchange(first, second)
    assert stages(first)[1] == stages(second)[1] == {"production": (winner, ())}


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("promote"), st.integers(0, 2), st.sampled_from([*MODELS]), st.sampled_from([*HELD])),
        st.tuples(
            st.just("withdraw"),
            st.integers(0, 2),
            st.sampled_from([*MODELS]),
            st.sampled_from(["candidate", "shadow", "staging", "rolled_back", "retired"]),
        ),
        st.tuples(st.just("tell"), st.integers(0, 2), st.integers(0, 2), st.none()),
    ),
    min_size=1,
    max_size=8,
)


@settings(max_examples=20, deadline=None)
@given(STEPS)
def test_all_homes_arrive_at_the_same_stages_and_growing_is_folding_anew(tmp_path_factory, steps):
    folder = tmp_path_factory.mktemp("homes")
    some = [folder / str(number) for number in range(3)]
    for model in MODELS:
        register(some[0], model)
    exchange(*some)
    for what, home, other, stage in steps:
        if what == "promote":
            say_promoted(some[home], other, stage)
        elif what == "withdraw":
            say_withdrawn(some[home], other, stage)
        elif home != other:
            hand_over(some[home], some[other])
        index.refresh(some[0])
    exchange(*some)
    for home in some:
        index.refresh(home)
    found = [index.rows(home) for home in some]
    assert found[0] == found[1] == found[2]
    index.refold(some[0])
    assert index.rows(some[0]) == found[1]
    stages_of = stages(some[0])[0]
    for stage in HELD:
        assert sum(value == stage for value in stages_of.values()) <= 1
    assert [line.sha256 for line in union(some[1])] == [line.sha256 for line in union(some[2])]
    shutil.rmtree(folder)


def test_withdrawing_one_of_two_that_contest_a_stage_leaves_the_other(homes):
    first, second = homes
    say_promoted(first, "ant")
    say_promoted(second, "bee")
    exchange(first, second)
    winner, (rival,) = stages(first)[1]["production"]
    say_withdrawn(first, winner, "rolled_back")
    exchange(first, second)
    assert stages(first) == stages(second)
    assert stages(first)[1] == {"production": (rival, ())}
    assert stages(first)[0][winner] == "rolled_back"


def test_words_of_earlier_versions_are_read(homes):
    body = {
        "lane": "tower", "before": "archived", "to": "production", "by": "Ada", "reason": "best",
        "run_id": MODELS["ant"], "judgement_id": "0" * 64, "sha256": "0" * 64, "replaces": [],
    }  # fmt: skip
    append_new(homes[0], [Proposal(kind="promoted", subject="ant", body=body)])
    (holder,) = holders(homes[0])
    assert (holder.stage, holder.approval, holder.share_percent) == ("production", None, None)
    assert Promoted.model_validate_json(json.dumps(body)).approval is None


def test_the_table_names_no_stage_that_is_none():
    assert {to for moves in TRANSITIONS.values() for to in moves} == set(TRANSITIONS)
    assert all(way == "rollback" for stage in ("rolled_back", "retired") for way in [TRANSITIONS[stage]["production"]])
