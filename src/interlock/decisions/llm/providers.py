"""The real clients: instructor over the vendors' own SDKs, by provider and mode, each over a `Line` of ours.

    ask = connect(model, key, line)
    form = ask(messages, Form)                  # one request; raises whatever instructor and the SDK raise

Retries of instructor and of the SDKs are off, addresses and keys are given explicitly (variables like
ANTHROPIC_BASE_URL or GOOGLE_API_KEY would turn the key to somebody else), nothing is logged, and no vendor's tracing
or proxies are used. The SDKs are imported here, when the first question is asked. Does not judge what comes back.
"""

import json
import logging
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from interlock.contracts.answer import Message
from interlock.contracts.llm import Model
from interlock.decisions.llm.exchange import Line
from interlock.errors import ConfigError, Fault

if TYPE_CHECKING:
    import httpx2

Ask = Callable[[Sequence[Message], type[BaseModel]], BaseModel]
"""(messages, form) -> the form, filled in."""

ADDRESSES: Mapping[str, str] = MappingProxyType(
    {
        "anthropic": "https://api.anthropic.com",
        "google": "https://generativelanguage.googleapis.com",
        "openai_compatible": "https://api.openai.com/v1",
    }
)
"""The vendors' own, where a model names none."""
NO_KEY = "none"
"""SDKs insist on a key; servers that want none look at none."""

_MODES: Mapping[tuple[str, str], str] = MappingProxyType(
    {
        ("anthropic", "tools"): "TOOLS",
        # instructor's own JSON_SCHEMA needs an argument that the SDK no longer has; the schema goes along below.
        ("anthropic", "json_schema"): "JSON",
        ("anthropic", "json"): "JSON",
        ("google", "tools"): "TOOLS",
        ("google", "json_schema"): "JSON",  # this one sends the schema along
        ("google", "json"): "JSON",
        ("openai_compatible", "tools"): "TOOLS",
        ("openai_compatible", "json_schema"): "JSON_SCHEMA",
        (
            "openai_compatible",
            "json",
        ): "MD_JSON",  # for servers that know of no forms: words, and JSON found between words
    }
)
_PACKAGES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"anthropic": ("anthropic",), "google": ("google.genai", "jsonref"), "openai_compatible": ("openai",)}
)
_LOUD = ("instructor", "openai", "anthropic", "google_genai", "google", "httpx2", "httpcore2", "httpx", "httpcore")
_FOR_GOOGLE = MappingProxyType({"assistant": "model"})


def api_key(model: Model, environment: Mapping[str, str]) -> str | None:
    """The key from the environment, NO_KEY where none is wanted, None where it is missing or fits into no header."""
    if model.key_env is None:
        return NO_KEY
    key = environment.get(model.key_env, "").strip()
    return key if key.isascii() and key.isprintable() and key and " " not in key else None


def connect(model: Model, key: str, line: Line) -> Ask:
    """A way to ask this model. Raises ConfigError when the provider's package is not installed."""
    _require(model.provider)
    with quiet():
        return _CLIENTS[model.provider](model, key, line)


@contextmanager
def quiet() -> Iterator[None]:
    """No log lines and warnings of the SDKs: instructor prints every failure, and what matters is in the answer."""
    known = [name for name in list(logging.root.manager.loggerDict) if name.split(".")[0] in _LOUD]
    # Switched off one by one: a level would empty the caches of all loggers, three milliseconds each time.
    before = {logger: logger.disabled for logger in map(logging.getLogger, known)}
    try:
        for logger in before:
            logger.disabled = True
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, was_disabled in before.items():
            logger.disabled = was_disabled


def _require(provider: str) -> None:
    import importlib

    for package in ("instructor", "httpx2", *_PACKAGES[provider]):
        try:
            with quiet():
                importlib.import_module(package)
        except ImportError as error:
            fault = Fault(
                key="llm.models.*.provider", problem=f"needs the package {package}: {error.msg}", value=provider
            )
            raise ConfigError([fault], subject="language model", hint="pip install 'interlock[llm]'") from error


def _http(model: Model, line: Line) -> "httpx2.Client":
    import httpx2

    transport: Any = line  # httpx2 asks for the methods, not for its base class, which cannot be imported up there
    return httpx2.Client(transport=transport, trust_env=False, follow_redirects=False, timeout=model.timeout_s)


def _openai_compatible(model: Model, key: str, line: Line) -> Ask:
    import instructor
    import openai

    address = model.base_url or ADDRESSES[model.provider]
    client = openai.OpenAI(
        api_key=key, base_url=address, max_retries=0, timeout=model.timeout_s, http_client=_http(model, line)
    )
    asking: Any = instructor.from_openai(client, mode=_mode(model))
    # The vendor's newer models take only the newer name, other servers know only the older one.
    limit = "max_tokens" if model.base_url else "max_completion_tokens"

    def ask(messages: Sequence[Message], form: type[BaseModel]) -> BaseModel:
        found: BaseModel = asking.create(
            response_model=form,
            messages=[message.model_dump() for message in messages],
            max_retries=0,
            model=model.model,
            **{limit: model.answer_tokens_max},
            **_sampling(model),
        )
        return found

    return ask


def _anthropic(model: Model, key: str, line: Line) -> Ask:
    import anthropic
    import instructor

    address = model.base_url or ADDRESSES[model.provider]
    client = anthropic.Anthropic(
        api_key=key, base_url=address, max_retries=0, timeout=model.timeout_s, http_client=_http(model, line)
    )
    asking: Any = instructor.from_anthropic(client, mode=_mode(model))

    def ask(messages: Sequence[Message], form: type[BaseModel]) -> BaseModel:
        found: BaseModel = asking.create(
            response_model=form,
            messages=[message.model_dump() for message in messages],
            max_retries=0,
            model=model.model,
            max_tokens=model.answer_tokens_max,
            extra_body=_sampling(model),  # the SDK has no argument for it any more, the protocol still has
            **_held_to(form, model),
        )
        return found

    return ask


def _google(model: Model, key: str, line: Line) -> Ask:
    import ssl

    import httpx2
    import instructor
    from google import genai
    from google.genai import types

    # Without these two the SDK makes an asynchronous client and a socket's context, and reads certificates for each.
    unused: Any = line
    untrusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # trusts nobody; the line brings its own
    options = types.HttpOptions(
        base_url=model.base_url or ADDRESSES[model.provider],
        api_version="v1beta",
        httpx_client=_http(model, line),
        httpx_async_client=httpx2.AsyncClient(transport=unused, trust_env=False),
        async_client_args={"ssl": untrusting},
    )
    client = genai.Client(vertexai=False, api_key=key, http_options=options)
    asking: Any = instructor.from_genai(client, mode=_mode(model))

    def ask(messages: Sequence[Message], form: type[BaseModel]) -> BaseModel:
        turns = [message for message in messages if message.role != "system"]
        found: BaseModel = asking.create(
            response_model=_through_json(form) if model.mode == "tools" else form,
            messages=[{"role": _FOR_GOOGLE.get(turn.role, turn.role), "content": turn.content} for turn in turns],
            max_retries=0,
            model=model.model,
            # Given apart: instructor refuses system messages with braces, which a measurement's name may have.
            system="\n\n".join(message.content for message in messages if message.role == "system") or None,
            generation_config={"max_tokens": model.answer_tokens_max, **_sampling(model)},
            safety_settings=[],  # instructor's default turns the vendor's filters off
        )
        return found

    return ask


_CLIENTS: Mapping[str, Callable[[Model, str, Line], Ask]] = MappingProxyType(
    {"openai_compatible": _openai_compatible, "anthropic": _anthropic, "google": _google}
)


def _sampling(model: Model) -> dict[str, Any]:
    return {} if model.temperature is None else {"temperature": model.temperature}


def _held_to(form: type[BaseModel], model: Model) -> dict[str, Any]:
    """Anthropic's structured outputs: the provider lets no other JSON through."""
    import anthropic

    if model.mode != "json_schema":
        return {}
    return {"output_config": {"format": {"type": "json_schema", "schema": anthropic.transform_schema(form)}}}


def _mode(model: Model) -> Any:
    import instructor

    return instructor.Mode[_MODES[model.provider, model.mode]]


def _through_json(form: type[BaseModel]) -> type[BaseModel]:
    """The form, validated from JSON text as with the other providers.

    instructor validates Gemini's arguments as Python objects, where strict forms refuse lists for tuples.
    """

    def model_validate(cls: type[BaseModel], /, obj: Any, **options: Any) -> BaseModel:
        return cls.model_validate_json(json.dumps(obj), **options)

    body = {"model_validate": classmethod(model_validate), "__module__": form.__module__, "__doc__": form.__doc__}
    metaclass: Any = type(form)
    made: type[BaseModel] = metaclass(form.__name__, (form,), body)
    return made
