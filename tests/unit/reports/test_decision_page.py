"""`decision.md` says who decided, why, on what, and what was tried; no word of a model acts as markup."""

import re

import pytest
from decision_worlds import context, row
from markdown_it import MarkdownIt

from interlock.contracts.answer import Outcome, Usage
from interlock.contracts.decision import Action, Decision, Evidence, Statement, Step, Vote
from interlock.contracts.verdict import Verdict
from interlock.decisions.rules import by_kind as rules
from interlock.decisions.settings import settings_of
from interlock.errors import DecisionError
from interlock.reports.decisions import decision_markdown, decision_texts, spent, told_step

HOSTILE = "a | b\n# <script>x</script> \u202e[x](http://x.org) `c` *d* http://y.org $z$"
SHA = "0123456789ab" + "c" * 52
FACTS = (
    Evidence(
        id="gate.r_at_5.observed", value=0.64234567, pointer=f"judge/judgement.json#/rows/0/observed@sha256:{SHA}"
    ),
    Evidence(id="gate.r_at_5.reason", value=HOSTILE, pointer="odd|pointer`"),
)
FAILED = context(row("r_at_5"))


def decision(**changes):
    said = {
        "agent": "dir_models",
        "decision_id": SHA,
        "judgement_id": FAILED.judgement_id,
        "run_id": FAILED.run_id,
        "lane": "query_tower",
        "verdict": Verdict.FAIL,
        "action": Action.RETRAIN,
        "reasons": (Statement(text="recall is {gate.r_at_5.observed}", evidence=("gate.r_at_5.observed",)),),
        "proposed_overrides": {"lane.optimizer.lr": 3e-4, "lane.trainer.epochs": 20},
        "confidence": "medium",
        "policy": "rules",
        "evidence": FACTS,
    }
    return Decision(**(said | changes))


def step(outcome, **changes):
    return Step(agent="dir_models", policy="llm", outcome=outcome, model="anthropic/claude", **changes)


def test_a_decision_reads_from_the_top():
    page = decision_markdown(decision(), FAILED)
    assert page.startswith(
        f"# Decision: retrain\n\nLane `query_tower`, run `{FAILED.run_id}`, verdict **fail**.\n"
        "Decided by the rules for Dir-Models, confidence **medium**.\n\n## Reasons\n\n- recall is 0.6423\n"
    )
    assert "| `lane.optimizer.lr` | 0.001 | 0.0003 |\n| `lane.trainer.epochs` | 10 | 20 |" in page
    assert "`lane.optimizer.lr=0.0003 lane.trainer.epochs=20`" in page
    assert "| `gate.r_at_5.observed` | 0.6423 | `judge/judgement.json#/rows/0/observed@0123456789ab` |" in page
    assert [line for line in page.splitlines() if line.startswith("## ")] == [
        "## Reasons",
        "## Proposed overrides",
        "## Evidence",
    ]


def test_without_the_context_old_values_are_unknown():
    assert "| `lane.optimizer.lr` | - | 0.0003 |" in decision_markdown(decision())


def test_every_attempt_is_told():
    usage = Usage(calls=2, tokens_in=1200, tokens_out=34, usd=0.0123, seconds=3.25)
    trail = (
        step(Outcome.TIMEOUT, told="nothing came within 60 s"),
        step(Outcome.GUARD, told=f"action: {HOSTILE}", proposal={"action": "accept", "x": "`"}, usage=usage),
        step(Outcome.OVER_WINDOW, left_out=("a", "b")),
    )
    page = decision_markdown(decision(trail=trail))
    told = page[page.index("## How it was decided") : page.index("## Spend")].splitlines()[2:]
    assert told[0] == "1. Dir-Models, anthropic/claude: it did not answer in time: nothing came within 60 s."
    assert told[1].startswith("2. Dir-Models, anthropic/claude: its proposal was refused: it stepped outside")
    assert 'It proposed `{"action": "accept"}`. (2 calls, 1,234 tokens, \\$0.0123, 3.2 s)' in told[1]
    assert told[2].endswith("do not fit into its window. 2 facts did not fit into its window.")
    assert told[3] == "4. Then the rules decided."
    assert "| 2 | 1,200 | 34 | 0.0123 | 3.2 |" in page


def test_a_models_decision_names_the_model():
    page = decision_markdown(decision(policy="llm", trail=(step(Outcome.ANSWERED, told="large"),)))
    assert "Decided by `anthropic/claude` for Dir-Models" in page
    assert "1. Dir-Models, anthropic/claude: its proposal was taken (large).\n\n## Evidence" in page


def test_a_persons_decision_names_the_person():
    page = decision_markdown(decision(policy="person", person="Ada *L*"))
    assert "Decided by Ada \\*L\\* for Dir-Models" in page


def test_that_no_model_is_configured_is_one_sentence():
    page = decision_markdown(decision(trail=(step(Outcome.NOT_CONFIGURED, told="llm names no model"),)))
    assert "confidence **medium**. No language model was asked: llm names no model." in page
    assert "How it was decided" not in page


def test_votes_are_told_with_their_reasons():
    votes = tuple(
        Vote(agent=agent, action=action, verdict=Verdict.FAIL, reasons=(Statement(text=text, evidence=(cited,)),),
             confidence="low", policy="llm", counts=counts)
        for agent, action, text, cited, counts in (
            ("ops_commander", Action.REJECT, "recall is {gate.r_at_5.observed}", "gate.r_at_5.observed", True),
            ("quality_safety_officer", Action.REJECT, "see {gate.other.reason} *x*", "gate.other.reason", False),
        )
    )  # fmt: skip
    page = decision_markdown(decision(votes=votes, policy="quorum"))
    assert "| Ops-Commander | **reject** | fail | low | a language model | yes |" in page
    assert "no: same evidence as another" in page
    assert "**Ops-Commander**: reject\n\n- recall is 0.6423" in page
    assert "- see {gate.other.reason} \\*x\\*" in page


def test_nothing_that_anybody_wrote_acts_as_markup():
    said = Statement(text="it says {gate.r_at_5.reason}", evidence=("gate.r_at_5.reason",))
    trail = (step(Outcome.GUARD, told=HOSTILE, proposal={"action": HOSTILE}),)
    page = decision_markdown(decision(reasons=(said,), risks=(said,), policy="person", person=HOSTILE, trail=trail))
    html = MarkdownIt("commonmark").enable("table").render(page)
    assert not re.search(r"<(a|script|em|img)\b", html)
    assert html.count("<h1>") == 1
    assert html.count("<tr>") == 3 + 3  # overrides and evidence, each with its head
    assert "\u202e" not in page
    assert all(row.count("<td") in (0, 3) for row in html.split("<tr>"))


def test_a_numeral_of_its_own_is_refused():
    with pytest.raises(DecisionError, match="numerals of its own"):
        decision_markdown(decision(reasons=(Statement(text="recall 0.9", evidence=("gate.r_at_5.observed",)),)))


def test_the_texts_of_a_decision_belong_together():
    made = rules.decide(FAILED)
    texts = decision_texts(made, FAILED)
    assert list(texts) == ["context.json", "settings.json", "decision.json", "decision.md"]
    assert Decision.model_validate_json(texts["decision.json"]) == made
    assert texts["settings.json"] == settings_of(type(FAILED).model_validate_json(texts["context.json"])).text
    assert decision_texts(made, FAILED) == texts


@pytest.mark.parametrize("outcome", list(Outcome))
def test_every_outcome_has_words(outcome):
    assert told_step(step(outcome)) != f"Dir-Models, anthropic/claude: {outcome}"


def test_spend_in_words():
    assert spent(Usage()) == ""
    assert (
        spent(Usage(calls=1, tokens_in=1000, tokens_out=1, usd=0.5, seconds=2.0))
        == "1 call, 1,001 tokens, $0.5000, 2.0 s"
    )
