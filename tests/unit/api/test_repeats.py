"""Idempotency keys: the same request once, another one refused, a lost server's claim taken over."""

import hashlib

import pytest

from interlock.registry.control.idempotency import KEPT_S, Answer, Claim, claim, give_up, keep
from interlock.registry.control.processes import this_process
from interlock.registry.control.store import ControlStore

RESERVE = "/api/resource-manager/reserve"


def wanted(amount: float = 1.0) -> dict:
    return {"amounts": {"cuda": amount}, "holder": this_process(run="r1").model_dump()}


def test_a_reservation_is_made_once(ask) -> None:
    first = ask.post(RESERVE, json=wanted(), headers={"Idempotency-Key": "one"})
    again = ask.post(RESERVE, json=wanted(), headers={"Idempotency-Key": "one"})
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json() == again.json()
    assert again.headers["idempotency-replayed"] == "true"
    assert len(ask.get("/api/resource-manager").json()["standing"]) == 1


def test_the_word_bearer_is_read_in_any_case(ask, app) -> None:
    given = {"Idempotency-Key": "one", "Authorization": "bearer agent-token-of-the-tests-1"}
    first = ask.post(RESERVE, json=wanted(), headers=given)
    again = ask.post(RESERVE, json=wanted(), headers={"Idempotency-Key": "one"})
    assert first.json() == again.json(), "one caller, however it spells it"


def test_a_key_belongs_to_one_request(ask) -> None:
    ask.post(RESERVE, json=wanted(), headers={"Idempotency-Key": "one"})
    other = ask.post(RESERVE, json=wanted(0.5), headers={"Idempotency-Key": "one"})
    assert other.status_code == 422
    assert "another request" in other.json()["detail"]


def test_a_refusal_can_be_tried_again_under_its_key(ask) -> None:
    held = ask.post(RESERVE, json=wanted()).json()
    assert ask.post(RESERVE, json=wanted(), headers={"Idempotency-Key": "two"}).status_code == 409
    ask.post("/api/resource-manager/release", json={"id": held["id"]})
    assert ask.post(RESERVE, json=wanted(), headers={"Idempotency-Key": "two"}).status_code == 201


@pytest.mark.parametrize("key", ["", "x" * 201, "with blank"])
def test_a_wrong_key_is_refused(ask, key: str) -> None:
    assert ask.post(RESERVE, json=wanted(), headers={"Idempotency-Key": key}).status_code == 400


def test_keys_of_strangers_are_not_written_down(ask, app) -> None:
    refused = ask.post(RESERVE, json=wanted(), headers={"Idempotency-Key": "one", "Authorization": "Bearer wrong"})
    assert refused.status_code == 401
    with app.state.store.reading() as database:
        assert database.execute("SELECT count(*) FROM answers").fetchone()[0] == 0


@pytest.fixture
def store(tmp_path):
    with ControlStore(tmp_path) as opened:
        yield opened


def asked(store, *, body: str = "a", owner: str = "server-1", now_s: float = 1000.0):
    return claim(store, "key", request_sha256=hashlib.sha256(body.encode()).hexdigest(), owner=owner, now_s=now_s)


def test_the_life_of_a_key(store) -> None:
    assert asked(store) is Claim.OURS
    assert asked(store) is Claim.BUSY
    assert asked(store, body="b") is Claim.MISUSED
    assert asked(store, owner="server-2") is Claim.OURS, "the first server is gone"
    keep(store, "key", Answer(201, b"{}"))
    assert asked(store, owner="server-3") == Answer(201, b"{}")
    assert asked(store, body="b") is Claim.MISUSED
    assert asked(store, now_s=1000.0 + KEPT_S + 1) is Claim.OURS, "forgotten after a day"


def test_giving_up_frees_a_claim_but_no_answer(store) -> None:
    asked(store)
    give_up(store, "key")
    assert asked(store) is Claim.OURS
    keep(store, "key", Answer(200, b"done"))
    give_up(store, "key")
    assert asked(store) == Answer(200, b"done")
