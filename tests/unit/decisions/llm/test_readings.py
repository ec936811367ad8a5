"""What is read from bodies: exact small ones of each protocol, and nothing breaks over any other."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from llm_stand_ins import PROVIDERS

from interlock.contracts.answer import Outcome
from interlock.decisions.llm.readings import Reading, provider_message, read

WORDS = """
choices message content refusal tool_calls function arguments finish_reason usage prompt_tokens completion_tokens
stop_reason input_tokens output_tokens text type tool_use input candidates parts functionCall args finishReason
usageMetadata promptTokenCount candidatesTokenCount thoughtsTokenCount promptFeedback blockReason error
cache_read_input_tokens thought
"""
NAMES = st.sampled_from(WORDS.split())
LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | NAMES
ANYTHING = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=5))


@given(st.sampled_from(PROVIDERS), ANYTHING)
def test_nothing_breaks_over_any_json(provider, data):
    body = json.dumps(data).encode()
    reading = read(provider, body)
    assert reading.outcome is not Outcome.ANSWERED
    assert reading.tokens is None or (reading.tokens[0] > 0 and reading.tokens[1] >= 0)
    assert isinstance(provider_message(body), str)


@given(st.sampled_from(PROVIDERS), st.binary(max_size=50))
def test_nothing_breaks_over_any_bytes(provider, body):
    assert isinstance(read(provider, body), Reading)
    assert isinstance(provider_message(body), str)


def test_a_number_of_many_digits_is_no_json_to_us():
    assert read("google", b'{"a": ' + b"9" * 100_000 + b"}").outcome is Outcome.SERVER_ERROR


@pytest.mark.parametrize(
    ("provider", "data", "expected"),
    [
        (
            "openai_compatible",
            {"choices": [{"message": {"content": "hi"}, "finish_reason": "stop"}], "usage": {"prompt_tokens": 3}},
            Reading(words="hi"),
        ),
        (
            "openai_compatible",
            {"choices": [{"message": {"content": "hi"}, "finish_reason": "content_filter"}]},
            Reading(
                outcome=Outcome.REFUSED,
                told="the model or its provider declined to answer (content_filter)",
                words="hi",
            ),
        ),
        (
            "anthropic",
            {
                "content": [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "hi"}],
                "stop_reason": "end_turn",
                "usage": {"input_tokens": 3, "output_tokens": 4, "cache_read_input_tokens": 10},
            },
            Reading(words="hi", tokens=(13, 4)),
        ),
        (
            "anthropic",
            {"content": [{"type": "tool_use", "input": {"a": 1}}], "stop_reason": "model_context_window_exceeded"},
            Reading(
                outcome=Outcome.TRUNCATED,
                told="the answer ended at the limit of its length (model_context_window_exceeded)",
                words='{"a": 1}',
            ),
        ),
        (
            "google",
            {
                "candidates": [{"content": {"parts": [{"text": "hm", "thought": True}, {"text": "hi"}]}}],
                "usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 4, "thoughtsTokenCount": 100},
            },
            Reading(words="hi", tokens=(3, 104)),
        ),
        (
            "google",
            {"promptFeedback": {"blockReason": "OTHER"}, "usageMetadata": {"promptTokenCount": 3}},
            Reading(outcome=Outcome.REFUSED, told="the provider blocked the prompt: OTHER", tokens=(3, 0)),
        ),
        (
            "google",
            {"candidates": [{"finishReason": "MALFORMED_FUNCTION_CALL"}]},
            Reading(
                outcome=Outcome.MALFORMED,
                told="the model called the form in a way that its provider could not read (MALFORMED_FUNCTION_CALL)",
            ),
        ),
    ],
)
def test_bodies_of_the_protocols(provider, data, expected):
    assert read(provider, json.dumps(data).encode()) == expected


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b'{"error": {"message": "no such model"}}', "no such model"),
        (b'[{"error": {"message": "no such model"}}]', "no such model"),
        (b'{"error": "no such model"}', "no such model"),
        (b'{"message": "no such model"}', "no such model"),
        (b'{"error": {"message": 7}}', ""),
        (b"[]", ""),
        (b"<html>", ""),
    ],
)
def test_words_of_a_vendor_about_an_error(body, told):
    assert provider_message(body) == told
