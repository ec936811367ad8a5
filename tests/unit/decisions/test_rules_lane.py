"""The rule policy: what it does for each verdict, and what it can never do."""

import pytest
from decision_worlds import CURRENT, SPACE, context, row
from hypothesis import given, settings
from hypothesis import strategies as st

from interlock.contracts.decision import Action
from interlock.contracts.verdict import Cause, Verdict
from interlock.decisions.actions import LANE_ACTIONS
from interlock.decisions.evidence import render
from interlock.decisions.rules.by_kind import decide
from interlock.decisions.rules.lane import REPAIRABLE, RULES
from interlock.decisions.search_space import check_overrides
from interlock.decisions.wording import text_faults


def said(decision):
    return [render(reason.text, decision.evidence) for reason in decision.reasons]


def test_a_pass_is_accepted():
    made = decide(context(row("r_at_5", Verdict.PASS), row("r_at_10", severity="advise")))
    assert (made.action, made.confidence, made.policy) == (Action.ACCEPT, "high", "rules")
    assert said(made) == ["r_at_5 0.300 against 0.500, n=200"]


def test_inconclusive_says_how_many_items_would_decide():
    made = decide(context(row("r_at_5", Verdict.INCONCLUSIVE, n_needed=2600), row("echo_loop", Verdict.PASS)))
    assert made.action is Action.GATHER_MORE
    assert said(made) == ["r_at_5 0.300 against 0.500, n=200: measure about 2600 items"]


def test_inconclusive_that_no_number_decides_goes_to_a_person():
    assert decide(context(row("r_at_5", Verdict.INCONCLUSIVE))).action is Action.ESCALATE


@pytest.mark.parametrize(
    ("metric", "facts", "attempts", "overrides"),
    [
        ("no_nan_inf", {}, 1, {"lane.optimizer.lr": 1e-4}),
        ("training_loss_converged", {"train.trend": "improving"}, 1, {"lane.trainer.epochs": 30}),
        ("training_loss_converged", {"train.trend": "improving"}, 5, {"lane.trainer.epochs": 30}),
        ("training_loss_converged", {"train.trend": "unknown"}, 1, {"lane.trainer.epochs": 30}),
        ("training_loss_converged", {"train.trend": "rising"}, 1, {"lane.optimizer.lr": 3e-4}),
        ("training_loss_converged", {"train.trend": "stalled"}, 1, {"lane.optimizer.lr": 3e-4}),
        ("r_at_5", {"train.overfitting": True}, 1, {"lane.model.dropout": 0.2}),
        ("r_at_5", {"train.overfitting": True}, 2, {"lane.optimizer.lr": 5e-4}),
        ("r_at_5", {"train.overfitting": False}, 1, {"lane.model.temperature": 0.035}),
        ("r_at_5", {}, 4, {"lane.trainer.epochs": 30}),
        ("echo_loop", {}, 1, {"lane.trainer.epochs": 30}),  # neither an echo weight nor a width is searched here
        ("training_loss_final", {}, 2, {"lane.trainer.epochs": 30}),
    ],
)
def test_a_fail_changes_one_thing_by_the_table(metric, facts, attempts, overrides):
    made = decide(context(row(metric), facts=facts, attempts=attempts, max_attempts=9))
    assert (made.action, made.proposed_overrides) == (Action.RETRAIN, overrides)
    assert said(made)[0].startswith(f"{metric} 0.300 against 0.500, n=200: ")
    assert {f"search.{key}" for key in overrides} <= set(made.reasons[0].evidence)


def test_causes_stand_before_symptoms():
    made = decide(context(row("r_at_5"), row("no_nan_inf", severity="halt"), row("echo_loop")))
    assert made.proposed_overrides == {"lane.optimizer.lr": 1e-4}
    assert [render(risk.text, made.evidence) for risk in made.risks] == [
        "r_at_5 0.300 against 0.500, n=200: this change does not aim at it",
        "echo_loop 0.300 against 0.500, n=200: this change does not aim at it",
    ]


@pytest.mark.parametrize(
    "broken",
    [
        context(row("r_at_5"), attempts=2),
        context(row("r_at_5"), space={}, current={}),
        context(row("model_loadable"), facts={"train.overfitting": True}),
        context(row("training_loss_converged")),  # no trend was recorded, so nothing is known to help
        context(row("no_nan_inf"), current=CURRENT | {"lane.optimizer.lr": 1e-5}),  # stands at its bound
    ],
    ids=["used up", "no space", "no rule", "no evidence", "at the bound"],
)
def test_a_fail_that_no_rule_helps_goes_to_a_person(broken):
    made = decide(broken)
    assert made.action is Action.ESCALATE
    assert said(made)[-1].endswith("against 0.500, n=200")


@pytest.mark.parametrize(
    "broken",
    [
        row("splits_correct"),
        row("negatives_distinct"),
        row("echo_loop", Verdict.BLOCKED, cause=Cause.TOO_FEW),
        row("echo_loop", Verdict.BLOCKED, cause=Cause.BASELINE_CHANGED),
    ],
    ids=lambda row: row.metric + (row.cause or ""),
)
def test_no_training_mends_the_data_or_a_gate(broken):
    facts = {"train.trend": "improving"}
    made = decide(context(row("training_loss_converged"), broken, facts=facts, max_attempts=9))
    assert made.action is Action.ESCALATE
    assert "no training mends" in said(made)[0]
    others = decide(
        context(
            row("training_loss_converged"), row("echo_loop", Verdict.BLOCKED, cause=Cause.NOT_EXPORTED), facts=facts
        )
    )
    assert others.action is Action.RETRAIN


def test_what_waits_for_the_export_alone_is_no_risk_and_no_reason_beside_others():
    waits = row("model_loadable", Verdict.BLOCKED, cause=Cause.NOT_EXPORTED)
    rows = (waits, row("training_loss_converged"), row("echo_loop"))
    made = decide(context(*rows, facts={"train.trend": "improving"}))
    assert [render(item.text, made.evidence).partition(" ")[0] for item in made.risks] == ["echo_loop"]
    asked = decide(context(*rows, attempts=2, max_attempts=2))
    assert [text.partition(" ")[0] for text in said(asked)] == ["the", "training_loss_converged", "echo_loop"]
    assert len(said(decide(context(waits)))) == 2  # where nothing else is in the way, it is said


def test_escalation_counts_the_runs():
    assert said(decide(context(row("r_at_5"), attempts=2)))[0] == "the runs of this lineage are used up (run 2 of 2)"


@pytest.mark.parametrize("cause", Cause)
def test_a_block_is_repaired_where_running_again_can_mend_it(cause):
    made = decide(context(row("r_at_5", Verdict.BLOCKED, cause=cause)))
    assert made.action is (Action.REPAIR if cause in REPAIRABLE else Action.ESCALATE)
    assert decide(context(row("r_at_5", Verdict.BLOCKED, cause=cause), attempts=2)).action is Action.ESCALATE


def test_one_cause_that_cannot_be_mended_is_enough_to_ask():
    rows = (row("a", Verdict.BLOCKED, cause=Cause.MISSING), row("b", Verdict.BLOCKED, cause=Cause.UNIT))
    assert decide(context(*rows)).action is Action.ESCALATE


def test_the_tables_sentences_hold():
    for rule in RULES:
        assert rule.changes
        for change in rule.changes:
            assert not list(text_faults(f"{rule.sign}, so {change.does}", set(), key="text"))


def test_too_little_training_is_mended_by_what_lacks_first():
    """The same sign again, with other present values: a low learning rate, then epochs, then a bit more of both."""
    facts = {"train.trend": "improving"}
    epochs, lr = "lane.trainer.epochs", "lane.optimizer.lr"
    found = []
    for present in ({lr: 1e-4}, {lr: 1e-4, epochs: 40}, {lr: 3e-3}, {lr: 3e-3, epochs: 40}, {lr: 1e-2, epochs: 40}):
        made = decide(context(row("training_loss_converged"), facts=facts, current=CURRENT | present, max_attempts=9))
        found.append((made.proposed_overrides, said(made)[0].partition(", so ")[2]))
    assert found == [
        ({lr: 8e-4, epochs: 30}, "raise the learning rate, which is low, and train for longer"),
        ({lr: 8e-4}, "raise the learning rate, which is low"),
        ({epochs: 30}, "train for longer"),
        ({lr: 6e-3}, "raise the learning rate"),
        ({}, ""),
    ]


def test_where_the_sign_does_not_say_which_change_helps_each_attempt_tries_another():
    found = [
        decide(context(row("r_at_5"), attempts=attempt, max_attempts=9)).proposed_overrides for attempt in (1, 2, 3, 5)
    ]
    temperature, epochs = {"lane.model.temperature": 0.035}, {"lane.trainer.epochs": 30}
    assert found == [temperature, epochs, epochs, temperature]  # neither negatives nor a width are searched here


def test_a_decision_is_identified_by_what_was_shown():
    base = context(row("r_at_5"))
    assert decide(base) == decide(base)
    others = [
        context(row("r_at_5"), attempts=2),
        context(row("r_at_10")),
        context(row("r_at_5"), facts={"train.trend": "flat"}),
    ]
    assert len({decide(other).decision_id for other in (base, *others)}) == 4


METRICS = [
    "r_at_5",
    "echo_loop",
    "no_nan_inf",
    "training_loss_converged",
    "latency_p95",
    "model_loadable",
    "f1",
    "odd {name} 7",
]


@st.composite
def contexts(draw):
    rows = []
    for index in range(draw(st.integers(0, 4))):
        verdict = draw(st.sampled_from(Verdict))
        rows.append(
            row(
                draw(st.sampled_from(METRICS)),
                verdict,
                gate=f"g{index}",
                severity=draw(st.sampled_from(["block", "advise", "halt"])),
                cause=draw(st.sampled_from(Cause)) if verdict is Verdict.BLOCKED else None,
                n_needed=draw(st.none() | st.integers(1, 10**6)) if verdict is Verdict.INCONCLUSIVE else None,
            )
        )
    keys = draw(st.lists(st.sampled_from(sorted(SPACE)), unique=True))
    facts = draw(
        st.fixed_dictionaries(
            {},
            optional={
                "train.trend": st.sampled_from(["improving", "flat", "rising", "stalled"]),
                "train.overfitting": st.booleans(),
                "prepare.note": st.text(max_size=20),
            },
        )
    )
    return context(
        *rows,
        attempts=draw(st.integers(1, 6)),
        max_attempts=draw(st.integers(1, 6)),
        facts=facts,
        space={key: SPACE[key] for key in keys},
        current={key: draw(st.floats(SPACE[key].low, SPACE[key].high)) for key in keys if not SPACE[key].integer}
        | {key: draw(st.integers(1, 40)) for key in keys if SPACE[key].integer},
    )


@settings(max_examples=200, deadline=None)
@given(contexts())
def test_every_decision_is_allowed_cited_and_inside_the_space(shown):
    made = decide(shown)
    assert made.action in LANE_ACTIONS[shown.verdict]
    assert (made.action is Action.ACCEPT) == (shown.verdict is Verdict.PASS)
    assert made.action is not Action.WAIVE
    check_overrides(made.proposed_overrides, shown.search_space, shown.current)
    assert (made.action is Action.RETRAIN) == bool(made.proposed_overrides)
    assert all(reason.evidence for reason in made.reasons)
    for statement in (*made.reasons, *made.risks):
        assert render(statement.text, made.evidence)
    if shown.verdict in (Verdict.FAIL, Verdict.BLOCKED) and shown.attempts >= shown.max_attempts:
        assert made.action is Action.ESCALATE
