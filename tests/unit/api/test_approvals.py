"""Approvals over the API: people alone say yes, and only to what is there and needs it."""

import shutil

from api_tokens import PERSON
from toy_homes import toy_run

from interlock.contracts.approval import Need
from interlock.registry.approving import ask as ask_person

RUN = "0123456789abcdef"
PEOPLE = {"Authorization": f"Bearer {PERSON}"}
GRANT = {"subject": RUN, "purpose": "cluster_time", "by": "Ada", "reason": "the sweep is worth it"}
NEED = Need(
    purpose="cluster_time", scope={"estimated_hours": 6.0}, because="an estimate of 6 h on GPUs is more than 4 h"
)


def test_an_agents_token_cannot_say_yes(ask) -> None:
    for path in ("grant", "deny"):
        answer = ask.post(f"/api/approvals/{path}", json=GRANT)
        assert answer.status_code == 403
        assert "an agent cannot" in answer.json()["detail"]


def test_nobody_approves_what_nobody_asked(ask) -> None:
    answer = ask.post("/api/approvals/grant", json=GRANT, headers=PEOPLE)
    assert answer.status_code == 422
    assert "no such run or model" in answer.json()["detail"]


def test_a_request_is_answered_and_shown(ask, app) -> None:
    ask_person(app.state.home, NEED, subject=RUN, lane="toy", run=RUN)
    (waiting,) = ask.get("/api/approvals", params={"state": "requested"}).json()
    assert waiting["scope"] == {"estimated_hours": 6.0}
    assert ask.post("/api/approvals/grant", json=GRANT | {"by": "dir_models"}, headers=PEOPLE).status_code == 422
    granted = ask.post("/api/approvals/grant", json=GRANT, headers=PEOPLE)
    assert (granted.status_code, granted.json()["state"]) == (200, "granted")
    assert ask.get("/api/approvals", params={"state": "requested"}).json() == []
    denied = ask.post("/api/approvals/deny", json=GRANT, headers=PEOPLE)
    assert denied.json()["state"] == "denied"
    again = ask.post("/api/approvals/deny", json=GRANT, headers=PEOPLE)
    assert again.status_code == 409


def test_other_bytes_than_those_that_were_looked_at_are_a_conflict(ask, app, tmp_path_factory) -> None:
    made = tmp_path_factory.mktemp("made")
    run = toy_run(made / "home", made / "work")
    shutil.copytree(made / "home", app.state.home, dirs_exist_ok=True)
    release = GRANT | {"subject": run, "purpose": "first_release", "digest": "00000000"}
    answer = ask.post("/api/approvals/grant", json=release, headers=PEOPLE)
    assert answer.status_code == 409
    assert "another digest" in answer.json()["detail"]
    (app.state.home / "runs" / run / "models" / "model.safetensors").write_bytes(b"other")
    answer = ask.post("/api/approvals/grant", json=release | {"digest": ""}, headers=PEOPLE)
    assert answer.status_code == 409
    assert "does not verify" in answer.json()["detail"]
    assert str(app.state.home) not in answer.text
