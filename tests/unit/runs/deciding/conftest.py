"""Two archived runs of the toy lane that failed and were decided upon; every test gets a copy of the home."""

import shutil

import pytest
from toy_homes import ROOT, toy_run

from interlock.config.compose import compose_lane
from interlock.config.validate import validate
from interlock.contracts.answer import Answer, Call, Outcome, Usage
from interlock.decisions.answers import Answers, Auto
from interlock.registry.layout import run_folder
from interlock.runs.deciding import deciding
from interlock.runs.deciding.configured import of_experiment

PROPOSAL = {
    "action": "retrain",
    "reasons": [{"text": "{gate.accuracy.reason}: it is pulled aside", "evidence": ["gate.accuracy.reason"]}],
    "risks": [],
    "proposed_overrides": [{"key": "lane.optimizer.lr", "value": 0.125}],
    "confidence": "medium",
}
USAGE = Usage(calls=1, tokens_in=900, tokens_out=100, usd=0.0042, seconds=1.5)


class Scripted:
    """Stands for a live model: gives one proposal, or fails, and counts."""

    def __init__(self, proposal=PROPOSAL, outcome=Outcome.ANSWERED):
        self.proposal, self.outcome, self.asked = proposal, outcome, 0

    def ask(self, question):
        from interlock.decisions.answers import given_by

        self.asked += 1
        is_good = self.outcome is Outcome.ANSWERED
        return given_by(
            Answer(
                key=question.key,
                agent=question.agent,
                model=question.model_id,
                outcome=self.outcome,
                told="" if is_good else "it said so",
                proposal=self.proposal if is_good else None,
                calls=(Call(outcome=self.outcome, usage=USAGE),),
                asked_at=f"2026-03-01T10:00:{self.asked:02}+00:00",
            )
        )


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """`(home, run, earlier run)`."""
    folder = tmp_path_factory.mktemp("decided")
    earlier = toy_run(folder / "home", folder / "work1", "lane.model.value=0.05", "lane.optimizer.lr=0.25")
    return folder / "home", toy_run(folder / "home", folder / "work2", "lane.model.value=0.05"), earlier


@pytest.fixture
def home(made, tmp_path):
    shutil.copytree(made[0], tmp_path / "home", symlinks=True)
    return tmp_path / "home"


@pytest.fixture
def run(made):
    return made[1]


@pytest.fixture
def earlier(made):
    return made[2]


@pytest.fixture(scope="session")
def configured():
    return of_experiment(validate(compose_lane(ROOT / "conf", ["lane=toy"]), subject="lane toy"))


@pytest.fixture(scope="session")
def with_model():
    """The same with a model that nobody can reach."""
    overrides = ["lane=toy", "llm=openai_compatible", "llm.models.local.base_url=http://127.0.0.1:9/v1"]
    return of_experiment(validate(compose_lane(ROOT / "conf", overrides), subject="lane toy"))


@pytest.fixture
def model(home, run, monkeypatch):
    """A stand-in for the model, with the real record of answers around it."""
    scripted = Scripted()
    monkeypatch.setattr(deciding, "asker_of", lambda *known: Auto(Answers(run_folder(home, run) / "answers"), scripted))
    return scripted
