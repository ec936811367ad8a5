"""What conf/llm offers can be asked: it composes, has prices, and names keys by their variables."""

import pytest

from interlock.config.compose import compose_lane
from interlock.config.validate import validate
from interlock.contracts.llm import LanguageModels, by_model

CHOICES = ["anthropic", "fallback", "google", "openai_compatible"]


@pytest.fixture(scope="module")
def offered(repository):
    return {name: validate(compose_lane(repository / "conf", [f"llm={name}"]), subject=name) for name in CHOICES}


def test_every_file_is_looked_at(repository):
    assert sorted(path.stem for path in (repository / "conf" / "llm").glob("*.yaml")) == sorted([*CHOICES, "none"])


@pytest.mark.parametrize("name", CHOICES)
def test_every_model_has_a_price_and_may_be_afforded(offered, name):
    experiment = offered[name]
    assert isinstance(experiment.llm, LanguageModels)
    for model in experiment.llm.models.values():
        price = by_model(experiment.prices)[model.model]
        longest_usd = model.answer_tokens_max * price.output_usd_per_million_tokens / 1e6
        for agent in experiment.agents.values():
            if agent.budget.calls:
                assert longest_usd < agent.budget.usd / 3, "one answer and its corrections fit under the ceiling"
                assert model.answer_tokens_max < agent.budget.tokens / 3


def test_vendors_want_a_key_and_a_model_on_this_machine_none(offered):
    models = offered["fallback"].llm.models
    assert {name: model.key_env for name, model in models.items()} == {
        "sonnet": "ANTHROPIC_API_KEY",
        "sonnet_next": "ANTHROPIC_API_KEY",
        "gemini": "GEMINI_API_KEY",
        "gemini_next": "GEMINI_API_KEY",
        "local": None,
    }
    assert offered["fallback"].llm.order == ("sonnet", "sonnet_next", "gemini", "gemini_next", "local")
    assert (models["sonnet_next"].temperature, models["local"].temperature) == (None, 0.0)
