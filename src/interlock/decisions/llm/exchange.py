"""One HTTP request to a provider, with a deadline for the whole of it and a limit of size, as an httpx2 transport.

    line = Line(key="...")
    line.open(deadline_s=60.0)              # before every request
    httpx2.Client(transport=line)           # what the vendors' SDKs are given
    line.exchange                           # what really happened: status, body, trouble

The deadline holds for every read and write together: a server that sends a byte now and then is late like any other.
Bodies above `BYTES_MAX` are not read on. Compressed bodies are not asked for and refused, proxies and redirects are
never followed, vendors are told nothing of this machine, and a second request without a new `open` is a fault of ours.
A key that the provider sends back is blacked out before anything reads it. Does not bound the time that the system's
resolver takes for a name.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from interlock.contracts.answer import Outcome
from interlock.decisions.llm.failures import KEY_CHARACTERS_MIN
from interlock.provenance.environment import REDACTED

if TYPE_CHECKING:
    import ssl

    import httpx2

BYTES_MAX = 1 << 20
"""Of a response's body. The longest proposals are a few kilobytes."""

Clock = Callable[[], float]


@dataclass
class Exchange:
    """One request as it went."""

    requests: int = 0
    """1 once anything was sent; more were tried, and not sent, where an SDK retries or follows a redirect."""
    status: int | None = None
    """None where no response came."""
    retry_after: str = ""
    body: bytes = b""
    trouble: Outcome | None = None
    """`timeout`, `unreachable`, `too_large`, or `server_error` for what is no HTTP response."""
    told: str = ""


class Line:
    """A transport for httpx2 clients, one exchange at a time."""

    def __init__(self, *, key: str = "", bytes_max: int = BYTES_MAX, clock: Clock = time.monotonic) -> None:
        """`key` is sent, and blacked out in what comes back; `clock` counts seconds."""
        self._key = key.encode()
        self._secret = self._key if len(key) >= KEY_CHARACTERS_MIN else b""
        self._bytes_max, self._clock = bytes_max, clock
        self._until = 0.0
        self.exchange = Exchange()

    def open(self, deadline_s: float) -> None:
        """Allow one request that ends within so many seconds from now."""
        self._until = self._clock() + deadline_s
        self.exchange = Exchange()

    def handle_request(self, request: "httpx2.Request") -> "httpx2.Response":
        """Send, read and keep. Raises httpx2.TransportError where that fails; `exchange` says how."""
        import httpx2

        self.exchange.requests += 1
        assert self.exchange.requests == 1, "one request at a time: retries are the wire's own"
        with self._telling():
            status, kind, body = self._converse(request)
        self.exchange.body = body.replace(self._secret, REDACTED.encode()) if self._secret else body
        return httpx2.Response(status, headers={"content-type": kind}, content=self.exchange.body, request=request)

    def close(self) -> None:
        """Nothing stays open between requests."""

    def __enter__(self) -> "Line":
        """The client's own context."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Nothing stays open between requests."""

    def _converse(self, request: "httpx2.Request") -> tuple[int, str, bytes]:
        import httpcore2
        import httpx2

        url, secure = request.url, request.url.scheme == "https"
        outgoing = httpcore2.Request(
            method=request.method,
            url=httpcore2.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
            headers=[*self._headers(request.headers.raw), *_HEADERS],
            content=request.read(),
        )
        backend: Any = _Network(httpcore2.SyncBackend(), self._left)
        with httpcore2.ConnectionPool(ssl_context=_trusted() if secure else None, network_backend=backend) as pool:
            response = pool.handle_request(outgoing)
            headers = httpx2.Headers(response.headers)
            self.exchange.status, self.exchange.retry_after = response.status, headers.get("retry-after", "")
            try:
                if headers.get("content-encoding", "identity").lower() != "identity":
                    raise _UnreadableError("the body is compressed, which was not asked for")
                assert isinstance(response.stream, Iterable)
                kind = headers.get("content-type", "application/json")
                return response.status, kind, self._bounded(response.stream)
            finally:
                response.close()

    def _headers(self, given: Iterable[tuple[bytes, bytes]]) -> Iterator[tuple[bytes, bytes]]:
        for name, value in given:
            if name.lower() in _SENT:
                form = _KEYED.get(name.lower())
                yield name, value if form is None else form % self._key

    def _bounded(self, stream: Iterable[bytes]) -> bytes:
        parts, size_bytes = [], 0
        for part in stream:
            size_bytes += len(part)
            if size_bytes > self._bytes_max:
                raise _TooLargeError(f"the response has more than {self._bytes_max:,} bytes")
            parts.append(part)
        return b"".join(parts)

    def _left(self) -> float:
        """Seconds until the deadline; raises when it has passed."""
        import httpcore2

        left = self._until - self._clock()
        if left <= 0:
            raise httpcore2.ReadTimeout("the deadline has passed")
        return left

    @contextmanager
    def _telling(self) -> Iterator[None]:
        """Keep what went wrong, and pass it on as the SDKs expect it."""
        import httpcore2
        import httpx2

        try:
            yield
        except httpcore2.TimeoutException as error:
            self._note(Outcome.TIMEOUT, "no complete answer in time")
            raise httpx2.ReadTimeout(self.exchange.told) from error
        except _TooLargeError as error:
            self._note(Outcome.TOO_LARGE, str(error))
            raise httpx2.ReadError(self.exchange.told) from error
        except (_UnreadableError, httpcore2.RemoteProtocolError, httpcore2.ReadError, httpcore2.WriteError) as error:
            self._note(Outcome.SERVER_ERROR, f"no readable HTTP response: {error}")
            raise httpx2.ReadError(self.exchange.told) from error
        except (httpcore2.ConnectError, httpcore2.LocalProtocolError, httpcore2.UnsupportedProtocol, OSError) as error:
            self._note(Outcome.UNREACHABLE, f"the address cannot be reached: {error}")
            raise httpx2.ConnectError(self.exchange.told) from error

    def _note(self, trouble: Outcome, told: str) -> None:
        self.exchange.trouble, self.exchange.told = trouble, told


_KEYED: Mapping[bytes, bytes] = MappingProxyType(
    {b"authorization": b"Bearer %s", b"x-api-key": b"%s", b"x-goog-api-key": b"%s"}
)
"""Headers that hold the key, written anew: variables like OPENAI_CUSTOM_HEADERS put others in there."""
_SENT = frozenset(
    (b"host", b"accept", b"content-type", b"content-length", b"anthropic-version", b"anthropic-beta", *_KEYED)
)
"""What the protocols need. SDKs add facts of this machine, and whatever variables like OPENAI_ORG_ID hold."""
_HEADERS = (
    (b"accept-encoding", b"identity"),  # a small compressed body could unpack to any size
    (b"connection", b"close"),
)


class _TooLargeError(Exception):
    pass


class _UnreadableError(Exception):
    pass


class _Network:
    """httpcore2's network with one deadline over all reads and writes, in place of a time-out for each."""

    def __init__(self, inner: Any, left: Clock) -> None:
        self._inner, self._left = inner, left

    def connect_tcp(self, host: str, port: int, timeout: float | None = None, **options: Any) -> "_Stream":
        del timeout
        return _Stream(self._inner.connect_tcp(host, port, timeout=self._left(), **options), self._left)


class _Stream:
    """One connection of it."""

    def __init__(self, inner: Any, left: Clock) -> None:
        self._inner, self._left = inner, left

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        del timeout
        return bytes(self._inner.read(max_bytes, timeout=self._left()))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        del timeout
        self._inner.write(buffer, timeout=self._left())

    def start_tls(
        self, ssl_context: "ssl.SSLContext", server_hostname: str | None = None, timeout: float | None = None
    ) -> "_Stream":
        del timeout
        return _Stream(self._inner.start_tls(ssl_context, server_hostname, timeout=self._left()), self._left)

    def close(self) -> None:
        self._inner.close()

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


@lru_cache(maxsize=1)  # reading the system's certificates takes 20 ms
def _trusted() -> "ssl.SSLContext":
    import httpx2

    return httpx2.create_ssl_context()
