"""A model server on loopback that says any bytes at all, in the three vendors' protocols.

    with HostileServer() as server:
        server.script([Said(payload='{"action": "accept"}')])     # the last one is said again and again
        ...                                                        # ask through the real client at server.urls[...]
        server.requests                                            # what was asked

The protocol follows from the path of a request, the form of the answer (a tool call, or text) from its body. Arguments
are spliced in as text, so that duplicate keys, `NaN` or cut JSON reach the client as they are.
"""

import gzip
import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

ASKED = ""
"""Stands for the name of the tool that the client asks for."""
_CHUNK = b"x" * 1_000_000


@dataclass(frozen=True, kw_only=True)
class Said:
    """One HTTP answer."""

    payload: str | None = None
    """The structured answer as JSON text, or what poses as one: arguments of the tool that was asked for, or text."""
    calls: tuple[tuple[str, str], ...] = ()
    """Tool calls by name and arguments, instead of `payload`."""
    text: str | None = None
    """Words beside the calls, or alone."""
    finish: str = "done"
    """`done`, `length`, `refused` or `filtered`."""
    tokens: tuple[str, str] | None = ("100", "50")
    """Tokens in and out as JSON text; None: the vendor says nothing of usage."""
    raw: bytes | None = None
    """The whole body instead of all that."""
    status: int = 200
    content_type: str = "application/json"
    headers: tuple[tuple[str, str], ...] = ()
    zipped: bool = False
    """Send the body gzipped."""
    more_bytes: int = 0
    """So many more bytes inside the body's text, made while they are sent."""
    delay_s: float = 0.0
    """Wait before the first byte."""
    drip_s: float = 0.0
    """Wait between single bytes of the body."""
    cut: int = 0
    """Hang up so many bytes before the end that was announced."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One request."""

    path: str
    headers: dict[str, str]
    body: dict[str, Any]

    @property
    def text(self) -> str:
        """Every string that the model gets to read, one after the other."""
        return "\n".join(_strings({key: self.body[key] for key in _READ if key in self.body}))


_READ = ("messages", "system", "contents", "systemInstruction", "system_instruction")


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from _strings(item)
    elif isinstance(value, list):
        for item in value:
            yield from _strings(item)


def body_of(said: Said, *, path: str, asked: dict[str, Any]) -> bytes:
    """The answer's bytes in the protocol of the path."""
    if said.raw is not None:
        return said.raw
    tool = _tool_name(asked)
    calls = [(name or tool or "answer", arguments) for name, arguments in said.calls]
    text = said.text
    if said.payload is not None:
        if tool:
            calls.append((tool, said.payload))
        else:
            text = said.payload if text is None else text + said.payload
    if "/messages" in path:
        return _anthropic(said, calls, text).encode("utf-8", "surrogatepass")
    if ":generateContent" in path:
        return _google(said, calls, text).encode("utf-8", "surrogatepass")
    return _openai(said, calls, text).encode("utf-8", "surrogatepass")


def _openai(said: Said, calls: Sequence[tuple[str, str]], text: str | None) -> str:
    finish = {"done": "tool_calls" if calls else "stop", "length": "length", "filtered": "content_filter"}
    message: dict[str, Any] = {"role": "assistant", "content": text}
    if calls:
        message["tool_calls"] = [
            {"id": f"call_{index}", "type": "function", "function": {"name": name, "arguments": arguments}}
            for index, (name, arguments) in enumerate(calls)
        ]
    if said.finish == "refused":
        message |= {"content": None, "refusal": text or "I cannot help with that."}
    choice = {"index": 0, "finish_reason": finish.get(said.finish, "stop"), "message": message}
    head = {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice]}
    usage = ""
    if said.tokens:
        first, second = said.tokens
        usage = f', "usage": {{"prompt_tokens": {first}, "completion_tokens": {second}, "total_tokens": {first}}}'
    return json.dumps(head)[:-1] + usage + "}"


def _anthropic(said: Said, calls: Sequence[tuple[str, str]], text: str | None) -> str:
    finish = {"length": "max_tokens", "refused": "refusal", "filtered": "refusal"}
    parts = [] if text is None else [json.dumps({"type": "text", "text": text})]
    parts += [
        f'{{"type": "tool_use", "id": "toolu_{index}", "name": {json.dumps(name)}, "input": {arguments}}}'
        for index, (name, arguments) in enumerate(calls)
    ]
    reason = finish.get(said.finish, "tool_use" if calls else "end_turn")
    usage = f', "usage": {{"input_tokens": {said.tokens[0]}, "output_tokens": {said.tokens[1]}}}' if said.tokens else ""
    head = {"id": "m", "type": "message", "role": "assistant", "model": "m", "stop_reason": reason}
    return f'{json.dumps(head)[:-1]}, "stop_sequence": null, "content": [{", ".join(parts)}]{usage}}}'


def _google(said: Said, calls: Sequence[tuple[str, str]], text: str | None) -> str:
    usage = ""
    if said.tokens:
        first, second = said.tokens
        counts = f'"promptTokenCount": {first}, "candidatesTokenCount": {second}, "totalTokenCount": {first}'
        usage = f', "usageMetadata": {{{counts}}}'
    if said.finish == "refused":
        return f'{{"promptFeedback": {{"blockReason": "SAFETY"}}{usage}}}'
    finish = {"length": "MAX_TOKENS", "filtered": "SAFETY"}
    parts = [] if text is None else [json.dumps({"text": text})]
    parts += [f'{{"functionCall": {{"name": {json.dumps(name)}, "args": {arguments}}}}}' for name, arguments in calls]
    content = f'"content": {{"role": "model", "parts": [{", ".join(parts)}]}}'
    reason = finish.get(said.finish, "STOP")
    return f'{{"candidates": [{{{content}, "finishReason": "{reason}", "index": 0}}]{usage}, "modelVersion": "m"}}'


def _tool_name(asked: dict[str, Any]) -> str:
    """Name of the tool that the client wants called; empty where it wants text."""
    for tool in asked.get("tools") or []:
        if "function" in tool:
            return str(tool["function"]["name"])
        if "name" in tool:
            return str(tool["name"])
        for declared in tool.get("functionDeclarations") or tool.get("function_declarations") or []:
            return str(declared["name"])
    return ""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: "_Server"

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        asked = json.loads(self.rfile.read(length) or b"{}")
        owner = self.server.owner
        said = owner.answer(Asked(path=self.path, headers=dict(self.headers.items()), body=asked))
        if said.delay_s:
            time.sleep(said.delay_s)
        try:
            self._send(said, body_of(said, path=self.path, asked=asked))
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def _send(self, said: Said, body: bytes) -> None:
        if said.zipped:
            body = gzip.compress(body)
        lines = [f"HTTP/1.1 {said.status} Said", f"Content-Type: {said.content_type}"]
        lines += [f"{name}: {value}" for name, value in said.headers]
        if said.zipped:
            lines.append("Content-Encoding: gzip")
        lines += [f"Content-Length: {len(body) + said.more_bytes}", "", ""]
        head = "\r\n".join(lines).encode("latin-1", "replace")
        if said.more_bytes:
            self._send_much(head, body, said.more_bytes)
        elif said.drip_s:
            self.wfile.write(head)
            for byte in body:
                self.wfile.write(bytes([byte]))
                time.sleep(said.drip_s)
        else:
            self.wfile.write(head + (body[: -said.cut] if said.cut else body))
            self.close_connection |= bool(said.cut)

    def _send_much(self, head: bytes, body: bytes, more: int) -> None:
        """The filling goes where the body says `FILL`, or to its end."""
        before, found, after = body.partition(b"FILL")
        if not found:
            before, after = body, b""
        self.wfile.write(head + before)
        left = more + len(found)
        while left:
            left -= self.wfile.write(_CHUNK[:left])
        self.wfile.write(after)

    def log_message(self, format: str, *arguments: Any) -> None:
        """Say nothing on stderr."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    owner: "HostileServer"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is no fault of the server."""


@dataclass
class HostileServer:
    """The server; one script at a time."""

    requests: list[Asked] = field(default_factory=list)
    _script: "list[Said] | Callable[[Asked], Said]" = field(default_factory=lambda: [Said(text="")])

    def __enter__(self) -> "HostileServer":
        self._http = _Server(("127.0.0.1", 0), _Handler)
        self._http.owner = self
        self._thread = Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    @property
    def url(self) -> str:
        """Root of the server."""
        return f"http://127.0.0.1:{self._http.server_address[1]}"

    @property
    def urls(self) -> dict[str, str]:
        """What `base_url` has to be, by provider."""
        return {"anthropic": self.url, "google": self.url, "openai_compatible": f"{self.url}/v1"}

    def script(self, replies: "Sequence[Said] | Callable[[Asked], Said]") -> None:
        """Say these, one for each request and the last one again and again; or what a function of the request says."""
        self.requests.clear()
        self._script = replies if callable(replies) else list(replies)

    def answer(self, asked: Asked) -> Said:
        """The next one."""
        self.requests.append(asked)
        if callable(self._script):
            return self._script(asked)
        return self._script.pop(0) if len(self._script) > 1 else self._script[0]
