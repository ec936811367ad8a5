"""Cards over the API: every fault at once, nobody unknown, nothing of another media type."""

import json

SUBMIT = "/api/managers/Dir-Models/submit"
CARD = {
    "id": "jc-1", "role": "director", "lane": "Models", "model_type": "query_tower", "task": "train",
    "acceptance": [{"check": "echo_loop>=0.82"}],
}  # fmt: skip


def test_every_fault_of_a_card_at_once(ask) -> None:
    wrong = CARD | {
        "lane": "Data",
        "taks": "x",
        "budget": {"compute_hours_max": -1},
        "acceptance": [{"check": "ech>1"}],
    }
    answer = ask.post(SUBMIT, json=wrong)
    assert answer.status_code == 422
    told = json.dumps(answer.json()["faults"])
    for word in ("lane", "taks", "compute_hours_max", "ech"):
        assert word in told
    assert ask.get("/api/jobs").json() == []


def test_a_manager_card_is_not_handed_in(ask) -> None:
    answer = ask.post(SUBMIT, json=CARD | {"role": "manager"})
    assert answer.status_code == 422
    assert "director" in json.dumps(answer.json())


def test_nobody_unknown_takes_cards(ask) -> None:
    answer = ask.post("/api/managers/Dir-Nobody/submit", json=CARD)
    assert answer.status_code == 404
    assert "Dir-Models" in answer.json()["detail"]


def test_a_card_is_yaml_or_json(ask) -> None:
    answer = ask.post(SUBMIT, content="id: x", headers={"Content-Type": "text/html"})
    assert answer.status_code == 415
    answer = ask.post(SUBMIT, content="id: [", headers={"Content-Type": "application/yaml"})
    assert answer.status_code == 422
    assert "line 1" in json.dumps(answer.json())


def test_an_unknown_job_is_not_found(ask) -> None:
    assert ask.get("/api/jobs/jc-nothing").status_code == 404


def test_where_the_configuration_is_kept_is_nobodys_business(ask, app) -> None:
    answer = ask.post(SUBMIT, json=CARD | {"hyperparameters": {"trainer": "adapter"}})
    assert answer.status_code == 422
    assert "conf/lane/query_tower.yaml" in answer.text
    assert str(app.state.settings.workspace) not in answer.text


def test_the_id_of_another_card_is_refused_without_saying_where_it_is(ask, app, monkeypatch) -> None:
    monkeypatch.setattr("interlock.runs.jobs.detached.start", lambda *_: None)
    assert ask.post(SUBMIT, json=CARD | {"prerequisites": [{"Dir-Data": "nowhere/yet"}]}).status_code == 202
    answer = ask.post(SUBMIT, json=CARD | {"task": "train something else"})
    assert answer.status_code == 422
    assert "belongs to another card" in answer.json()["detail"]
    assert str(app.state.home) not in answer.text
