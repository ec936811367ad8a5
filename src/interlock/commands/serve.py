"""`interlock serve`: the control API on this machine, until Ctrl-C."""

import ipaddress
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from interlock.commands.control import agents, control, services
from interlock.commands.screen import say
from interlock.errors import UsageError
from interlock.provenance.workspace import interlock_home
from interlock.registry.control.tokens import VARIABLES, Scope, token_path, tokens

if TYPE_CHECKING:
    from interlock.api.settings import Settings

BACKLOG = 128
KEEP_ALIVE_S = 20
_HOLDERS: dict[Scope, str] = {"agent": "agents", "person": "people"}


def serve(workspace: Path, *, host: str, port: int, allow_remote: bool) -> None:
    """Answer requests until interrupted. Raises UsageError without the packages, for an open door, or a taken port."""
    try:
        import uvicorn

        from interlock.api.app import create_app
    except ImportError as error:
        raise UsageError(
            f"the control API needs a package that is not installed: {error.name}",
            hint="python -m pip install 'interlock[api]'",
        ) from error
    home = interlock_home(workspace)
    if not allow_remote and not _is_loopback(host):
        raise UsageError(
            "other machines could reach it, and tokens would travel unencrypted",
            key="--host",
            value=host,
            hint="serve on 127.0.0.1 behind a proxy that speaks TLS, or add --allow-remote in a network you trust",
        )
    secrets = tokens(home)
    app = create_app(home, tokens=secrets, settings=_settings(workspace))
    listening = _listen(host, port)
    with listening:
        name, number = listening.getsockname()[:2]
        say(f"control API: http://{f'[{name}]' if ':' in name else name}:{number}  (described at /openapi.json)")
        for scope in VARIABLES:
            say(f"  token of {_HOLDERS[scope]}: ${VARIABLES[scope]}, or {token_path(home, scope)}")
        sys.stdout.flush()  # whoever started it behind a pipe waits for the address
        config = uvicorn.Config(app, log_level="warning", access_log=False, timeout_keep_alive=KEEP_ALIVE_S)
        uvicorn.Server(config).run(sockets=[listening])


def _settings(workspace: Path) -> "Settings":
    from interlock.api.settings import Settings
    from interlock.commands.job import ConfComposer

    return Settings(
        workspace=workspace,
        composer=ConfComposer(workspace),
        quotas=control(workspace).quotas,
        services=services(workspace),
        agents=agents(workspace),
    )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _listen(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes a free one. Raises UsageError."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listening = socket.socket(family, kind, protocol)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
    except (OSError, OverflowError) as error:
        raise UsageError(
            f"cannot listen there: {error}",
            key="--host --port",
            value=f"{host}:{port}",
            hint="--port 0 takes a free one",
        ) from error
    listening.listen(BACKLOG)
    return listening
