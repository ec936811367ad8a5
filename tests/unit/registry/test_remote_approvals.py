"""Approvals, waivers and moves between homes: people's words travel without files, and no move without its leave."""

import shutil
from datetime import UTC, datetime

import pytest
from toy_homes import judge_by_hand, toy_run

from interlock.commands.team import stage_lines
from interlock.contracts.approval import Need
from interlock.registry.approvals import approvals, standing
from interlock.registry.approving import approve, ask
from interlock.registry.events import Proposal, append_new, union
from interlock.registry.holders import holders
from interlock.registry.persons import Told
from interlock.registry.promotion import promote, roll_back, withdraw
from interlock.registry.pull import pull
from interlock.registry.push import push
from interlock.registry.queries import list_models, list_runs, show_model
from interlock.registry.remote import Remote
from interlock.registry.verify import verify_home
from interlock.registry.waivers import waivers
from interlock.registry.waiving import waive

TOLD = Told(by="Ada", reason="seen in staging")
WORDS = {"by": "Ada", "reason": "best"}


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    folder = tmp_path_factory.mktemp("archive")
    toy_run(folder / "home", folder / "work")
    return folder / "home"


@pytest.fixture
def ada(archive, tmp_path):
    return shutil.copytree(archive, tmp_path / "ada")


@pytest.fixture
def eve(tmp_path):
    return tmp_path / "eve"


@pytest.fixture
def remote(tmp_path):
    return Remote(tmp_path / "shared" / "interlock")


def now():
    return datetime.now(UTC)


def released(home):
    model = list_models(home)[0]
    promote(home, model.id, to="staging", **WORDS)
    approve(home, model.id, purpose="first_release", told=TOLD, now=now())
    return model, promote(home, model.id, to="production", **WORDS)[1]


def refusals(logs):
    return {run: reason for log in logs for run, reason in log.refused.items()}


def share(remote, source, target):
    push(source, remote)
    return pull(target, remote)


def test_an_approval_travels_before_there_is_a_run(remote, ada, eve):
    run = "f" * 16
    need = Need(purpose="cluster_time", scope={"estimated_hours": 6.0}, because="it is long")
    ask(eve, need, subject=run, lane="toy", run=run)
    share(remote, eve, ada)
    assert [item.state for item in approvals(ada, now=now())] == ["requested"]
    approve(ada, run, purpose="cluster_time", told=TOLD, now=now())
    assert refusals(share(remote, ada, eve)) == {}
    found = standing(eve, subject=run, purpose="cluster_time", now=now(), asked={"estimated_hours": 6.0})
    assert found is not None
    assert found.by == "Ada"
    assert run not in {row.run_id for row in list_runs(eve)}


def test_a_release_and_its_rollback_travel(remote, ada, eve):
    model, event = released(ada)
    assert refusals(share(remote, ada, eve)) == {}
    (holder,) = holders(eve)
    assert (holder.stage, holder.approval) == ("production", event.approval)
    roll_back(eve, model.id, by="Eve", reason="errors")
    share(remote, eve, ada)
    for home in (ada, eve):
        assert (show_model(home, model.id).model.stage, holders(home)) == ("rolled_back", ())
        assert [str(run.first_broken) for run in verify_home(home).runs if not run.ok] == []
    assert [line.sha256 for line in union(ada)] == [line.sha256 for line in union(eve)]


@pytest.mark.parametrize("approval", [None, "0" * 64])
def test_a_move_into_production_that_nobody_approved_is_refused(remote, ada, eve, approval):
    model = list_models(ada)[0]
    _, event = promote(ada, model.id, to="staging", **WORDS)
    body = {**event.model_dump(mode="json"), "to": "production", "approval": approval}
    append_new(ada, [Proposal(kind="promoted", subject=model.id, body=body)])
    assert "without an approval of this model" in refusals(share(remote, ada, eve))[model.run_id]
    assert list_models(eve) == ()


def test_a_move_of_an_earlier_version_is_taken_and_shown_without_approval(remote, ada, eve):
    model = list_models(ada)[0]
    _, event = promote(ada, model.id, to="staging", **WORDS)
    new = ("approval", "waiver", "share_percent", "rolls_back")
    body = {name: value for name, value in event.model_dump(mode="json").items() if name not in new}
    append_new(ada, [Proposal(kind="promoted", subject=model.id, body={**body, "to": "production"})])
    assert refusals(share(remote, ada, eve)) == {}
    (holder,) = holders(eve)
    assert (holder.stage, holder.approval, holder.rolls_back) == ("production", None, "")
    assert "WITHOUT APPROVAL" in stage_lines(eve, ["toy"])[0]


def test_a_waived_model_travels_and_a_waiver_of_another_judgement_does_not_help(remote, ada, eve):
    model = list_models(ada)[0]
    judge_by_hand(ada, model.run_id, target=float(model.metrics["accuracy"]))
    waive(ada, model.run_id, told=TOLD, now=now())
    _, event = promote(ada, model.id, to="shadow", **WORDS)
    assert refusals(share(remote, ada, eve)) == {}
    assert [item.state for item in waivers(eve, now=now())] == ["standing"]
    assert show_model(eve, model.id).model.stage == "shadow"
    for change in ({"to": "staging"}, {"judgement_id": "1" * 64}, {"waiver": "1" * 64}):
        body = {**event.model_dump(mode="json"), **change}
        append_new(ada, [Proposal(kind="promoted", subject=model.id, body=body)])
    assert "without a passing judgement" in refusals(share(remote, ada, eve))[model.run_id]
    assert show_model(eve, model.id).model.stage == "shadow"


def test_a_withdrawal_of_another_model_is_refused(remote, ada, eve):
    model = list_models(ada)[0]
    _, event = withdraw(ada, model.id, to="retired", **WORDS)
    body = {**event.model_dump(mode="json"), "sha256": "1" * 64}
    append_new(ada, [Proposal(kind="withdrawn", subject=model.id, body=body)])
    assert "another model" in refusals(share(remote, ada, eve))[model.run_id]
