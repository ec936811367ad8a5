"""The tables of failures, the pauses, and what is told."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.contracts.answer import Outcome
from interlock.decisions.llm import failures

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
KEY = "sk-of-this-test-0123456789"  # pragma: allowlist secret


def test_no_failure_is_both_corrected_and_retried():
    assert not failures.CORRECTED & failures.RETRIED
    assert Outcome.ANSWERED not in failures.CORRECTED | failures.RETRIED


@pytest.mark.parametrize(
    ("outcome", "status", "billed"),
    [
        ("unreachable", None, False), ("timeout", None, True), ("timeout", 408, True), ("too_large", 200, True),
        ("server_error", None, True), ("server_error", 200, True), ("server_error", 500, False),
        ("rate_limited", 429, False), ("rejected", 400, False), ("malformed", 200, True), ("answered", 200, True),
    ],
)  # fmt: skip
def test_what_may_have_cost_something_is_booked(outcome, status, billed):
    assert failures.is_billed(Outcome(outcome), status) == billed


@given(st.integers(100, 999))
def test_every_status_but_success_is_a_failure(status):
    assert (failures.status_outcome(status) is None) == (200 <= status < 300)


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (200, None), (302, "rejected"), (400, "rejected"), (401, "rejected"), (404, "rejected"), (408, "timeout"),
        (413, "rejected"), (429, "rate_limited"), (500, "server_error"), (503, "server_error"), (529, "server_error"),
    ],
)  # fmt: skip
def test_statuses(status, outcome):
    assert failures.status_outcome(status) == outcome


@given(st.integers(0, 20), st.floats(0, 1))
def test_pauses_grow_up_to_the_longest(retry, jitter):
    pause = failures.pause_s(retry, asked_s=None, jitter=jitter)
    assert failures.PAUSE_FIRST_S / 2 <= pause <= failures.PAUSE_MAX_S


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("7", 7.0), (" 1.5 ", 1.5), ("0", 0.0), ("", None), ("soon", None), ("-3", None), ("1e9", None),
        ("1.2.3", None), ("²", None), ("٣", None), ("inf", None), ("nan", None),
        ("Sat, 21 Nov 2026 12:00:30 GMT", 30.0),
        ("Sat, 21 Nov 2026 11:00:00 GMT", 0.0),
        ("Sat, 21 Nov 2026 12:00:30", None),
        ("Sat, 99 Nov 2026 12:00:30 GMT", None),
    ],
)  # fmt: skip
def test_retry_after(header, seconds):
    assert failures.retry_after_s(header, NOW) == seconds


@given(st.text())
def test_no_header_breaks_it(header):
    seconds = failures.retry_after_s(header, NOW)
    assert seconds is None or 0 <= seconds <= timedelta(days=10**7).total_seconds() * 10**6


@given(st.text(), st.text())
def test_what_is_told_is_one_short_printable_line_without_the_key(before, after):
    told = failures.one_line(f"{before} {KEY} {after}", key=KEY)
    assert told == "" or told.isprintable()
    assert len(told) <= failures.TOLD_CHARACTERS
    assert KEY not in told


@given(st.text(), st.lists(st.text(), max_size=50))
def test_corrections_are_messages_that_every_vendor_takes(words, faults):
    said, told = failures.correction(words, faults)
    assert (said.role, told.role) == ("assistant", "user")
    assert said.content.strip()
    assert len(said.content) <= failures.WORDS_MAX + 10
    assert told.content.count("\n") <= failures.FAULTS_MAX + 2
    said.content.encode()


def test_a_correction_reads_like_this():
    _, told = failures.correction("{}", ["action: Field required", "reasons: say why"])
    assert told.content == (
        "That answer was not accepted:\n- action: Field required\n- reasons: say why\n"
        "Answer again, in full and in the form asked for."
    )
