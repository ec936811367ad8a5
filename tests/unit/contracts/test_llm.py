"""What a language model's configuration may not hold."""

import pytest
from pydantic import ValidationError

from interlock.contracts.llm import LanguageModels, Model, Price, by_model

BASE = {"provider": "openai_compatible", "model": "m", "context_tokens": 2000}


@pytest.mark.parametrize(
    "address",
    ["http://127.0.0.1:11434/v1", "https://models.example", "http://[::1]:8000/v1", "https://host/a/b/"],
)
def test_addresses_of_models(address):
    assert Model(**BASE, base_url=address).base_url == address


@pytest.mark.parametrize(
    "address",
    [
        "", "localhost:11434", "ftp://host/v1", "file:" + "///etc/passwd", "http://", "https:///v1", "unix:/run/sock",
        "http://user:secret@host/v1",  # pragma: allowlist secret
        "http://host/v1?key=abc", "http://host/v1#key", "http://host:99999/v1",
        "http://host:0/v1",
        "http://a host/v1", "http://host\n/v1", "http://host/v1\n", "http://[::1/v1", "HTTP//host", "//host/v1",
    ],
)  # fmt: skip
def test_what_is_no_address_of_a_model(address):
    with pytest.raises(ValidationError):
        Model(**BASE, base_url=address)


@pytest.mark.parametrize(
    "name", ["sk-ant-REDACTED", "AIzaREDACTED", "sk_live_REDACTED", "", "A KEY", "1KEY", "KEY\n", "$KEY"]
)
def test_a_key_itself_is_no_name_of_a_variable(name):
    with pytest.raises(ValidationError):
        Model(**BASE, key_env=name)


def test_the_order_names_models_that_are_there():
    with pytest.raises(ValidationError, match="order names"):
        LanguageModels(kind="models", models={"local": Model(**BASE)}, order=("local", "cloud"))


def test_a_model_has_one_price():
    price = Price(
        model="m", input_usd_per_million_tokens=1.0, output_usd_per_million_tokens=2.0, as_of="2026-01-01", source="x"
    )
    assert by_model({"one": price}) == {"m": price}
    with pytest.raises(ValueError, match="m has two prices; one is named other"):
        by_model({"one": price, "other": price})
