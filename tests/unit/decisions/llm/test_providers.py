"""What goes out to each provider, what the environment may not change, and what is loaded when."""

import logging
import os
import subprocess
import sys

import pytest
from llm_questions import GOOD, MESSAGES, question, wire
from llm_stand_ins import KEY, MODEL, PROVIDERS, good, malformed

from interlock.contracts.answer import Outcome
from interlock.decisions.llm import providers
from interlock.errors import ConfigError

FORM = ("action", "retrain", "escalate", "reasons", "evidence", "proposed_overrides", "confidence")
ELSEWHERE = "http://127.0.0.1:9"
PATHS = {
    "anthropic": "/v1/messages",
    "google": f"/v1beta/models/{MODEL}:generateContent",
    "openai_compatible": "/v1/chat/completions",
}


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("mode", ["tools", "json_schema", "json"])
def test_messages_schema_and_limits_go_out(vendors, provider, mode):
    vendors.script([good(GOOD)])
    answer = wire().ask(question(vendors.model(provider, mode=mode, temperature=0.25))).answer
    (seen,) = vendors.requests
    assert answer.outcome is Outcome.ANSWERED
    assert all(message.content in seen.text for message in MESSAGES)
    assert all(word in seen.text for word in FORM)
    assert (seen.wants_tool == "Proposal") == (mode == "tools")
    assert "1024" in seen.text
    assert "0.25" in seen.text
    assert MODEL in seen.text + seen.path


@pytest.mark.parametrize("provider", PROVIDERS)
def test_no_temperature_is_sent_where_none_is_set(vendors, provider):
    vendors.script([good(GOOD)])
    wire().ask(question(vendors.model(provider, temperature=None)))
    assert "temperature" not in vendors.requests[0].text


@pytest.mark.parametrize(
    ("provider", "marks"),
    [
        ("anthropic", ('"output_config"', '"json_schema"')),
        ("google", ('"responseSchema"', '"application/json"')),
        ("openai_compatible", ('"response_format"', '"json_schema"')),
    ],
)
def test_in_the_schema_mode_the_provider_holds_the_answer_to_the_form(vendors, provider, marks):
    vendors.script([good(GOOD)])
    wire().ask(question(vendors.model(provider, mode="json_schema")))
    assert all(mark in vendors.requests[0].text for mark in marks)


def test_the_vendors_filters_stay_on(vendors):
    vendors.script([good(GOOD)])
    wire().ask(question(vendors.model("google")))
    assert not vendors.requests[0].body.get("safetySettings")


@pytest.mark.parametrize("provider", PROVIDERS)
def test_vendors_are_told_nothing_of_this_machine(vendors, provider):
    vendors.script([good(GOOD)])
    wire().ask(question(vendors.model(provider)))
    headers = dict(vendors.requests[0].headers)
    needed = ("host", "accept", "content-type", "content-length", "accept-encoding", "connection", "anthropic-version")
    keys = ("authorization", "x-goog-api-key")
    assert [name for name in headers if name not in (*needed, *keys)] == []
    assert headers["accept-encoding"] == "identity"


@pytest.mark.parametrize("provider", PROVIDERS)
def test_the_environment_turns_nobody_elsewhere(vendors, provider, monkeypatch):
    for name in ("ANTHROPIC_BASE_URL", "OPENAI_BASE_URL", "GOOGLE_GEMINI_BASE_URL", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, ELSEWHERE)
    monkeypatch.delenv("NO_PROXY")
    monkeypatch.setenv("GOOGLE_GENAI_USE_VERTEXAI", "true")
    for name in ("ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_API_KEY", "OPENAI_API_KEY", "GOOGLE_API_KEY", "OPENAI_ADMIN_KEY"):
        monkeypatch.setenv(name, "sk-of-somebody-else-000000")  # pragma: allowlist secret
    monkeypatch.setenv("ANTHROPIC_CUSTOM_HEADERS", "x-proxy: somebody-else")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "authorization: Bearer somebody-else")
    monkeypatch.setenv("OPENAI_ORG_ID", "somebody-else")
    vendors.script([good(GOOD)])
    assert wire().ask(question(vendors.model(provider))).answer.outcome is Outcome.ANSWERED
    headers = vendors.requests[0].headers
    assert (vendors.requests[0].path, vendors.requests[0].query) == (PATHS[provider], "")
    assert "somebody-else" not in str(headers)
    assert KEY in str(headers)


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_missing_package_is_one_error_with_the_command(vendors, provider, monkeypatch):
    package = {"anthropic": "anthropic", "google": "jsonref", "openai_compatible": "openai"}[provider]
    monkeypatch.setitem(sys.modules, package, None)  # what `import` makes an ImportError of
    with pytest.raises(ConfigError, match=rf"needs the package {package}") as refused:
        wire().ask(question(vendors.model(provider)))
    assert refused.value.hint == "pip install 'interlock[llm]'"


def test_loggers_are_as_before_afterwards(vendors):
    names = ("instructor", "instructor.v2.retry", "openai", "httpx2")
    vendors.script([malformed()])
    wire().ask(question(vendors.model("openai_compatible")))
    assert not any(logging.getLogger(name).disabled for name in names)
    with providers.quiet():
        assert all(logging.getLogger(name).disabled for name in names)


def test_sdks_are_loaded_when_somebody_asks_and_not_before():
    code = """
import sys
import interlock.decisions.llm.wire, interlock.decisions.answers, interlock.decisions.budget
heavy = {"instructor", "openai", "anthropic", "google.genai", "httpx", "httpx2", "httpcore2"}
assert not heavy & set(sys.modules), heavy & set(sys.modules)
"""
    _runs(code)


def test_a_refused_question_loads_nothing():
    code = """
import sys
from llm_questions import ledger, question, wire
from interlock.contracts.llm import Model
model = Model(provider="anthropic", model="stand-in-1", key_env="STAND_IN_API_KEY", context_tokens=2000)
given = wire(ledger(calls=0)).ask(question(model))
assert given.answer.outcome == "over_budget", given
assert not {"instructor", "anthropic"} & set(sys.modules)
"""
    _runs(code)


def _runs(code):
    """In a process of its own, which sees what this one sees."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, env=environment)
    assert done.returncode == 0, done.stderr
