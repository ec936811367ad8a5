"""What a drive has spent: nothing that was paid for is forgotten, whether or not a decision came of it."""

import pytest

from interlock.contracts.answer import Answer, Call, Outcome, Usage
from interlock.contracts.decision import Action
from interlock.contracts.drive import DrivenAttempt, DrivenDecision, DrivePath, DriveRecord, DriveState
from interlock.errors import RegistryError
from interlock.provenance.files import write_json
from interlock.runs.drive.asking import spent_by

RUN, KEY = "0123456789abcdef", "c" * 64
BEGUN, BEFORE, SINCE = "2026-03-01T10:00:00+00:00", "2026-03-01T09:59:59+00:00", "2026-03-01T10:00:07+00:00"
ASKED = Usage(calls=2, tokens_in=900, tokens_out=100, usd=0.5, seconds=3.0)


def path_with(usage):
    decision = DrivenDecision(
        decision_id="d" * 64, action=Action.RETRAIN, policy="llm", reasons=("so",), confidence="low", usage=usage
    )
    record = DriveRecord(id="0" * 12, name="n", lane="toy", command=(), asked={}, begun_at=BEGUN)
    attempts = (DrivenAttempt(attempt=1, run_id=RUN, decisions=(decision,)), DrivenAttempt(attempt=2))
    return DrivePath(record=record, state=DriveState.JUDGED, attempts=attempts, attempts_max=4, updated_at=BEGUN)


def answered(home, number, asked_at, outcome=Outcome.TIMEOUT):
    answer = Answer(
        key=KEY, agent="dir_toy", model="p/m", outcome=outcome, calls=(Call(outcome=outcome, usage=ASKED),),
        asked_at=asked_at,
    )  # fmt: skip
    path = home / "runs" / RUN / "answers" / KEY / f"{number:03d}.json"
    write_json(path, answer)
    return path


def test_an_answer_that_no_decision_cites_was_paid_for(tmp_path):
    answered(tmp_path, 1, SINCE)
    answered(tmp_path, 2, SINCE, Outcome.ANSWERED)
    assert spent_by(tmp_path, path_with(ASKED)) == ASKED + ASKED


def test_what_was_asked_before_the_drive_counts_where_a_decision_rests_on_it(tmp_path):
    answered(tmp_path, 1, BEFORE)
    assert spent_by(tmp_path, path_with(Usage())) == Usage()
    assert spent_by(tmp_path, path_with(ASKED)) == ASKED


def test_an_answer_that_cannot_be_read_is_an_error_and_not_free(tmp_path):
    answered(tmp_path, 1, SINCE).write_text("{}")
    with pytest.raises(RegistryError, match="not valid"):
        spent_by(tmp_path, path_with(ASKED))
