"""The suite itself: nothing leaves this machine, and no test sees the person's own settings."""

import os
import socket
from pathlib import Path

import pytest


@pytest.mark.parametrize("address", ["192.0.2.1", "2001:db8::1", "example.org"])
def test_other_machines_are_refused(address: str) -> None:
    with pytest.raises(OSError, match="must not use the network"):
        socket.create_connection((address, 80), timeout=1)


def test_datagrams_are_refused() -> None:
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender,
        pytest.raises(OSError, match="must not use the network"),
    ):
        sender.sendto(b"x", ("192.0.2.1", 9))


def test_loopback_works() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
        accepted, _ = server.accept()
        with accepted:
            accepted.sendall(b"ok")
            assert client.recv(2) == b"ok"


def test_home_is_a_folder_of_the_tests() -> None:
    assert Path.home().name.startswith("interlock-tests-")
    assert "INTERLOCK_HOME" not in os.environ
