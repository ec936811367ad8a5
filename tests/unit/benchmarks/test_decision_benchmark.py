"""The stored decision benchmark: whole, consistent with its recorded outcomes, and scored again from its bytes."""

import dataclasses
import json
import re
from pathlib import Path

from decision_benchmark import answers, measure
from decisions import plan, scoring, situations
from decisions.scoring import Answer

from interlock.contracts.decision import DecisionContext
from interlock.decisions.rules.by_kind import Rules

RESULT = json.loads((Path(situations.DATA).parents[1] / "results" / "decision_benchmark.json").read_text())
ALL = situations.load()


def named(name):
    return next(item for item in ALL if item.name == name)


def of(action, **overrides):
    found = next(item for item in ALL if any(outcome.action == "retrain" for outcome in item.outcomes))
    return Answer(situation=found, action=action, overrides=overrides)


def test_it_is_as_large_and_as_mixed_as_it_says():
    assert len(ALL) >= 60
    assert len({item.name for item in ALL}) == len(ALL)
    assert {item.verdict for item in ALL} == {"pass", "fail", "inconclusive", "blocked"}
    assert {"good run", "overfitting", "leakage", "wrong config", "borderline gate", "damaged measurements"} <= {
        item.kind for item in ALL
    }
    assert {item.split for item in ALL} == {"dev", "test"}
    assert len({item.lane for item in ALL}) >= 3


def test_every_situation_is_the_run_it_names():
    for item in ALL:
        judgement = json.loads(situations.stored_runs()[item.run]["judge/judgement.json"])
        said = (judgement["verdict"], judgement["run_id"], judgement["lane"])
        assert said == (item.verdict, item.run_id, item.lane), item.name
        assert 1 <= item.attempts <= item.max_attempts, item.name


def test_a_context_is_built_from_the_stored_bytes():
    context = named("adapter-wrong-0").context()
    assert isinstance(context, DecisionContext)
    assert (str(context.verdict), context.attempts) == ("fail", 1)
    assert context.current["lane.trainer.epochs"] == 3


def test_what_is_right_follows_from_the_outcomes():
    for item in ALL:
        worked = {outcome.name for outcome in item.outcomes if outcome.verdict == "pass" or outcome.passed_at}
        if item.unjust or (item.verdict != "pass" and item.attempts == item.max_attempts):
            assert item.right == {"escalate"}, item.name
        elif item.verdict == "pass":
            assert item.right == {"accept"}, item.name
            assert not item.outcomes, item.name
        else:
            assert item.right == (worked or {"escalate"}), item.name


def test_no_leak_passes_whatever_is_tried():
    leaking = [item for item in ALL if item.unjust]
    assert leaking
    assert all(verdict != "pass" for item in leaking for verdict in (item.verdict, *(o.verdict for o in item.outcomes)))


def test_what_was_tried_is_open_there_and_changes_something():
    for item in ALL:
        space, current = item.context().search_space, item.context().current
        for outcome in item.outcomes:
            assert set(outcome.overrides) <= set(space)
            for key, value in outcome.overrides.items():
                assert space[key].low <= value <= space[key].high
                assert value != current[key]


def test_the_rules_score_is_the_published_one():
    found = scoring.score(answers(Rules(), ALL))
    published = RESULT["policies"]["rules"]
    assert {part: found[part] for part in ("all", "dev", "test", "by_kind", "confusion")} == {
        part: published[part] for part in ("all", "dev", "test", "by_kind", "confusion")
    }
    assert found["all"]["share"] > RESULT["by_chance"]["random action"]
    assert all(miss["why"] and miss["because"] for miss in found["misses"])


def test_a_policy_that_always_escalates_scores_what_is_said():
    class Escalates:
        def decide(self, context):
            decision = Rules().decide(context)
            return decision.model_copy(update={"action": "escalate", "proposed_overrides": {}})

    found = scoring.score(answers(Escalates(), ALL))
    assert found["all"]["share"] == RESULT["by_chance"]["always escalate"]


def test_a_model_without_its_key_is_skipped_with_a_word(tmp_path, monkeypatch):
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    found = measure(["anthropic"], tmp_path)
    assert list(found["policies"]) == ["rules"]
    assert found["skipped"] == {"anthropic": "ANTHROPIC_API_KEY is not set"}


def test_a_retrain_is_known_exactly_or_by_its_nearest_neighbour():
    item = next(item for item in ALL if item.verdict == "fail" and len(item.outcomes) >= 3 and not item.unjust)
    tried = next(outcome for outcome in item.outcomes if outcome.action == "retrain" and len(outcome.overrides) == 1)
    exact = Answer(situation=item, action="retrain", overrides=tried.overrides)
    assert exact.known == "exact"
    assert exact.hit == (tried.name in item.right)
    (key, value) = next(iter(tried.overrides.items()))
    close = dataclasses.replace(exact, overrides={key: value * 1.0001})
    assert close.known == "nearest"
    assert close.hit == exact.hit
    assert dataclasses.replace(exact, action="accept", overrides={}).hit is False


def test_a_hit_has_no_excuse_and_a_miss_says_what_worked():
    good = next(item for item in ALL if item.verdict == "pass")
    assert Answer(situation=good, action="accept", overrides={}).miss == ""
    assert "what worked: accept" in Answer(situation=good, action="escalate", overrides={}).miss


def test_nothing_of_the_machine_or_of_the_data_is_stored():
    names = {name for files in situations.stored_runs().values() for name in files}
    assert all(
        name.endswith(("record.json", "measurements.json", "judgement.json", "loss.csv", "params.yaml"))
        for name in names
    )
    text = json.dumps(situations.stored_runs())
    assert not re.search(r'"(/|file:)[a-z]+/', text)
    assert (situations.DATA / "runs.json.xz").stat().st_size < 3e6


def test_the_plan_names_every_situation_once():
    names = [item.name for item in plan.planned()]
    assert len(names) == len(set(names))
    assert {item.name for item in ALL} <= set(names)
