"""The decision on a release: what keeps a model from going, what each executive sees, and when it may go."""

import itertools
import json
import os
from datetime import UTC, datetime

import pytest
from decision_worlds import Scripted, answered, models, proposal
from release_homes import GATES, LEVELS, MEMBERS, OBSERVED, configured, onnx_bytes

from interlock.contracts.answer import Outcome
from interlock.contracts.decision import Action, Decision
from interlock.contracts.release import ReleaseSettings
from interlock.contracts.verdict import Verdict
from interlock.decisions import journal
from interlock.decisions.evidence import evidence_faults
from interlock.errors import ConfigError, UsageError
from interlock.provenance.canonical import pretty_json
from interlock.registry.derive import rebuild
from interlock.registry.events import read_events
from interlock.registry.index import anew, rows
from interlock.registry.persons import Told
from interlock.registry.verify import verify_run
from interlock.registry.waiving import waive
from interlock.runs.releasing import releasing
from interlock.runs.releasing.context import report_file, report_text
from interlock.runs.releasing.version import find_version

MONITOR, OFFICER, COMMANDER = MEMBERS
CITES = {
    MONITOR: "gate.environment.lock.reason",
    OFFICER: "gate.lineage.inputs.reason",
    COMMANDER: "gate.integration.files.reason",
}


def by_gate(released):
    return {row.gate: row for report in released.reports for row in report.rows}


def verdicts(released):
    return {report.agent: report.verdict for report in released.reports}


def change(path, old=None, new=b"x"):
    """Change an archived file, which is not writable."""
    os.chmod(path, 0o644)
    data = path.read_bytes()
    path.write_bytes(new + data if old is None else data.replace(old, new))


def votes(**said):
    """An asker: each member proposes an action on its own evidence, or answers with an outcome."""

    def reply(question):
        what = said[question.agent]
        is_action = isinstance(what, Action)
        return answered(question, proposal(what, cites=[CITES[question.agent]]) if is_action else what)

    return Scripted(reply)


# What may go, and what a first look comes to


def test_a_first_look_at_a_passing_candidate_is_shadow_only(made):
    home, production, candidate = made
    released = home.release(candidate)
    assert (released.decision.action, released.decision.verdict) == (Action.SHADOW_ONLY, Verdict.INCONCLUSIVE)
    assert verdicts(released) == {MONITOR: Verdict.PASS, OFFICER: Verdict.INCONCLUSIVE, COMMANDER: Verdict.PASS}
    open_rows = {name for name, row in by_gate(released).items() if row.verdict is not Verdict.PASS}
    assert {name for name in open_rows if by_gate(released)[name].severity == "block"} == {
        "slo.drift", "slo.error_rate", "slo.throughput",
    }  # fmt: skip
    assert released.situation.production.run_id == production


def test_with_evidence_of_a_shadow_it_goes(made):
    home, production, candidate = made
    released = home.release(candidate, evidence=home.shadow(candidate, production=production))
    assert (released.decision.action, released.decision.policy) == (Action.GO, "quorum")
    assert [vote.action for vote in released.decision.votes] == [Action.GO] * 3
    assert all(vote.counts for vote in released.decision.votes)


def test_nothing_is_silently_absent(made):
    """Service levels, the time of a rollback, utilisation: not measured is a row of its own."""
    found = by_gate(made[0].release(made[2]))
    for gate in ("slo.error_rate", "slo.correlation", "rollback.time", "resources.utilisation"):
        assert found[gate].verdict is Verdict.INCONCLUSIVE
        assert found[gate].reason.startswith("not measured: ")


def test_each_executive_sees_evidence_of_its_own_and_all_of_it_stands_in_its_report(made):
    home, production, candidate = made
    released = home.release(candidate, evidence=home.shadow(candidate, production=production))
    views = released.context.views
    assert set(views) == set(MEMBERS)
    for one, other in itertools.combinations(views.values(), 2):
        assert not set(one.evidence) & set(other.evidence)
        assert not set(one.rows) & set(other.rows)
    assert {name for view in views.values() for name in view.rows} == {row.gate for row in released.context.rows}
    texts = {report_file(report): report_text(report).encode() for report in released.reports}
    assert list(evidence_faults(released.context.evidence, texts.__getitem__)) == []
    assert all(report.sources for report in released.reports)


def test_the_same_again_gives_the_same_bytes(made):
    home, production, candidate = made
    evidence = home.shadow(candidate, production=production)
    one, two = (home.release(candidate, evidence=evidence) for _ in range(2))
    assert pretty_json(one.decision) == pretty_json(two.decision)
    assert pretty_json(one.context) == pretty_json(two.context)
    assert one.page == two.page


def test_other_evidence_is_another_release(made):
    home, production, candidate = made
    without = home.release(candidate)
    given = home.release(candidate, evidence=home.shadow(candidate, production=production))
    assert without.context.judgement_id != given.context.judgement_id
    assert without.decision.decision_id != given.decision.decision_id


# What keeps it from going


@pytest.mark.parametrize("file", ["model.onnx", "run_card.json"])
def test_a_changed_file_blocks_everything_and_is_told(world, file):
    home, _, candidate = world
    change(home.home / "runs" / candidate / "models" / file)
    released = home.release(candidate)
    assert (released.decision.action, released.decision.verdict) == (Action.PAUSE_AND_FIX, Verdict.BLOCKED)
    assert set(verdicts(released).values()) == {Verdict.BLOCKED}
    assert all(file in row.reason or "verify" in row.reason for row in by_gate(released).values())


def test_a_changed_production_leaves_no_way_back(world):
    home, production, candidate = world
    change(home.home / "runs" / production / "models" / "model.onnx")
    released = home.release(candidate)
    found = by_gate(released)
    assert found["rollback.ready"].verdict is Verdict.BLOCKED
    assert found["latency.drift"].verdict is Verdict.BLOCKED
    assert found["integration.schema"].verdict is Verdict.BLOCKED
    assert found["production.difference"].verdict is Verdict.BLOCKED
    assert released.decision.action is Action.PAUSE_AND_FIX


@pytest.mark.parametrize(
    ("options", "gate", "told", "action"),
    [
        ({"hits": range(0, 80)}, "r_at_5", "r_at_5 0.200", Action.REJECT),  # and it is worse than production
        ({"hits": range(0, 180)}, "production.difference", "worse than production", Action.REJECT),
        ({"hits": range(0, 330), "onnx": onnx_bytes(dim=16)}, "integration.schema", "is 16, it was 8", Action.REJECT),
        ({"hits": range(0, 330), "extra": {"state.bin": b"\x80\x05."}}, "integration.serialisation", "state.bin",
         Action.REJECT),
        ({"hits": range(0, 330), "latency_ms": 9.0}, "latency.drift", "ms against production's", Action.PAUSE_AND_FIX),
        ({"hits": range(0, 330), "tail_ms": 600.0}, "latency.target", "against 500 ms", Action.PAUSE_AND_FIX),
    ],
)  # fmt: skip
def test_a_fault_keeps_it_from_going(made, candidates, options, gate, told, action):
    home, production, _ = made
    candidate = candidates(**options)
    released = home.release(candidate, evidence=home.shadow(candidate, production=production))
    row = by_gate(released)[gate]
    assert (row.verdict, released.decision.action) == (Verdict.FAIL, action)
    assert told in row.reason


def test_equal_to_production_is_shadow_only(made, candidates):
    home, production, _ = made
    candidate = candidates(hits=range(1, 241))
    released = home.release(candidate, evidence=home.shadow(candidate, production=production))
    row = by_gate(released)["production.difference"]
    assert "the interval holds zero" in row.reason
    assert row.on_failure.startswith("Keep production, or measure both versions on more test items")
    assert (row.verdict, released.decision.action) == (Verdict.INCONCLUSIVE, Action.SHADOW_ONLY)


def test_a_bad_shadow_is_a_pause(made):
    home, production, candidate = made
    bad = {**OBSERVED, "error_rate": {**OBSERVED["error_rate"], "observed": 0.2, "lower": 0.1, "upper": 0.3}}
    released = home.release(candidate, evidence=home.shadow(candidate, production=production, observed=bad))
    assert released.decision.action is Action.PAUSE_AND_FIX
    assert by_gate(released)["slo.error_rate"].verdict is Verdict.FAIL


def test_another_environment_than_the_run_was_made_in_is_open(made, tmp_path):
    home, production, candidate = made
    other = tmp_path / "workspace"
    other.mkdir()
    (other / "requirements.lock").write_text("no-such-package==1.0\n")
    situation = home.situation(candidate, evidence=home.shadow(candidate, production=production))
    released = releasing.release(type(situation)(**vars(situation) | {"workspace": other}), configured())
    found = by_gate(released)
    assert found["environment.lock"].verdict is Verdict.INCONCLUSIVE
    assert found["environment.drift"].reason == "no-such-package: locked 1.0, installed not at all"
    assert released.decision.action is Action.SHADOW_ONLY


def test_gates_that_changed_since_leave_it_open(made):
    home, production, candidate = made
    other = {"r_at_5": GATES["r_at_5"]}
    released = home.release(candidate, gates=other, evidence=home.shadow(candidate, production=production))
    assert by_gate(released)["compliance.gates"].verdict is Verdict.INCONCLUSIVE
    assert released.decision.action is Action.SHADOW_ONLY


def test_a_run_without_an_export_is_no_release(made, candidates):
    home, _, _ = made
    run = candidates(hits=range(0, 60), export="skipped")
    released = home.release(run)
    row = by_gate(released)["integration.files"]
    assert (row.verdict, row.reason) == (Verdict.BLOCKED, "the run was not exported, so there is nothing to release")
    assert released.decision.action is Action.REJECT  # for it is worse than production, too
    assert released.situation.candidate.name == f"run {run}"


def test_a_waiver_is_told_and_allows_no_go(world):
    home, _, _ = world
    gates = {"r_at_5": GATES["r_at_5"].model_copy(update={"target": 0.8}), "over_bm25": GATES["over_bm25"]}
    candidate = home.archive(hits=range(0, 322), gates=gates)  # 0.805: open at 400 items
    told = Told(by="Ada", reason="shadow will tell", expires="2h", agents=frozenset())
    waive(home.home, candidate, told=told, now=datetime.now(UTC))
    released = home.release(candidate, gates=gates)
    assert by_gate(released)["lineage.waiver"].reason == "Ada waived its verdict: shadow will tell"
    assert released.decision.action is Action.SHADOW_ONLY


@pytest.mark.parametrize("text", ["", "nonsense", "0000"])
def test_an_unknown_model_is_refused_by_name(made, text):
    with pytest.raises(UsageError, match="no such model or run") as refused:
        find_version(made[0].home, text)
    assert "tower_docstrings" in refused.value.hint


# A first release


def test_a_first_release_goes_with_a_reference_an_approval_and_a_shadow(fresh):
    home, run = fresh
    evidence = home.shadow(run)
    asked = home.release(run, evidence=evidence)
    assert asked.decision.action is Action.SHADOW_ONLY
    assert by_gate(asked)["approval.first_release"].verdict is Verdict.INCONCLUSIVE
    assert "slo.drift" not in by_gate(asked)  # nothing to compare with
    home.approve(run, "first_release")
    given = home.release(run, evidence=evidence)
    assert by_gate(given)["approval.first_release"].reason == "Ada approved it: seen"
    assert given.decision.action is Action.GO


def test_a_first_release_that_beats_no_reference_is_open(fresh):
    home, _ = fresh
    gates = {"r_at_5": GATES["r_at_5"]}
    run = home.archive(gates=gates)
    home.approve(run, "first_release")
    released = home.release(run, gates=gates, evidence=home.shadow(run))
    assert by_gate(released)["production.reference"].verdict is Verdict.INCONCLUSIVE
    assert released.decision.action is Action.SHADOW_ONLY


# What is live


def test_a_model_that_is_live_is_compared_with_the_one_before_and_can_be_rolled_back(world):
    home, production, candidate = world
    home.into_production(candidate)
    bad = {**OBSERVED, "error_rate": {**OBSERVED["error_rate"], "observed": 0.2, "lower": 0.1, "upper": 0.3}}
    released = home.release(candidate, evidence=home.shadow(candidate, production=production, observed=bad))
    assert released.situation.production.run_id == production
    assert Action.ROLLBACK in released.context.allowed
    said = {vote.agent: vote.action for vote in released.decision.votes}
    assert said == {MONITOR: Action.GO, OFFICER: Action.ROLLBACK, COMMANDER: Action.GO}
    assert released.decision.action is Action.REJECT  # one voice of three is a veto and no majority


# Language models


def test_unanimous_false_votes_are_refused_and_told(made, candidates):
    home, production, _ = made
    candidate = candidates(hits=range(0, 80))
    evidence = home.shadow(candidate, production=production)
    asker = votes(**dict.fromkeys(MEMBERS, Action.GO))
    released = home.release(candidate, evidence=evidence, asker=asker, how=configured(models("one")))
    assert released.decision.verdict is Verdict.FAIL
    assert released.decision.action in (Action.PAUSE_AND_FIX, Action.REJECT)
    refused = [step.agent for step in released.decision.trail if step.outcome is not Outcome.ANSWERED]
    assert refused == [OFFICER]
    assert "## Not taken" in released.page
    assert "Quality-Safety-Officer" in released.page.partition("## Not taken")[2].partition("##")[0]


@pytest.mark.parametrize(
    ("said", "action"),
    [
        ((Action.GO, Action.GO, Action.GO), Action.GO),
        ((Action.GO, Action.SHADOW_ONLY, Action.GO), Action.GO),
        ((Action.GO, Action.GO, Action.PAUSE_AND_FIX), Action.GO),
        ((Action.SHADOW_ONLY, Action.SHADOW_ONLY, Action.GO), Action.SHADOW_ONLY),  # the chair stands alone
        ((Action.GO, Action.GO, Action.REJECT), Action.REJECT),
        ((Action.REJECT, Action.GO, Action.GO), Action.REJECT),
        ((Outcome.TIMEOUT, Outcome.REFUSED, Outcome.EMPTY), Action.GO),  # each member's rules vote in its place
    ],
)
def test_votes_on_a_passing_candidate(made, said, action):
    home, production, candidate = made
    evidence = home.shadow(candidate, production=production)
    asker = votes(**dict(zip(MEMBERS, said, strict=True)))
    released = home.release(candidate, evidence=evidence, asker=asker, how=configured(models("one")))
    assert released.decision.action is action
    assert {question.agent for question in asker.questions} == set(MEMBERS)


def test_votes_cannot_make_an_open_candidate_go(made):
    home, _, candidate = made
    asker = votes(**dict.fromkeys(MEMBERS, Action.GO))
    released = home.release(candidate, asker=asker, how=configured(models("one")))
    assert (released.decision.verdict, released.decision.action) == (Verdict.INCONCLUSIVE, Action.SHADOW_ONLY)


def test_a_vote_on_evidence_of_somebody_else_is_refused(made):
    """Everybody cites the monitor's fact: the others do not have it, so their rules vote."""
    home, production, candidate = made

    def reply(question):
        return answered(question, proposal(Action.GO, cites=[CITES[MONITOR]]))

    released = home.release(
        candidate, evidence=home.shadow(candidate, production=production), asker=Scripted(reply),
        how=configured(models("one")),
    )  # fmt: skip
    assert {vote.agent: vote.policy for vote in released.decision.votes} == {
        MONITOR: "llm", OFFICER: "rules", COMMANDER: "rules",
    }  # fmt: skip


# Who decides


def test_a_team_without_a_quorum_or_with_a_stranger_is_refused():
    how = configured()
    without = {name: agent for name, agent in how.agents.items() if name != "executive_team"}
    with pytest.raises(ConfigError, match="exactly one agent must decide upon releases by a quorum"):
        releasing.executive_team(without)
    text = pretty_json(how.agents["executive_team"]).replace(MONITOR, "somebody")
    strange = {**how.agents, "executive_team": type(how.agents["executive_team"]).model_validate_json(text)}
    with pytest.raises(ConfigError, match="nobody gathers evidence for this member"):
        releasing.executive_team(strange)


# What is written down


def test_a_recorded_release_is_archived_journalled_and_verifies(world):
    home, production, candidate = world
    before = rows(home.home)["runs"]
    released = home.release(candidate, evidence=home.shadow(candidate, production=production))
    kept = releasing.record(released, made_at="2026-03-02T12:00:00+00:00")
    assert {path.relative_to(kept.folder).as_posix() for path in kept.folder.rglob("*") if path.is_file()} >= {
        "decision.json", "context.json", "decision.md", "release_decision.md", "policy.json", "shadow.json",
        *(f"release/{name}.json" for name in MEMBERS),
    }  # fmt: skip
    assert Decision.model_validate_json((kept.folder / "decision.json").read_bytes()) == released.decision
    decided = [event for event, _ in read_events(home.home) if event.kind == "decided" and event.subject == candidate]
    assert decided[-1].body["action"] == "go"
    assert journal.check(home.home, released.decision).action is Action.GO
    assert verify_run(home.home, candidate).first_broken is None
    assert rows(home.home)["runs"] == before  # the run's own verdict and decision stay what they are
    again = releasing.record(released, made_at="2027-01-01T00:00:00+00:00")
    assert (again.folder, again.events) == (kept.folder, 0)
    rebuild(home.home)
    assert anew(home.home) == rows(home.home)


@pytest.mark.parametrize("file", ["decision.json", "context.json", "shadow.json", f"release/{OFFICER}.json"])
def test_a_changed_record_of_a_release_is_found(world, file):
    home, production, candidate = world
    kept = releasing.record(
        home.release(candidate, evidence=home.shadow(candidate, production=production)),
        made_at="2026-03-02T12:00:00+00:00",
    )
    change(kept.folder / file)
    broken = verify_run(home.home, candidate).first_broken
    assert broken is not None
    assert "decisions" in broken.name


def test_a_context_that_was_exchanged_with_its_decision_is_found(world):
    """Another context of the same verdict beside the decision: its digest is not the one that was decided upon."""
    home, _, candidate = world
    released = home.release(candidate)
    kept = releasing.record(released, made_at="2026-03-02T12:00:00+00:00")
    first, *others = released.context.rows
    other = released.context.model_copy(update={"rows": (first.model_copy(update={"reason": "so"}), *others)})
    (kept.folder / "context.json").write_text(pretty_json(other))
    broken = [link for link in verify_run(home.home, candidate).links if link.state == "broken"]
    assert any("-> context" in link.name for link in broken)


def test_the_page_claims_only_what_was_verified(made):
    home, production, candidate = made
    without = home.release(candidate).page.rstrip().splitlines()[-1]
    assert "not verified: service levels in shadow" in without
    given = home.release(candidate, evidence=home.shadow(candidate, production=production)).page
    assert given.rstrip().splitlines()[-1].startswith("**Ops Commander Final Verdict: GO - verified: ")
    assert "not verified" not in given.rstrip().splitlines()[-1]


def test_a_level_of_the_configuration_is_what_counts(made):
    """The report holds no verdict: a stricter level fails the same observation."""
    home, production, candidate = made
    strict = {**LEVELS, "error_rate": LEVELS["error_rate"].model_copy(update={"target": 0.0005})}
    evidence = home.shadow(candidate, production=production)
    assert "verdict" not in json.loads(evidence.read_text())
    released = home.release(candidate, evidence=evidence, settings=ReleaseSettings(service_levels=strict))
    assert released.decision.action is Action.PAUSE_AND_FIX
