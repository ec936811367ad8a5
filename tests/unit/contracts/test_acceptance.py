"""The grammar of acceptance checks: closed, parsed, never evaluated."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.contracts.acceptance import NAMED_CHECKS, Comparison, NamedCheck, parse_check
from interlock.errors import UsageError


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "is empty"),
        ("   ", "is empty"),
        (">=0.8", "must begin with the name"),
        ("0.8<=r_at_5", "must begin with the name"),
        ("echo_loop>=", "needs a number after the comparison"),
        ("echo_loop>=high", "needs a number after the comparison"),
        ("echo_loop==0.8", "no place for '='"),
        ("echo_loop≥0.8", "write >="),
        ("echo_loop 0.8", "needs a comparison"),
        ("a and b", "needs a comparison"),
        ("0.5<r_at_5<0.9", "must begin with the name"),
        ("r_at_5>=0.5 r_at_10>=0.7", "one check per line"),
        ("__import__('os').system('x')", "no place for '_'"),
        ("f(1)", "no place for '('"),
        ("echo_loop>=0.8; rm", "no place for ';'"),
        ("echo_loop>=1e400", "too large"),
        ("echo_loop>=nan", "needs a number"),
        ("x" * 300, "longer than"),
    ],
)
def test_anything_else_is_refused_with_what_to_write(text, says):
    with pytest.raises(UsageError) as caught:
        parse_check(text)
    assert says in str(caught.value)
    assert caught.value.hint


@pytest.mark.parametrize(
    ("text", "metric", "operator", "target"),
    [
        ("echo_loop>=0.82", "echo_loop", ">=", 0.82),
        (" r_at_5 >= .5 ", "r_at_5", ">=", 0.5),
        ("loss<0.005", "training_loss_final", "<", 0.005),
        ("bm25.r_at_5<=1", "bm25.r_at_5", "<=", 1.0),
        ("x>-1e-3", "x", ">", -0.001),
    ],
)
def test_comparisons(text, metric, operator, target):
    check = parse_check(text)
    assert check == Comparison(text=text.strip(), metric=metric, operator=operator, target=target)
    assert check.is_at_least == (operator in (">", ">="))


@pytest.mark.parametrize("name", NAMED_CHECKS)
def test_named_checks(name):
    assert parse_check(name) == NamedCheck(text=name, name=name)


@given(st.text(max_size=60))
def test_every_text_is_a_check_or_a_clear_refusal(text):
    try:
        check = parse_check(text)
    except UsageError:
        return
    assert check.text == text.strip()


@given(st.sampled_from([">=", "<=", ">", "<"]), st.floats(-1e9, 1e9, allow_nan=False))
def test_numbers_survive_in_every_spelling(operator, target):
    check = parse_check(f"metric{operator}{target!r}")
    assert isinstance(check, Comparison)
    assert (check.operator, check.target) == (operator, target)
