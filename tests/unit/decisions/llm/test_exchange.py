"""One exchange: its deadline, its limit of size, and what really went over the line."""

import contextlib
import gzip
import socket
import threading
import time

import httpx2
import pytest
from llm_stand_ins import failing, huge, raw, says, trickle

from interlock.contracts.answer import Outcome
from interlock.decisions.llm.exchange import Line

KEY = "sk-of-this-test-0123456789"  # pragma: allowlist secret


def _send(line, url, deadline_s=5.0):
    line.open(deadline_s)
    with httpx2.Client(transport=line, trust_env=False) as client, contextlib.suppress(httpx2.TransportError):
        client.post(f"{url}/v1/chat/completions", json={})
    return line.exchange


def test_a_response_is_kept_as_it_came(vendors):
    vendors.script([failing(429, "wait", retry_after="3")])
    exchange = _send(Line(), vendors.address)
    assert (exchange.requests, exchange.status, exchange.retry_after, exchange.trouble) == (1, 429, "3", None)
    assert b"wait" in exchange.body


def test_a_large_body_is_not_read_on(vendors):
    vendors.script([huge(500)])
    began = time.monotonic()
    exchange = _send(Line(bytes_max=10_000), vendors.address)
    assert (exchange.trouble, exchange.body) == (Outcome.TOO_LARGE, b"")
    assert "10,000 bytes" in exchange.told
    assert time.monotonic() - began < 1.0


@pytest.mark.parametrize("size", [99, 100])
def test_the_limit_itself_is_allowed(vendors, size):
    vendors.script([raw(b"x" * size)])
    assert _send(Line(bytes_max=100), vendors.address).body == b"x" * size


@pytest.mark.parametrize("reply", [trickle(), says("late", delay_s=5.0)])
def test_one_deadline_holds_for_everything_together(vendors, reply):
    vendors.script([reply])
    began = time.monotonic()
    exchange = _send(Line(), vendors.address, deadline_s=0.2)
    assert exchange.trouble is Outcome.TIMEOUT
    assert 0.15 < time.monotonic() - began < 0.6


@pytest.mark.parametrize(
    ("sent", "trouble"),
    [
        (b"HTTP/1.1 200 OK\r\nx-slow: ", Outcome.TIMEOUT),
        (b"", Outcome.TIMEOUT),
        (b"220 smtp.example ESMTP ready\r\n", Outcome.SERVER_ERROR),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nfour", Outcome.SERVER_ERROR),
    ],
)
def test_servers_that_speak_no_http(sent, trouble):
    """Headers that never end, silence, another protocol, and a connection that breaks."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=_serve_once, args=(server, sent, trouble is not Outcome.TIMEOUT))
        thread.start()
        exchange = _send(Line(), f"http://127.0.0.1:{server.getsockname()[1]}", deadline_s=0.3)
        thread.join()
    assert exchange.trouble is trouble


def _serve_once(server, sent, closes):
    connection, _ = server.accept()
    with connection, contextlib.suppress(OSError):
        connection.sendall(sent)
        if closes:
            connection.shutdown(socket.SHUT_WR)
        connection.settimeout(0.05)
        while True:  # until the client gives up; closing on unread bytes would be a reset
            with contextlib.suppress(TimeoutError):
                if not connection.recv(65536):
                    break
            if sent and not closes:
                connection.sendall(b"a")


def test_the_key_is_blacked_out_before_anybody_reads(vendors):
    vendors.script([says(f"your key {KEY} is fine")])
    exchange = _send(Line(key=KEY), vendors.address)
    assert KEY.encode() not in exchange.body
    assert b"your key *** is fine" in exchange.body


def test_a_compressed_body_is_not_unpacked(vendors):
    vendors.script([raw(gzip.compress(b"0" * 1_000_000), headers={"content-encoding": "gzip"})])
    exchange = _send(Line(), vendors.address)
    assert (exchange.trouble, exchange.body) == (Outcome.SERVER_ERROR, b"")
    assert "compressed" in exchange.told


def test_a_second_request_needs_leave(vendors):
    vendors.script([says("hello")])
    line = Line()
    _send(line, vendors.address)
    with pytest.raises(AssertionError, match="one request at a time"), httpx2.Client(transport=line) as client:
        client.get(vendors.address)
    assert len(vendors.requests) == 1


def test_redirects_are_not_followed(vendors):
    vendors.script([failing(302, location=f"{vendors.address}/v1/messages"), says("there")])
    assert _send(Line(), vendors.address).status == 302
    assert len(vendors.requests) == 1
