"""How `interlock decide` shows a decision: what was tried, and what to type next."""

import pytest
from toy_homes import ROOT

from interlock.commands.decide_screen import show_decided
from interlock.config.compose import compose_lane
from interlock.config.validate import validate
from interlock.contracts.decision import Action
from interlock.decisions.person import PersonsChoice
from interlock.runs.deciding.configured import of_experiment
from interlock.runs.deciding.deciding import ask
from interlock.runs.deciding.recording import record

CONF = ROOT / "conf"


@pytest.fixture
def screen(home, run, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")

    def show(*overrides, choice=None):
        configured = of_experiment(validate(compose_lane(CONF, ["lane=toy", *overrides]), subject="lane toy"))
        decided = ask(home, run, configured, choice=choice)
        show_decided(decided, record(home, decided, made_at="2026-03-01T10:00:00+00:00"), home=home)
        return decided.decision, capsys.readouterr().out

    return show


def test_rules_alone_tell_nothing_tried_and_where_it_is_kept(screen, run):
    decision, text = screen()
    assert "no language model is configured" in text
    assert "tried" not in text
    assert f"runs/{run}/decisions/{decision.decision_id[:12]}..." in text
    assert "with the other overrides of this run" in text


def test_a_model_name_that_llm_does_not_have_is_told(screen):
    _, text = screen("llm=openai_compatible", "agents.dir_models.policy.proposal.models=[nope]")
    assert "llm has none of this agent's models ['nope'], only ['local']" in text


def test_a_missing_key_says_which_variable_to_set(screen, monkeypatch):
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    _, text = screen("llm=anthropic")
    assert "set ANTHROPIC_API_KEY in the environment and decide again" in text
    _, text = screen("llm=anthropic", "budget.usd=0.0")
    assert "set ANTHROPIC_API_KEY" in text, "no key comes before no budget"


def test_after_an_escalation_the_other_actions_are_named(screen, run):
    _, text = screen(choice=PersonsChoice(by="Ada", action=Action.ESCALATE, reason="somebody else looks at it"))
    assert f"interlock decide {run[:8]} --as NAME --action reject | retrain --reason WHY, with --set" in " ".join(
        text.split()
    )
