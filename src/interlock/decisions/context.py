"""What a policy is shown: built by code from a judgement, the stages' facts and the search space."""

from collections.abc import Mapping

from interlock.contracts.decision import DecisionContext, Number
from interlock.contracts.lane import Range
from interlock.contracts.verdict import Judgement
from interlock.decisions.actions import allowed_actions
from interlock.decisions.evidence import Value, gather


def build_context(
    judgement: Judgement,
    *,
    agent: str,
    facts: Mapping[str, Value],
    current: Mapping[str, Number],
    search_space: Mapping[str, Range],
    attempts: int,
    max_attempts: int,
    policy: str,
) -> DecisionContext:
    """The context of a decision on `judgement`.

    Args:
        judgement: What was judged.
        agent: Who decides.
        facts: Recorded facts as `<stage>.<fact>`. The rules look at `train.trend` (`improving`, `flat`, `rising` or
            `stalled`) and `train.overfitting` (a bool). Raises DecisionError for a name that is no stage's.
        current: Present values of the search space's keys.
        search_space: Keys that may be changed, with bounds.
        attempts: Judged runs of this lineage, this one included.
        max_attempts: From this many on a person is asked.
        policy: Name of who decides; a person has one action more.
    """
    return DecisionContext(
        agent=agent,
        run_id=judgement.run_id,
        judgement_id=judgement.judgement_id,
        lane=judgement.lane,
        verdict=judgement.verdict,
        rows=judgement.rows,
        current=dict(current),
        search_space=dict(search_space),
        attempts=attempts,
        max_attempts=max_attempts,
        allowed=allowed_actions(judgement.verdict, policy=policy),
        evidence=gather(judgement, facts=facts, current=current, attempts=attempts, max_attempts=max_attempts),
    )
