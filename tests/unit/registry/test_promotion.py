"""Moving real models: what is refused, what an approval allows, and that no sequence of commands goes round it."""

import contextlib
import shutil
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from toy_homes import judge_by_hand, toy_run

from interlock.errors import ApprovalError, InterlockError, ProvenanceError, RegistryError, UsageError
from interlock.registry.approvals import needs
from interlock.registry.approving import approve, deny
from interlock.registry.events import Proposal, append_new, union
from interlock.registry.holders import holders
from interlock.registry.live import live_facts
from interlock.registry.persons import Told
from interlock.registry.promotion import Present, promote, roll_back, withdraw
from interlock.registry.queries import list_models, show_model
from interlock.registry.stages import HELD, LIVE, TRANSITIONS


def stages(home):
    """Stage of every model, and who holds which one with whom in the way."""
    held = {item.stage: (item.model_id, item.contested_by) for item in holders(home)}
    return {model.id: model.stage for model in list_models(home)}, held


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
    before = union(ready)
    for to, way in [*attempts, ("retired", "retire")]:
        if TRANSITIONS[stage].get(to) != way:
            with pytest.raises(UsageError, match="--to"):
                act(ready, one, to, way)
            assert union(ready) == before
        elif not (stage == to == "canary"):
            again = tmp_path / f"{way}-{to}"
            shutil.copytree(ready, again)
            act(again, one, to, way)
            assert show_model(again, one).model.stage == to
            assert union(again)[: len(before)] == before


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


ACTS = st.lists(
    st.one_of(
        st.tuples(st.just("promote"), st.integers(0, 1), st.sampled_from(HELD)),
        st.tuples(
            st.just("withdraw"), st.integers(0, 1), st.sampled_from(["candidate", "shadow", "staging", "retired"])
        ),
        st.tuples(st.just("roll back"), st.integers(0, 1), st.none()),
        st.tuples(st.just("approve"), st.integers(0, 1), st.none()),
        st.tuples(st.just("deny"), st.integers(0, 1), st.none()),
        st.tuples(st.just("judge"), st.integers(0, 1), st.sampled_from([0.1, 0.999])),
        st.tuples(st.just("hours pass"), st.just(0), st.none()),
    ),
    min_size=4,
    max_size=12,
)
UP = [("promote", 0, "staging"), ("approve", 0, None), ("promote", 0, "production")]


class Try:
    """Does what it is told; what is refused is refused."""

    def __init__(self, home):
        """Begins now."""
        self.home, self.now = home, datetime.now(UTC)
        self.models = [(model.id, model.run_id, model.sha256) for model in list_models(home)]

    def do(self, what, which, to):
        name, run, _ = self.models[which]
        words, present = {"by": "Ada", "reason": "best"}, Present(now=self.now)
        told = Told(by="Ada", reason="seen", expires="2h")
        if what == "promote":
            promote(self.home, name, to=to, share_percent=5.0 if to == "canary" else None, present=present, **words)
        elif what == "withdraw":
            withdraw(self.home, name, to=to, **words)
        elif what == "roll back":
            roll_back(self.home, name, **words)
        elif what == "approve":
            (need,) = needs(live_facts(self.home, "toy", to="production", services={}))
            approve(self.home, name, purpose=need.purpose, told=told, now=self.now)
        elif what == "deny":
            (need,) = needs(live_facts(self.home, "toy", to="production", services={}))
            deny(self.home, name, purpose=need.purpose, told=told, now=self.now)
        elif what == "judge":
            judge_by_hand(self.home, run, target=to, words=f"{self.now:%H}")
        else:
            self.now += timedelta(hours=1)


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(ACTS, st.booleans())
def test_no_sequence_leads_live_without_a_pass_and_a_person(archive, tmp_path_factory, acts, is_up):
    folder = tmp_path_factory.mktemp("acts")
    shutil.copytree(archive, folder / "home")
    trial = Try(folder / "home")
    stood = {name: "candidate" for name, _, _ in trial.models}
    for act_ in [*(UP if is_up else []), *acts]:
        verdicts = {model.id: model.verdict for model in list_models(trial.home)}
        before = union(trial.home)
        with contextlib.suppress(InterlockError):
            trial.do(*act_)
        lines = union(trial.home)
        assert lines[: len(before)] == before, "history only grows"
        approved = {line.event.key: line.event for line in lines if line.event.kind == "approval_granted"}
        for line in lines[len(before) :]:
            event = line.event
            if event.kind == "withdrawn":
                assert event.body["to"] in TRANSITIONS[stood[event.subject]]
            if event.kind != "promoted":
                continue
            assert event.body["to"] in TRANSITIONS[stood[event.subject]]
            if event.body["rolls_back"]:
                assert any(old.event.kind == "promoted" and old.event.subject == event.subject for old in before)
                continue
            assert verdicts[event.subject] == "pass"
            if event.body["to"] in LIVE:
                grant = approved[event.body["approval"]]
                assert grant.subject == event.body["sha256"]
                assert datetime.fromisoformat(grant.body["expires_at"]) > trial.now
        stood = {model.id: model.stage for model in list_models(trial.home)}
        assert all(sum(now == stage for now in stood.values()) <= 1 for stage in HELD)
    shutil.rmtree(folder)


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
