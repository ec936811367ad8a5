"""Who may ask, how much, and what a refusal looks like."""

import json

import pytest
from api_tokens import AGENT, PERSON, TOKENS
from hypothesis import given
from hypothesis import strategies as st

from interlock.api.limits import BODY_MAX_BYTES
from interlock.errors import UsageError
from interlock.registry.control.tokens import LENGTH_MIN, agent_token, token_path, tokens

OPEN = {"/api/health"}


def test_every_path_but_health_needs_a_token(app, ask) -> None:
    paths = app.openapi()["paths"]
    assert len(paths) > 8
    for path, methods in paths.items():
        for method in methods:
            answer = ask.request(method, path, headers={"Authorization": "Bearer wrong"})
            assert answer.status_code == (200 if path in OPEN else 401), (method, path)
            if path not in OPEN:
                assert answer.headers["www-authenticate"] == "Bearer"
                assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer ", f"Basic {AGENT}", f"Bearer {AGENT}x", f"Bearer {AGENT[:-1]}"]
)
def test_a_wrong_header_is_refused(ask, header: str) -> None:
    assert ask.get("/api/runs", headers={"Authorization": header}).status_code == 401


@given(st.text())
def test_only_the_two_tokens_are_known(text: str) -> None:
    known = TOKENS
    assert known.scope_of(text) == {AGENT: "agent", PERSON: "person"}.get(text)
    assert AGENT not in repr(known)


def test_tokens_are_made_once_and_are_the_owners_alone(tmp_path) -> None:
    made = tokens(tmp_path, {})
    assert tokens(tmp_path, {}) == made
    assert made.agent != made.person
    assert agent_token(tmp_path, {}) == made.agent
    assert all(token_path(tmp_path, scope).stat().st_mode & 0o777 == 0o600 for scope in ("agent", "person"))


def test_a_worker_makes_no_token(tmp_path) -> None:
    assert agent_token(tmp_path, {}) == ""
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "given",
    [
        {"INTERLOCK_CONTROL_TOKEN": "short"},
        {"INTERLOCK_CONTROL_TOKEN": "blank in it " * 3},
        {"INTERLOCK_APPROVER_TOKEN": "ü" * LENGTH_MIN},
        {"INTERLOCK_CONTROL_TOKEN": AGENT, "INTERLOCK_APPROVER_TOKEN": AGENT},
    ],
)
def test_weak_or_equal_tokens_are_refused(tmp_path, given: dict[str, str]) -> None:
    with pytest.raises(UsageError) as refused:
        tokens(tmp_path, given)
    assert refused.value.key in given
    assert AGENT not in str(refused.value)


def test_a_large_body_is_refused_whether_announced_or_not(ask) -> None:
    large = b'{"id": "' + b"x" * BODY_MAX_BYTES + b'"}'
    announced = ask.post("/api/resource-manager/release", content=large, headers={"Content-Type": "application/json"})

    def pieces():
        for start in range(0, len(large), 10_000):
            yield large[start : start + 10_000]

    streamed = ask.post("/api/resource-manager/release", content=pieces(), headers={"Content-Type": "application/json"})
    for answer in (announced, streamed):
        assert answer.status_code == 413
        assert "262,144" in answer.json()["detail"]


def test_faults_come_all_at_once(ask) -> None:
    answer = ask.post("/api/resource-manager/reserve", json={"amounts": {"cuda": -1}, "lease_s": "long", "extra": 1})
    assert answer.status_code == 422
    keys = {fault["key"] for fault in answer.json()["faults"]}
    assert {"amounts.cuda", "lease_s", "extra", "holder"} <= keys


def test_other_media_types_are_refused(ask) -> None:
    answer = ask.post("/api/resource-manager/release", content="id: x", headers={"Content-Type": "text/plain"})
    assert answer.status_code == 415
    assert "application/json" in answer.json()["detail"]


def test_unknown_runs_are_not_found(ask) -> None:
    assert ask.get("/api/runs/0123456789abcdef").status_code == 404
    assert ask.get("/api/registry/models/nobody").status_code == 404


def test_a_mistyped_query_parameter_is_refused(ask) -> None:
    answer = ask.get("/api/runs", params={"limt": 5})
    assert answer.status_code == 422
    assert "'limt'" in answer.json()["detail"]
    assert "limit" in answer.json()["detail"]


def test_a_wrong_filter_says_what_is_known(ask) -> None:
    answer = ask.get("/api/runs", params={"filter": "verdikt=pass"})
    assert answer.status_code == 422
    assert "verdict" in json.dumps(answer.json())


@pytest.mark.parametrize(
    ("query", "said"), [("stat=granted", "no such query parameter"), ("state=granted&state=denied", "stands twice")]
)
def test_a_mistyped_or_repeated_query_is_refused(ask, query: str, said: str) -> None:
    answer = ask.get(f"/api/approvals?{query}")
    assert answer.status_code == 422
    assert said in answer.json()["detail"]
