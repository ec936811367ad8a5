"""Stages follow from the promotions of everybody: the same for all, whoever heard of what first."""

import shutil

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from toy_homes import hand_over, judge_by_hand, toy_run

from interlock.errors import ProvenanceError, RegistryError, UsageError
from interlock.registry import index
from interlock.registry.events import Proposal, append_new, union
from interlock.registry.holders import holders
from interlock.registry.promotion import promote
from interlock.registry.queries import list_models, show_model
from interlock.registry.stages import HELD, TRANSITIONS

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
    wanted = ({"ant": "archived", "bee": "production", "cat": "candidate"}, {"production": ("bee", ())})
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
    for stage in ("staging", "production"):
        assert sum(value == stage for value in stages_of.values()) <= 1
    assert [line.sha256 for line in union(some[1])] == [line.sha256 for line in union(some[2])]
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """Two runs that pass."""
    folder = tmp_path_factory.mktemp("archive")
    for seed in (1, 2):
        toy_run(folder / "home", folder / f"work{seed}", f"seed={seed}")
    return folder / "home"


@pytest.fixture
def home(archive, tmp_path):
    shutil.copytree(archive, tmp_path / "home")
    return tmp_path / "home"


def move(home, model, to, **others):
    return promote(home, model, to=to, by="Ada", reason="best", **others)


def test_up_and_back_again(home):
    one, two = (model.id for model in list_models(home))
    steps = [(one, "staging"), (one, "production"), (two, "staging"), (two, "production"), (one, "production")]
    for model, to in steps:
        move(home, model, to)
    assert stages(home) == ({one: "production", two: "archived"}, {"production": (one, ())})
    changes = [(change.from_stage, change.to_stage) for change in show_model(home, one).history]
    assert changes == [
        ("", "candidate"), ("candidate", "staging"), ("staging", "production"), ("production", "archived"),
        ("archived", "production"),
    ]  # fmt: skip


@pytest.mark.parametrize("stage", TRANSITIONS)
@pytest.mark.parametrize("to", ["staging", "production"])
def test_only_the_moves_of_the_table(home, stage, to):
    one, two = (model.id for model in list_models(home))
    way = {"candidate": (), "staging": ((one, "staging"),)}
    way["production"] = (*way["staging"], (one, "production"))
    way["archived"] = (*way["staging"], (two, "staging"))
    for model, step in way[stage]:
        move(home, model, step)
    if to in TRANSITIONS[stage]:
        move(home, one, to)
        assert show_model(home, one).model.stage == to
    else:
        before = union(home)
        with pytest.raises(UsageError, match="--to"):
            move(home, one, to)
        assert union(home) == before


@pytest.mark.parametrize(("by", "reason"), [("", "best"), ("Ada", " \n"), ("Ada", "x" * 501)])
def test_who_and_why_are_kept_or_it_is_refused(home, by, reason):
    with pytest.raises(UsageError, match="characters"):
        promote(home, list_models(home)[0].id, to="staging", by=by, reason=reason)


def test_other_gates_than_the_present_ones_prove_nothing(home):
    with pytest.raises(RegistryError, match="other gates"):
        move(home, list_models(home)[0].id, "staging", gates_sha256="0" * 64)


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
