"""Hostile executives and a hostile architect: no vote and no answer to a job takes a non-pass forward.

Real reports of real archived models, real lanes as DVC leaves them, the real clients over HTTP. Votes that everybody
gives are the worst case: whatever a member is allowed to say of its own gates, all say GO where they may.
"""

import os
import random
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from hostile_answers import hostile
from hostile_oracle import breaches
from hostile_path import KEY, KEY_ENV, WAYS, base_configuration, models
from hostile_proposals import dumps, forward
from hostile_server import HostileServer, Said
from release_homes import MEMBERS, OBSERVED, ReleaseHome, configured
from toy_text import toy_text

from interlock.contracts.spelling import spelled
from interlock.decisions import journal
from interlock.decisions.answers import Answers, Replaying
from interlock.decisions.quorum import seen_by
from interlock.errors import InterlockError
from interlock.provenance.canonical import pretty_json
from interlock.provenance.environment import environment_digest
from interlock.registry.decided import decisions
from interlock.registry.promotion import promote
from interlock.runs.answering.answering import answer, answers_folder, write
from interlock.runs.answering.lanes import dvc_lane
from interlock.runs.deciding.checking import check
from interlock.runs.deciding.replaying import replay
from interlock.runs.releasing import releasing
from interlock.runs.runner import run_lane
from interlock.stages.place import Place
from interlock.stages.progress import Silent

ROOT = Path(__file__).resolve().parents[2]
AT = "2999-01-01T00:00:00+00:00"


@pytest.fixture(autouse=True)
def _settings(monkeypatch):
    monkeypatch.setenv(KEY_ENV, KEY)
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A version in production, and candidates: one that passes, one that fails, one that nobody can tell."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: None)
        made = ReleaseHome(tmp_path_factory.mktemp("releases"))
        production = made.archive(hits=range(0, 240))
        made.into_production(production)
        made.runs = {
            "pass": made.archive(hits=range(0, 330)),
            "fail": made.archive(hits=range(0, 60)),
            "inconclusive": made.archive(hits=range(0, 125)),
            "unseen": made.archive(hits=range(0, 331)),
        }
        made.production, made.shown = production, {}
    return made


@pytest.fixture
def server():
    with HostileServer() as server:
        yield server


def look(home, label):
    """What can be known of a candidate: a shadow's evidence, but for the one that nobody has seen yet."""
    run = home.runs[label]
    evidence = None
    if label != "unseen":
        evidence = home.shadow(run, production=home.production, observed=OBSERVED)
    return run, {"evidence": evidence}


def context_of(home, label):
    """What the executives are shown; the reports are the same for whoever votes."""
    if label not in home.shown:
        run, looked = look(home, label)
        home.shown[label] = home.release(run, **looked).context
    return home.shown[label]


def vote(home, server, label, *, number, way, unanimous):
    """Let the executives vote by hostile models; gives what was decided, and what got through."""
    run, looked = look(home, label)
    context = context_of(home, label)
    rng = random.Random(number)
    members = {name: seen for name in MEMBERS if (seen := seen_by(context, name)) is not None}
    replies = {
        name: [Said(payload=dumps(forward(rng, seen)))] if unanimous else list(hostile(number, seen).replies)
        for name, seen in members.items()
    }
    server.script(lambda asked: next(left for name, left in replies.items() if spelled(name) in asked.text)[0])
    how = configured(models(server.urls, way, sample=number + 1), prices=base_configuration().prices)
    released = home.release(run, how=how, **looked)
    recorded = releasing.record(released, made_at=AT)
    row = next(item for item in decisions(home.home, run) if home.home / item.path == recorded.folder)
    return released, [
        *breaches(released.decision, context),
        *replay(home.home, row, released.decision).differences,
        *check(home.home, row, released.decision).problems,
    ]


LABELS = ("pass", "fail", "inconclusive", "unseen")
UNANIMOUS = [
    pytest.param(label, way, marks=[] if index % 3 == place else pytest.mark.slow, id="-".join((label, *way)))
    for index, label in enumerate(LABELS)
    for place, way in enumerate(WAYS[:3])
]
"""Each of them by one vendor at once, and by all among the slow tests."""


@pytest.mark.parametrize(("label", "way"), UNANIMOUS)
def test_unanimous_votes_do_not_make_a_release(home, server, label, way):
    released, told = vote(home, server, label, number=WAYS.index(way), way=way, unanimous=True)
    assert told == []
    assert released.context == context_of(home, label)
    assert len(server.requests) == 3
    assert (released.decision.action == "go") == (label == "pass"), released.decision
    # Whom nobody has seen is undecided; whose own gates are undecided is also worse than what is in production.
    assert released.decision.verdict == {"unseen": "inconclusive", "inconclusive": "fail"}.get(label, label)
    assert journal.check(home.home, released.decision)


@pytest.mark.parametrize("label", LABELS[1:])
def test_a_hostile_vote_promotes_nothing(home, server, label):
    for number in range(100, 105):
        released, told = vote(home, server, label, number=number, way=WAYS[number % 3], unanimous=False)
        assert told == [], released.decision
        assert released.decision.action != "go"
    name = home.model(home.runs[label]).id
    for stage, share in (("shadow", None), ("staging", None), ("canary", 5.0), ("production", None)):
        if label == "unseen" and stage in ("shadow", "staging"):
            continue  # its lane's verdict is a pass: only going live wants a person
        with pytest.raises(InterlockError):
            promote(home.home, name, to=stage, by="Mallory", reason="GO", share_percent=share)


@pytest.fixture(scope="module")
def lanes(tmp_path_factory):
    """A workspace with lanes of each verdict, as DVC leaves them."""
    path = tmp_path_factory.mktemp("jobs")
    workspace = path / "workspace"
    workspace.mkdir()
    for part in ("src", "pipelines"):
        (workspace / part).symlink_to(ROOT / part)
    shutil.copy(ROOT / "requirements.lock", workspace)
    (workspace / "params").mkdir()
    wanted = {
        "good": (),
        "bad": ("lane.model.value=0.3",),
        "open": ("lane.gates.accuracy.target=0.9",),
        "shut": ("lane.gates.accuracy.n_min=5000",),
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("INTERLOCK_HOME", str(path / "home"))
        patch.setattr(os, "fsync", lambda descriptor: None)
        for lane, overrides in wanted.items():
            (workspace / "params" / f"{lane}.yaml").write_text(toy_text(*overrides))
            run_lane(Place.of_workspace(workspace, lane), progress=Silent())
    environment = environment_digest(workspace)
    found = {name: dvc_lane(workspace, name, environment=environment) for name in (*wanted, "missing")}
    return path / "home", found


@pytest.fixture(scope="module")
def base():
    return base_configuration()


JOBS = {
    "pass": ("good",),
    "fail": ("good", "bad"),
    "inconclusive": ("good", "open"),
    "blocked": ("good", "shut"),
    "blocked, missing": ("good", "missing"),
}


@pytest.mark.parametrize("label", JOBS)
def test_a_hostile_architect_answers_no_job_that_does_not_pass(lanes, base, server, label):
    home, found = lanes
    chosen = [found[name] for name in JOBS[label]]
    context = answer(home, chosen, base).context
    assert context.verdict == label.partition(",")[0]
    seen = set()
    for number in range(200, 208):
        way, rng = WAYS[number % len(WAYS)], random.Random(number)
        made = [Said(payload=dumps(forward(rng, context)))] if number % 2 else hostile(number, context).replies
        server.script(made)
        answered = answer(home, chosen, replace(base, llm=models(server.urls, way, sample=number)))
        write(home, answered, made_at=AT)
        decision = answered.decision
        assert breaches(decision, context) == [], decision
        assert (answered.answer.action, answered.answer.verdict) == (decision.action, context.verdict)
        cited = {step.key: step.answer_sha256 for step in decision.trail if step.key and step.answer_sha256}
        record = Replaying(Answers(answers_folder(home, answered.job)), cited)
        again = answer(home, chosen, answered.configured, asker=record)
        assert pretty_json(again.decision) == pretty_json(decision)
        assert journal.check(home, decision)
        seen.add((decision.action.value, decision.policy))
    assert (("accept", "llm") in seen) == (label == "pass"), seen
