"""Stages follow from the promotions of everybody: the same for all, whoever heard of what first."""

import json
import shutil
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from toy_homes import hand_over, judge_by_hand, toy_run

from interlock.errors import ApprovalError, ProvenanceError, RegistryError, UsageError
from interlock.registry import index
from interlock.registry.approvals import needs
from interlock.registry.approving import approve
from interlock.registry.events import Proposal, append_new, union
from interlock.registry.holders import holders
from interlock.registry.live import live_facts
from interlock.registry.persons import Told
from interlock.registry.promotion import Present, promote, roll_back, withdraw
from interlock.registry.queries import list_models, show_model
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


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """Two runs that pass."""
    folder = tmp_path_factory.mktemp("archive")
    for number, lr in enumerate((0.2, 0.4)):  # another seed alone would give the same bytes
        toy_run(folder / "home", folder / f"work{number}", f"lane.optimizer.lr={lr}")
    return folder / "home"


@pytest.fixture
def home(archive, tmp_path):
    shutil.copytree(archive, tmp_path / "home")
    return tmp_path / "home"


def move(home, model, to, **others):
    return promote(home, model, to=to, by="Ada", reason="best", **others)


def allow(home, model, *, expires="24h"):
    """A person's yes to putting the model into production."""
    facts = live_facts(home, "toy", to="production", services={})
    (need,) = needs(facts)
    told = Told(by="Ada", reason="seen in staging", expires=expires)
    return approve(home, model, purpose=need.purpose, told=told, now=datetime.now(UTC))


def release(home, model):
    """All the way into production, from wherever it may be promoted."""
    move(home, model, "staging")
    allow(home, model)
    return move(home, model, "production")


def test_up_and_back_again(home):
    one, two = (model.id for model in list_models(home))
    release(home, one)
    release(home, two)
    assert stages(home) == ({one: "retired", two: "production"}, {"production": (two, ())})
    name, event = roll_back(home, two, by="Bo", reason="errors")
    assert (name, event.rolls_back, event.approval) == (one, two, None)
    assert stages(home) == ({one: "production", two: "rolled_back"}, {"production": (one, ())})
    changes = [(change.from_stage, change.to_stage) for change in show_model(home, one).history]
    assert changes == [
        ("", "candidate"), ("candidate", "staging"), ("staging", "production"), ("production", "retired"),
        ("retired", "production"),
    ]  # fmt: skip


def test_a_canary_has_a_share_and_is_seen_with_it(home):
    model = list_models(home)[0].id
    move(home, model, "staging")
    allow(home, model)
    for share in (5.0, 25.0):
        _, event = move(home, model, "canary", share_percent=share)
        row = show_model(home, model).model
        assert (row.stage, row.share_percent, row.approval) == ("canary", share, event.approval)
    with pytest.raises(UsageError, match="there already"):
        move(home, model, "canary", share_percent=25.0)
    _, event = move(home, model, "production")
    assert event.approval == show_model(home, model).model.approval
    shares = [(change.to_stage, change.share_percent) for change in show_model(home, model).history]
    assert shares[-3:] == [("canary", 5.0), ("canary", 25.0), ("production", None)]


@pytest.mark.parametrize(("to", "share"), [("canary", None), ("canary", 0.0), ("canary", 100.0), ("staging", 5.0)])
def test_a_share_belongs_to_a_canary(home, to, share):
    with pytest.raises(UsageError, match="--share"):
        move(home, list_models(home)[0].id, to, share_percent=share)


WAYS = {
    "candidate": (),
    "shadow": ("shadow",),
    "staging": ("staging",),
    "canary": ("staging", "canary"),
    "production": ("staging", "production"),
    "rolled_back": ("staging", "canary", "rolled_back"),
    "retired": ("retired",),
}
"""How to bring a model into each stage."""


def act(home, model, to, way="promote"):
    """Make the move by the command that the table names."""
    words = {"by": "Ada", "reason": "best"}
    if way == "promote":
        return promote(home, model, to=to, share_percent=50.0 if to == "canary" else None, **words)
    return roll_back(home, model, **words) if way == "rollback" else withdraw(home, model, to=to, **words)


def way_of(to):
    return {"rolled_back": "rollback", "retired": "retire", "candidate": "demote"}.get(to, "promote")


@pytest.mark.parametrize("stage", TRANSITIONS)
def test_only_the_moves_of_the_table(archive, tmp_path, stage):
    """Every stage, every target, by promoting and by demoting: what the table has works, nothing else changes a log."""
    ready = tmp_path / "ready"
    shutil.copytree(archive, ready)
    one = list_models(ready)[0].id
    if {"canary", "production"} & {*WAYS[stage], *TRANSITIONS[stage]}:
        allow(ready, one)
    for step in WAYS[stage]:
        act(ready, one, step, way_of(step))
    assert show_model(ready, one).model.stage == stage
    attempts = [(to, "promote") for to in HELD] + [(to, "demote") for to in ("candidate", "shadow", "staging")]
    for to, way in [*attempts, ("retired", "retire")]:
        again = tmp_path / f"{way}-{to}"
        shutil.copytree(ready, again)
        before = union(again)
        if TRANSITIONS[stage].get(to) == way:
            if not (stage == to == "canary"):
                act(again, one, to, way)
                assert show_model(again, one).model.stage == to
                assert union(again)[: len(before)] == before
        else:
            with pytest.raises(UsageError, match="--to"):
                act(again, one, to, way)
            assert union(again) == before


def test_the_table_names_no_stage_that_is_none():
    assert {to for moves in TRANSITIONS.values() for to in moves} == set(TRANSITIONS)
    assert all(way == "rollback" for stage in ("rolled_back", "retired") for way in [TRANSITIONS[stage]["production"]])


def test_nothing_goes_live_without_a_person(home):
    one = list_models(home)[0].id
    move(home, one, "staging")
    before = union(home)
    for to, share in (("production", None), ("canary", 5.0)):
        with pytest.raises(ApprovalError, match=r"a person's approval for first_release, .*nobody was asked") as told:
            move(home, one, to, share_percent=share)
        assert told.value.hint == f'interlock approve {one} --for first_release --by NAME --reason "..."'
    assert union(home) == before


def test_an_approval_is_used_once(home):
    one, two = (model.id for model in list_models(home))
    _, event = release(home, one)
    assert event.approval
    release(home, two)
    roll_back(home, two, by="Ada", reason="errors")
    move(home, two, "staging")
    with pytest.raises(ApprovalError, match=f"the approval by Ada is used: {two} went into production with it"):
        move(home, two, "production")


def test_an_approval_of_another_model_is_none(home):
    one, two = (model.id for model in list_models(home))
    allow(home, two)
    move(home, one, "staging")
    with pytest.raises(ApprovalError, match="nobody was asked yet"):
        move(home, one, "production")


def test_an_approval_ends(home):
    one = list_models(home)[0].id
    move(home, one, "staging")
    allow(home, one, expires="1h")
    later = Present(now=datetime.now(UTC) + timedelta(hours=1))
    with pytest.raises(ApprovalError, match="the approval by Ada expired on"):
        move(home, one, "production", present=later)


def test_another_port_needs_another_approval(home):
    one = list_models(home)[0].id
    move(home, one, "staging")
    allow(home, one)
    with pytest.raises(ApprovalError, match=r"answer search \(port 8999\); the approval by Ada is void: more is asked"):
        move(home, one, "production", present=Present(services={"search": 8999}))


def test_the_first_release_is_judged_against_a_reference_baseline(home):
    model = list_models(home)[0]
    judge_by_hand(home, model.run_id, target=0.1)
    move(home, model.id, "staging")
    allow(home, model.id)
    with pytest.raises(RegistryError, match="first release of lane toy is judged against a reference baseline"):
        move(home, model.id, "production")


def test_a_rollback_puts_back_what_stood_there(home):
    one, two = (model.id for model in list_models(home))
    with pytest.raises(UsageError, match="not in production or canary"):
        roll_back(home, one, by="Ada", reason="errors")
    release(home, one)
    with pytest.raises(UsageError, match="never in production"):
        roll_back(home, one, to=two, by="Ada", reason="errors")
    name, event = roll_back(home, one, by="Ada", reason="errors")
    assert (name, event.kind if hasattr(event, "kind") else event.to) == (one, "rolled_back")
    assert stages(home)[1] == {}, "there was none before it"


def test_a_damaged_model_is_not_put_back(home):
    one, two = list_models(home)
    release(home, one.id)
    release(home, two.id)
    path = home / "runs" / one.run_id / "models" / "model.safetensors"
    path.chmod(0o644)
    path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(ProvenanceError, match="does not verify"):
        roll_back(home, two.id, by="Ada", reason="errors")
    assert stages(home)[1]["production"] == (two.id, ())


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


@pytest.mark.parametrize(("by", "reason"), [("", "best"), ("Ada", " \n"), ("Ada", "x" * 501)])
def test_who_and_why_are_kept_or_it_is_refused(home, by, reason):
    with pytest.raises(UsageError, match="characters"):
        promote(home, list_models(home)[0].id, to="staging", by=by, reason=reason)


def test_other_gates_than_the_present_ones_prove_nothing(home):
    with pytest.raises(RegistryError, match="other gates"):
        move(home, list_models(home)[0].id, "staging", present=Present(gates_sha256="0" * 64))


def test_a_changed_byte_is_not_promoted(home):
    model = list_models(home)[0]
    for name in ("loss.csv", "model.safetensors"):
        path = home / "runs" / model.run_id / "models" / name
        kept = path.read_bytes()
        path.chmod(0o644)
        path.write_bytes(kept[:-1] + bytes([kept[-1] ^ 1]))
        with pytest.raises(ProvenanceError, match=name):
            move(home, model.id, "staging")
        path.write_bytes(kept)
    move(home, model.id, "staging")


def test_only_a_pass_moves_forward_and_the_newest_judgement_counts(home):
    model = list_models(home)[0]
    judge_by_hand(home, model.run_id, target=0.999)
    with pytest.raises(RegistryError, match="newest verdict is fail"):
        move(home, model.id, "staging")
    judge_by_hand(home, model.run_id, target=0.1)
    move(home, model.id, "staging")


def test_a_judgement_that_is_not_in_the_archive_stands_in_the_way(home):
    model = list_models(home)[0]
    body = {"judgement_id": "1" * 64, "lane": "toy", "verdict": "fail", "sha256": "1" * 64, "source": "command"}
    append_new(home, [Proposal(kind="judged", subject=model.run_id, body=body)])
    with pytest.raises(ProvenanceError, match="none that says what the event says"):
        move(home, model.id, "staging")
