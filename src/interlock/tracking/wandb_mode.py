"""Which W&B a run is shown in, and the environment of the process that talks to it. Asks the network nothing.

We choose the mode, because W&B without a key raises in the middle of a run, or asks a person at a terminal. Everything
that W&B writes goes below `<home>/tracking/wandb`: its artifacts, caches and settings would otherwise end up in the
person's home, where `wandb sync` from another machine does not find them.
"""

import netrc
import os
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from interlock.contracts.tracking import WandbMode, WandbTracking
from interlock.provenance.environment import REDACTED, redact_text
from interlock.tracking.jsonl import tracking_root

_SETTINGS = "WANDB_"
_PASSED_ON = frozenset(
    f"{_SETTINGS}{name}"
    for name in (
        "API_KEY",
        "BASE_URL",
        "APP_URL",
        "ENTITY",
        "HTTP_TIMEOUT",
        "IDENTITY_TOKEN_FILE",
        "CREDENTIALS_FILE",
        "INSECURE_DISABLE_SSL",
        "INIT_TIMEOUT",
    )
)
"""How to reach a server. All other settings of the environment (a run's id, a service's socket) belong to somebody
else's run: a sweep agent or a notebook that started us."""
_FOLDERS = {
    "DIR": "runs",
    "DATA_DIR": "data",
    "CACHE_DIR": "cache",
    "CONFIG_DIR": "config",
    "ARTIFACT_DIR": "artifacts",
}
_PUBLIC_HOSTS = ("api.wandb.ai", "api.forge.coreweave.com")
_MODES: dict[str, WandbMode] = {
    "online": "online",
    "offline": "offline",
    "dryrun": "offline",
    "disabled": "disabled",
    "shared": "online",
}


def resolved_mode(settings: WandbTracking, environment: Mapping[str, str]) -> WandbMode:
    """The mode that `auto` stands for here: WANDB_MODE, else online with a key, else offline."""
    if settings.mode != "auto":
        return settings.mode
    asked = environment.get("WANDB_MODE", "").strip().lower()
    return _MODES.get(asked) or ("online" if has_key(settings, environment) else "offline")


def has_key(settings: WandbTracking, environment: Mapping[str, str]) -> bool:
    """Whether there is a key or an identity for the server, without reading more of it than that."""
    if environment.get("WANDB_API_KEY") or environment.get("WANDB_IDENTITY_TOKEN_FILE"):
        return True
    address = settings.base_url or environment.get("WANDB_BASE_URL", "")
    hosts = (urlsplit(address).netloc,) if address else _PUBLIC_HOSTS
    try:
        entries = netrc.netrc(_netrc_file(environment)).hosts
    except (OSError, netrc.NetrcParseError):
        return False
    return any(host in entries for host in hosts)


def destination(settings: WandbTracking, mode: WandbMode, environment: Mapping[str, str]) -> str:
    """Names where a run goes; what one destination has says nothing of another."""
    if mode != "online":
        return mode
    host = urlsplit(settings.base_url or environment.get("WANDB_BASE_URL", "")).netloc.rpartition("@")[2]
    return "/".join((host or "public", settings.entity or environment.get("WANDB_ENTITY") or "own", settings.project))


def wandb_root(home: Path) -> Path:
    """Where everything stands that W&B writes."""
    return tracking_root(home) / "wandb"


def mirror_environment(settings: WandbTracking, mode: WandbMode, *, home: Path) -> dict[str, str]:
    """This process's environment for the mirror: W&B quiet, in its place, and finding the same Interlock as we do."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_SETTINGS) or name in _PASSED_ON}
    own = Path(__file__).resolve().parents[2]
    chosen = {"MODE": mode, "SILENT": "true", "CONSOLE": "off", "ERROR_REPORTING": "false"}
    chosen |= {name: str((wandb_root(home) / folder).resolve()) for name, folder in _FOLDERS.items()}
    if settings.base_url:
        chosen["BASE_URL"] = settings.base_url
    path = os.pathsep.join(filter(None, (os.environ.get("PYTHONPATH"), str(own))))
    return kept | {f"{_SETTINGS}{name}": value for name, value in chosen.items()} | {"PYTHONPATH": path}


def without_secrets(text: str) -> str:
    """Text for files and screens: known forms of secrets, and the key of this process itself, are taken out."""
    key = os.environ.get("WANDB_API_KEY", "")
    return redact_text(text.replace(key, REDACTED) if key else text)


def _netrc_file(environment: Mapping[str, str]) -> Path:
    if named := environment.get("NETRC"):
        return Path(named).expanduser()
    usual = Path("~/.netrc").expanduser()
    return usual if usual.exists() else Path("~/_netrc").expanduser()
