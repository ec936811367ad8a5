"""What every test lives with: no network, a home folder of its own, fixed seeds, the real data where it is at hand.

Settings of the environment are made while this file is read, before any test module can import a library that looks
at them; child processes inherit them. Does not start or fake any service.
"""

import atexit
import ipaddress
import os
import random
import shutil
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest

ROOT = Path(__file__).resolve().parent.parent
DATA_VARIABLE = "INTERLOCK_DATA_DIR"
GIT_CONFIG = """\
[user]
    name = Interlock tests
    email = tests@interlock.invalid
[init]
    defaultBranch = main
[commit]
    gpgsign = false
[safe]
    directory = *
"""


def _isolate_environment() -> None:
    """Nothing of the person's own settings reaches a test, and nothing a test writes reaches the person's home."""
    home = Path(tempfile.mkdtemp(prefix="interlock-tests-"))
    atexit.register(shutil.rmtree, home, ignore_errors=True)
    (home / ".gitconfig").write_text(GIT_CONFIG, encoding="utf-8")
    for name in list(os.environ):
        if name.startswith(("INTERLOCK_", "WANDB_", "DVC_", "HYDRA_", "GIT_")) and name != DATA_VARIABLE:
            del os.environ[name]
    for name in ("FORCE_COLOR", "PY_COLORS", "GITHUB_ACTIONS", "XDG_RUNTIME_DIR"):  # typer and rich draw differently
        os.environ.pop(name, None)
    os.environ.update(
        {
            "HOME": str(home),
            "XDG_CONFIG_HOME": str(home / "config"),
            "XDG_CACHE_HOME": str(home / "cache"),
            "XDG_DATA_HOME": str(home / "data"),
            "MPLCONFIGDIR": str(home / "matplotlib"),
            "WANDB_MODE": "offline",
            "WANDB_DIR": str(home),
            "WANDB_SILENT": "true",
            "DVC_NO_ANALYTICS": "true",
            "DVC_SITE_CACHE_DIR": str(home / "dvc"),
            "HF_HUB_OFFLINE": "1",
            "GIT_TERMINAL_PROMPT": "0",
            "NO_COLOR": "1",
            "COLUMNS": "120",
            # Child processes cannot be patched from here; those that honour a proxy find one that refuses.
            "HTTP_PROXY": "http://127.0.0.1:9",
            "HTTPS_PROXY": "http://127.0.0.1:9",
            "ALL_PROXY": "http://127.0.0.1:9",
            "NO_PROXY": "localhost,127.0.0.1,::1",
        }
    )
    if "PYTEST_XDIST_WORKER" in os.environ:
        os.environ.setdefault("OMP_NUM_THREADS", "1")  # workers share the cores already


_isolate_environment()
hypothesis.settings.register_profile("interlock", deadline=None, derandomize=True, database=None)
hypothesis.settings.register_profile("search", deadline=None, max_examples=1000)  # by hand: --hypothesis-profile=search
hypothesis.settings.load_profile("interlock")


class NetworkRefusedError(OSError):
    """A test tried to leave this machine."""


def _is_local(host: Any) -> bool:
    if host in (None, "", b"", "localhost", b"localhost"):
        return True
    try:
        return ipaddress.ip_address(host.decode() if isinstance(host, bytes) else host).is_loopback
    except ValueError:
        return False


def _refuse_unless_local(host: Any) -> None:
    if not _is_local(host):
        raise NetworkRefusedError(f"tests must not use the network, but something asked for {host!r}")


@pytest.fixture(autouse=True)
def _no_network(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Refuse every address but loopback, by number and by name; tests marked `network` are let through."""
    if request.node.get_closest_marker("network"):
        return

    def guarded(original: Callable[..., Any]) -> Callable[..., Any]:
        def call(self: socket.socket, *arguments: Any) -> Any:
            if self.family in (socket.AF_INET, socket.AF_INET6):
                _refuse_unless_local(arguments[-1][0])
            return original(self, *arguments)

        return call

    for name in ("connect", "connect_ex", "sendto"):
        monkeypatch.setattr(socket.socket, name, guarded(getattr(socket.socket, name)))
    look_up = socket.getaddrinfo

    def getaddrinfo(host: Any, *arguments: Any, **options: Any) -> Any:
        _refuse_unless_local(host)
        return look_up(host, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)


@pytest.fixture(autouse=True)
def _fixed_seeds() -> None:
    """Seed the global generators; code of our own takes its seed as an argument and does not depend on this."""
    random.seed(0)
    if numpy := sys.modules.get("numpy"):
        numpy.random.seed(0)
    if torch := sys.modules.get("torch"):
        torch.manual_seed(0)


@pytest.fixture(autouse=True)
def _same_folder_afterwards() -> Iterator[None]:
    """A test that changes the working folder must not move the next one."""
    before = Path.cwd()
    yield
    os.chdir(before)


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of this checkout."""
    return ROOT


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of real datasets; the test is skipped on machines that have none."""
    folder = Path(os.environ.get(DATA_VARIABLE) or ROOT.parent / "shared" / "data")
    if not folder.is_dir():
        pytest.skip(f"no real data here; set {DATA_VARIABLE} to its folder")
    return folder.resolve()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip `gpu` tests where torch sees no accelerator; torch is imported only when there are any."""
    wanting = [item for item in items if item.get_closest_marker("gpu")]
    if not wanting:
        return
    import torch

    if not torch.accelerator.is_available():
        for item in wanting:
            item.add_marker(pytest.mark.skip(reason="no accelerator here"))
