"""The exit code of a release, and what an override of a decision may not change."""

from pathlib import Path

import pytest
from decision_worlds import Says, context, row
from hypothesis import given
from hypothesis import strategies as st

from interlock.commands.release import OPEN_KEYS, decision_experiment, exit_code
from interlock.contracts.decision import Action
from interlock.contracts.verdict import EXIT_CODES, Verdict
from interlock.decisions.actions import RELEASE_ACTIONS
from interlock.errors import ConfigError, ExitCode

ROOT = Path(__file__).resolve().parents[3]


def decided(verdict, action):
    return Says(action).decide(context(row("a", verdict), kind="release"))


@given(st.sampled_from([(verdict, action) for verdict, actions in RELEASE_ACTIONS.items() for action in actions]))
def test_nothing_but_a_go_ends_with_zero(pair):
    verdict, action = pair
    code = exit_code(decided(verdict, action))
    assert (code is ExitCode.PASS) is (action is Action.GO)
    assert verdict is Verdict.PASS or code is EXIT_CODES[verdict]


@pytest.mark.parametrize("override", ["seed=2", "lane.optimizer.lr=1", "+lane.x=1", "~agents.x.y", "hardware=cuda"])
def test_only_who_decides_and_how_may_be_overridden(override):
    is_open = override.lstrip("+~").partition(".")[0] in OPEN_KEYS
    told = "agents.x" if is_open else "is no part of a decision"
    with pytest.raises(ConfigError, match=told):
        decision_experiment(ROOT, "query_tower", [override])


def test_the_team_and_its_levels_can_be_overridden():
    changed = decision_experiment(
        ROOT, "query_tower", ["release.latency_p95_ms_max=20.0", "agents.executive_team.policy.proposal.go_min=3"]
    )
    assert changed.release.latency_p95_ms_max == 20.0
    assert changed.agents["executive_team"].policy.proposal.go_min == 3
