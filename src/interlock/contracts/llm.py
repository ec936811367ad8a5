"""Language models: which ones agents may ask, in which order, and what they cost.

`llm.*` names models by short names; an agent's policy may give an order of its own. Prices stand in `conf/prices` and
name the model as its vendor does: a model without a price is never called.
"""

import re
from collections.abc import Mapping
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from interlock.contracts.base import Contract

_VISIBLE = re.compile(r"[!-~]+")


class NoModel(Contract):
    """No language model is asked; rules decide."""

    kind: Literal["none"]


class Model(Contract):
    """One model behind one endpoint."""

    provider: Literal["anthropic", "google", "openai_compatible"]
    """Wire protocol. Local servers (Ollama, vLLM, llama.cpp) speak `openai_compatible`."""
    model: Annotated[str, Field(min_length=1)]
    """Model id as the provider spells it, e.g. `claude-sonnet-5-5`."""
    base_url: str | None = None
    """Address of the endpoint, http or https, without credentials; null is the vendor's own."""
    key_env: Annotated[str, Field(pattern=r"^[A-Z_][A-Z0-9_]*$")] | None = None
    """Environment variable with the API key, in capitals; null where the endpoint wants none. The key itself is never
    configured: most of them hold small letters, and are refused here."""
    mode: Literal["tools", "json_schema", "json"] = "json_schema"
    """How the form of the answer is asked for: as the arguments of a tool that must be called (some models refuse
    that), by a schema that the provider holds the answer to, or as JSON by words alone."""
    context_tokens: Annotated[int, Field(ge=1024)]
    """Window of the model, answer included."""
    answer_tokens_max: Annotated[int, Field(ge=64)] = 2048
    """Longest answer. Models that think do so inside it."""
    temperature: Annotated[float, Field(ge=0.0, le=2.0)] | None = None
    """Sampling temperature; null sends none: several vendors' newer models refuse the setting."""
    timeout_s: Annotated[float, Field(gt=0.0)] = 60.0
    """For one request."""

    @field_validator("base_url")
    @classmethod
    def _is_an_address(cls, value: str | None) -> str | None:
        if value is None:
            return None
        parts = urlsplit(value)  # raises ValueError for addresses that are none, and so does the port
        if (
            parts.scheme not in ("http", "https")
            or not parts.hostname
            or parts.port == 0
            or not _VISIBLE.fullmatch(value)
        ):
            raise ValueError("the address of a model begins with http:// or https:// and names a host")
        if parts.username is not None or parts.password is not None or parts.query or parts.fragment:
            raise ValueError("the address of a model holds no credentials and no query; keys come from key_env")
        return value


class LanguageModels(Contract):
    """The models that may be asked."""

    kind: Literal["models"]
    models: Annotated[dict[Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")], Model], Field(min_length=1)]
    """By short name."""
    order: Annotated[tuple[str, ...], Field(min_length=1)]
    """Who is asked first, and who when that fails; for agents that give no order of their own."""
    mode: Literal["auto", "replay", "live"] = "auto"
    """`replay`: recorded answers alone, and a missing one is an error. `auto`: recorded ones, else the models, else
    rules. `live`: ask, whatever is recorded. DVC stages replay, whatever stands here."""
    sample: Annotated[int, Field(ge=1)] = 1
    """Part of the question's key: another number asks the same again and keeps both answers."""
    corrections_max: Annotated[int, Field(ge=0, le=2)] = 2
    """How often the faults of an answer go back to the model before the next one is asked."""
    retries_max: Annotated[int, Field(ge=0, le=3)] = 2
    """How often a request is sent again after a time-out, a rate limit or a server's failure."""

    @model_validator(mode="after")
    def _order_names_models(self) -> "LanguageModels":
        unknown = sorted(set(self.order) - set(self.models))
        if unknown:
            raise ValueError(f"order names {unknown}, which llm.models does not have: {sorted(self.models)}")
        return self


class Price(Contract):
    """What a model costs."""

    model: Annotated[str, Field(min_length=1)]
    """Model id as the provider spells it."""
    input_usd_per_million_tokens: Annotated[float, Field(ge=0.0)]
    output_usd_per_million_tokens: Annotated[float, Field(ge=0.0)]
    as_of: Annotated[str, Field(pattern=r"^\d{4}-\d{2}-\d{2}$")]
    """Day on which the price was read."""
    source: str
    """Where it was read."""


def by_model(prices: Mapping[str, Price]) -> dict[str, Price]:
    """Prices by model id. Raises ValueError for a model that has two."""
    found: dict[str, Price] = {}
    for name, price in prices.items():
        if price.model in found:
            raise ValueError(f"{price.model} has two prices; one is named {name}")
        found[price.model] = price
    return found
