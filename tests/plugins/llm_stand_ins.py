"""Stand-ins for language models: one real HTTP server on loopback that speaks the three vendors' protocols.

    with StandIns() as vendors:
        vendors.script([malformed(), good({"action": "escalate", ...})])
        model = vendors.model("anthropic")          # an interlock.contracts.llm.Model that points here
        ...
        assert vendors.requests[0].provider == "anthropic"

Chat completions of OpenAI (tools, response_format), /v1/messages of Anthropic (tool_use), :generateContent of Gemini
(functionCall, JSON parts). Replies come in the order of the script and its last one repeats; a function of the request
may stand for the script. Without a script the server answers 500. Knows nothing of Interlock but the Model contract,
streams nothing and checks no keys: tests look at `requests`.
"""

import asyncio
import json
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from typing import Any

import uvicorn

from interlock.contracts.llm import Model

PROVIDERS = ("anthropic", "google", "openai_compatible")
KEY_ENV = "STAND_IN_API_KEY"
KEY = "sk-stand-in-0123456789abcdef"  # pragma: allowlist secret
MODEL = "stand-in-1"
TOKENS = (120, 30)
"""What a reply says it took, in and out, unless it says something else."""


@dataclass(frozen=True, kw_only=True)
class Reply:
    """One scripted answer; the functions below make them."""

    kind: str = "good"
    data: Any = None
    """The form's JSON, delivered as the protocol delivers it (tool arguments or text)."""
    text: str | None = None
    """Plain words instead: no tool is called. In JSON modes this is the content itself."""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    delay_s: float = 0.0
    body: bytes | None = None
    """The whole HTTP body, whatever the protocol."""
    repeat: int = 1
    """How often `body` is sent, chunk by chunk."""
    pause_s: float = 0.0
    """Wait after each chunk of the body."""
    ended: str = "stop"
    """`stop`, `length`, `refusal`, `blocked` (the prompt itself, Gemini alone knows that) or `empty`."""
    tokens: Any = TOKENS
    """(in, out) as reported; None reports nothing."""


def good(data: Mapping[str, Any], **changes: Any) -> Reply:
    """The form, filled in with `data`."""
    return Reply(data=dict(data), **changes)


def schema(data: Any = None, **changes: Any) -> Reply:
    """JSON of another form."""
    return Reply(kind="schema", data={"verdict": "great", "score": 11} if data is None else data, **changes)


def malformed(text: str = '{"action": "accept", "reasons": [', **changes: Any) -> Reply:
    """Words that are no JSON."""
    return Reply(kind="malformed", text=text, **changes)


def says(text: str, **changes: Any) -> Reply:
    """Arbitrary words; also JSON as plain text, or injected instructions."""
    return Reply(kind="text", text=text, **changes)


def refusal(text: str = "I cannot help with that.", **changes: Any) -> Reply:
    """The model declines: `refusal` of OpenAI, stop_reason of Anthropic, SAFETY of Gemini."""
    return Reply(kind="refusal", text=text, ended="refusal", **changes)


def blocked(**changes: Any) -> Reply:
    """The provider's filter stops it: content_filter, refusal without words, blockReason of the prompt."""
    return Reply(kind="blocked", ended="blocked", **changes)


def empty(**changes: Any) -> Reply:
    """A well-formed response without any content."""
    return Reply(kind="empty", ended="empty", **changes)


def truncated(text: str = '{"action": "acc', **changes: Any) -> Reply:
    """The limit of the output was reached."""
    return Reply(kind="truncated", text=text, ended="length", **changes)


def slow(seconds: float, data: Mapping[str, Any] | None = None) -> Reply:
    """A good answer that comes late."""
    return Reply(kind="slow", data=dict(data or {}), delay_s=seconds)


def failing(status: int = 500, message: str = "the stand-in fails", **headers: str) -> Reply:
    """A status other than 200 with the vendor's form of an error; headers with `_` for `-`."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply(kind=str(status), status=status, text=message, headers=named)


def limited(retry_after: str | None = "1") -> Reply:
    """429, with or without Retry-After."""
    return failing(429, "too many requests", **({} if retry_after is None else {"retry_after": retry_after}))


def huge(megabytes: int = 32) -> Reply:
    """A body that does not end for a long time."""
    return Reply(kind="huge", body=b'{"x": "' + b"a" * (1 << 20), repeat=megabytes)


def trickle(seconds: float = 60.0) -> Reply:
    """A body of which one byte comes every 50 ms: no single read takes long, all of them take for ever."""
    return Reply(kind="trickle", body=b" ", repeat=int(seconds / 0.05), pause_s=0.05)


def raw(body: bytes, **changes: Any) -> Reply:
    """Any bytes as the body."""
    return Reply(kind="raw", body=body, **changes)


@dataclass(frozen=True, kw_only=True)
class Seen:
    """One request as it came in."""

    provider: str
    path: str
    query: str
    headers: Mapping[str, str]
    """Lower-case names."""
    body: Mapping[str, Any]

    @property
    def text(self) -> str:
        """The body as one text, to look for words in it."""
        return json.dumps(self.body, ensure_ascii=False)

    @property
    def wants_tool(self) -> str:
        """Name of the tool that the answer is wanted as; '' for plain JSON."""
        for tool in self.body.get("tools") or ():
            if self.provider == "google":
                return str(tool["functionDeclarations"][0]["name"])
            return str(tool["name"] if self.provider == "anthropic" else tool["function"]["name"])
        return ""


Script = Sequence[Reply] | Callable[[Seen], Reply]


class StandIns(AbstractContextManager["StandIns"]):
    """The server; it listens while the context is open."""

    def __init__(self, script: Script = ()) -> None:
        """`script` as for the method of that name."""
        self.requests: list[Seen] = []
        self.faults: list[Exception] = []
        self._script: Script = script
        self._asked = 0
        quiet = {"log_level": "critical", "access_log": False}
        config = uvicorn.Config(self._application, port=0, lifespan="off", ws="none", interface="asgi3", **quiet)
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, daemon=True)
        self.address = ""

    def __enter__(self) -> "StandIns":
        """Start, and wait until it listens."""
        self._thread.start()
        patience = time.monotonic() + 10
        while not self._server.started:
            assert time.monotonic() < patience, "the stand-ins did not start"
            time.sleep(0.005)
        self.address = f"http://127.0.0.1:{self._server.servers[0].sockets[0].getsockname()[1]}"
        return self

    def __exit__(self, *exception: object) -> None:
        """Stop at once, answers under way included."""
        self._server.should_exit = self._server.force_exit = True
        self._thread.join(timeout=10)
        if self.faults and exception[0] is None:
            raise self.faults[0]  # a stand-in that breaks must not pass for a vendor that fails

    @property
    def urls(self) -> Mapping[str, str]:
        """`base_url` by provider."""
        return {name: f"{self.address}/v1" if name == "openai_compatible" else self.address for name in PROVIDERS}

    def model(self, provider: str, **changes: Any) -> Model:
        """A model of that provider behind this server; its key stands in KEY_ENV."""
        fields = {
            "provider": provider,
            "model": MODEL,
            "base_url": self.urls[provider],
            "key_env": KEY_ENV,
            "context_tokens": 32000,
            "answer_tokens_max": 1024,
            "mode": "tools",
            "temperature": 0.0,
            "timeout_s": 5.0,
        }
        return Model.model_validate(fields | changes)

    def script(self, replies: Script) -> None:
        """What is answered from now on; forgets the requests seen."""
        self._script, self._asked = replies, 0
        self.requests.clear()

    def _reply(self, seen: Seen) -> Reply:
        if callable(self._script):
            return self._script(seen)
        if not self._script:
            return failing(500, "no script was given")
        self._asked += 1
        return self._script[min(self._asked, len(self._script)) - 1]

    async def _application(self, scope: Any, receive: Any, send: Any) -> None:
        try:
            seen = await _read(scope, receive)
            self.requests.append(seen)
            reply = self._reply(seen)
        except Exception as error:
            self.faults.append(error)
            raise
        await asyncio.sleep(reply.delay_s)
        body = _body(seen, reply) if reply.body is None else reply.body
        headers = {"content-type": "application/json"} | dict(reply.headers)
        pairs = [(name.encode(), value.encode()) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": reply.status, "headers": pairs})
        for _ in range(reply.repeat):
            await send({"type": "http.response.body", "body": body, "more_body": True})
            await asyncio.sleep(reply.pause_s)
        await send({"type": "http.response.body", "body": b""})


async def _read(scope: Any, receive: Any) -> Seen:
    body, more = b"", True
    while more:
        part = await receive()
        body, more = body + part.get("body", b""), part.get("more_body", False)
    path = scope["path"]
    provider = next(name for mark, name in _PATHS.items() if mark in path)
    headers = {name.decode().lower(): value.decode() for name, value in scope["headers"]}
    query = scope["query_string"].decode()
    return Seen(provider=provider, path=path, query=query, headers=headers, body=json.loads(body))


_PATHS = {":generateContent": "google", "/messages": "anthropic", "/chat/completions": "openai_compatible"}


def _body(seen: Seen, reply: Reply) -> bytes:
    if reply.status != 200:
        return json.dumps(_error(seen.provider, reply)).encode()
    if reply.data is not None and not seen.wants_tool:
        reply = replace(reply, text=json.dumps(reply.data), data=None)
    return json.dumps(_PROTOCOLS[seen.provider](seen, reply)).encode()


def _error(provider: str, reply: Reply) -> dict[str, Any]:
    if provider == "anthropic":
        return {"type": "error", "error": {"type": "api_error", "message": reply.text}}
    if provider == "google":
        return {"error": {"code": reply.status, "message": reply.text, "status": "UNAVAILABLE"}}
    return {"error": {"message": reply.text, "type": "server_error", "code": None}}


def _openai(seen: Seen, reply: Reply) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": reply.text, "refusal": None}
    finish = {"length": "length", "blocked": "content_filter"}.get(reply.ended, "stop")
    if reply.ended == "refusal":
        message |= {"content": None, "refusal": reply.text}
    if reply.data is not None:
        call = {"name": seen.wants_tool, "arguments": json.dumps(reply.data)}
        message["tool_calls"] = [{"id": "call_1", "type": "function", "function": call}]
        finish = "tool_calls"
    answer: dict[str, Any] = {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": MODEL,
        "choices": [{"index": 0, "message": message, "finish_reason": finish, "logprobs": None}],
    }
    if reply.tokens is not None:
        tokens_in, tokens_out = reply.tokens
        answer["usage"] = {"prompt_tokens": tokens_in, "completion_tokens": tokens_out, "total_tokens": 0}
    return answer


def _anthropic(seen: Seen, reply: Reply) -> dict[str, Any]:
    content: list[dict[str, Any]] = [{"type": "text", "text": reply.text}] if reply.text is not None else []
    stop = {"length": "max_tokens", "refusal": "refusal", "blocked": "refusal"}.get(reply.ended, "end_turn")
    if reply.data is not None:
        content = [{"type": "tool_use", "id": "toolu_1", "name": seen.wants_tool, "input": reply.data}]
        stop = "tool_use"
    answer: dict[str, Any] = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": MODEL,
        "content": content,
        "stop_reason": stop,
        "stop_sequence": None,
    }
    if reply.tokens is not None:
        answer["usage"] = dict(zip(("input_tokens", "output_tokens"), reply.tokens, strict=True))
    return answer


def _google(seen: Seen, reply: Reply) -> dict[str, Any]:
    answer: dict[str, Any] = {"modelVersion": MODEL}
    if reply.tokens is not None:
        counts = ("promptTokenCount", "candidatesTokenCount")
        answer["usageMetadata"] = dict(zip(counts, reply.tokens, strict=True))
    if reply.ended == "blocked":
        return answer | {"promptFeedback": {"blockReason": "SAFETY"}}
    parts: list[dict[str, Any]] = [{"text": reply.text}] if reply.text is not None else []
    if reply.data is not None:
        parts = [{"functionCall": {"name": seen.wants_tool, "args": reply.data}}]
    finish = {"length": "MAX_TOKENS", "refusal": "SAFETY"}.get(reply.ended, "STOP")
    content = {"role": "model", "parts": parts} if parts and reply.ended != "refusal" else {"role": "model"}
    return answer | {"candidates": [{"content": content, "finishReason": finish, "index": 0}]}


_PROTOCOLS = {"openai_compatible": _openai, "anthropic": _anthropic, "google": _google}
