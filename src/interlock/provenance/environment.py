"""The environment of a run: locked dependencies, versions, machine, git. Nothing here imports what it describes.

`lock_digest` is identity; everything else is observation. Does not check that the installed packages are the locked
ones by itself: `lock_drift` does, and the card shows its answer.
"""

import hashlib
import os
import platform
import re
import subprocess
from collections.abc import Mapping
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from interlock.errors import StageError
from interlock.provenance.canonical import sha256_json

LOCK_FILE = "requirements.lock"
REDACTED = "***"

_VERSIONS = {
    "pytorch_version": ("torch",),
    "lightning_version": ("lightning",),
    "faiss_version": ("faiss-cpu", "faiss-gpu", "faiss-gpu-cu12"),
    "onnxruntime_version": ("onnxruntime", "onnxruntime-gpu"),
    "numpy_version": ("numpy",),
}
_ISA_FLAGS = ("sse4_2", "avx", "avx2", "fma", "avx512f", "avx512_vnni", "avx512_bf16", "amx_tile", "asimd", "sve")
"""Instruction sets that numeric libraries choose their kernels by, weakest first."""
_SUBPROCESS_TIMEOUT_S = 5.0


def lock_digest(workspace: Path) -> str:
    """SHA-256 of the pins in `requirements.lock`; comments, blank lines, spacing and order do not count.

    Raises StageError when there is no lock.
    """
    return hashlib.sha256("\n".join(_pins(workspace)).encode()).hexdigest()


def lock_drift(workspace: Path) -> tuple[str, ...]:
    """Locked packages that are installed in another version or not at all, as `name: locked 1.2, installed 1.3`."""
    found = []
    for pin in _pins(workspace):
        match = re.match(r"^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==([^\s;]+)\s*(;.*)?$", pin)
        if match is None or match[3]:  # a marker may rule the pin out on this machine
            continue
        installed = _installed(match[1])
        if installed.partition("+")[0] != match[2].partition("+")[0]:
            found.append(f"{match[1]}: locked {match[2]}, installed {installed or 'not at all'}")
    return tuple(found)


def environment_digest(workspace: Path, drift: tuple[str, ...] | None = None) -> str:
    """The lock's digest; where installed packages differ from it, a digest over both: it is another run then.

    `drift` is the answer of `lock_drift`, where it is known already.
    """
    drift = lock_drift(workspace) if drift is None else drift
    return sha256_json({"lock": lock_digest(workspace), "drift": drift}) if drift else lock_digest(workspace)


def environment() -> dict[str, str]:
    """What a run card says of the machine and its software. Missing packages have the version ''."""
    versions = {
        key: next((found for name in names if (found := _installed(name))), "") for key, names in _VERSIONS.items()
    }
    return {
        "python_version": platform.python_version(),
        **versions,
        "os": f"{platform.system()} {platform.release()}",
        "platform": platform.platform(),
        "cpu_model": cpu()["model"],
        "cpu_isa": cpu()["isa"],
        "machine_class": machine_class(),
    }


def machine_class(device: str = "cpu") -> str:
    """The class of machines inside which equal bits are promised, together with an equal lock and thread count.

    Processor architecture, vendor and strongest instruction set, because numeric libraries choose kernels by them;
    `device` names the accelerator for runs that used one.
    """
    return "/".join((platform.machine(), cpu()["vendor"], cpu()["isa"], device))


@lru_cache(maxsize=1)
def cpu() -> dict[str, str]:
    """`model`, `vendor` and `isa` (strongest known instruction set) of the processor; 'unknown' where not told."""
    text = _read_text(Path("/proc/cpuinfo")) or _command("sysctl", "machdep.cpu")
    fields: dict[str, str] = {}
    for line in text.splitlines():
        name, _, value = line.partition(":")
        fields.setdefault(name.strip().removeprefix("machdep.cpu.").lower(), value.strip())
    flags = " ".join(fields.get(name, "") for name in ("flags", "features", "leaf7_features")).lower().split()
    known = [flag for flag in _ISA_FLAGS if flag in flags]
    return {
        "model": fields.get("model name") or fields.get("brand_string") or platform.processor() or "unknown",
        "vendor": fields.get("vendor_id") or fields.get("vendor") or fields.get("cpu implementer") or "unknown",
        "isa": known[-1] if known else platform.machine(),
    }


def host_name() -> str:
    """Name of this machine."""
    return platform.node() or "unknown"


def git_state(workspace: Path) -> tuple[str | None, bool | None]:
    """Commit of the workspace and whether tracked files differ from it; (None, None) without git or a commit.

    Never raises and takes at most five seconds.
    """
    text = _command("git", "-C", str(workspace), "status", "--porcelain=v2", "--branch", "--untracked-files=no")
    lines = text.splitlines()
    commit = next((line.rpartition(" ")[2] for line in lines if line.startswith("# branch.oid ")), "")
    if not re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", commit):
        return None, None
    return commit, any(not line.startswith("#") for line in lines)


def redact(value: Any) -> Any:
    """A copy of JSON-like data without secrets, for anything that is written down.

    Values under keys that name a key, token, secret, password or credential are replaced (numbers under `token` and
    `key` words stay: `tokens_max: 100` is no secret); in all other text, credentials in addresses and well-known
    forms of API keys are.
    """
    if isinstance(value, Mapping):
        return {key: REDACTED if _is_secret(str(key), item) else redact(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [redact(item) for item in value]
    return redact_text(value) if isinstance(value, str) else value


def redact_text(text: str) -> str:
    """The text with credentials in addresses, and well-known forms of API keys, replaced by `***`."""
    for pattern, replacement in _SECRET_TEXT:
        text = pattern.sub(replacement, text)
    return text


_NAMED_SECRET = re.compile(r"^(?:\w*(?:secret|password|passwd|passphrase|pwd)s?|credentials?|authorization|cookies?)$")
_NAMED_KEY = re.compile(r"^(?:\w*(?:key|token)s?|auth)$")
_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z0-9]+|[0-9]+")
_SECRET_TEXT = (
    (re.compile(r"([a-zA-Z][a-zA-Z0-9+.-]*://)[^/\s@]+@"), rf"\1{REDACTED}@"),
    (re.compile(r"(?i)([?&][^=&\s]*(?:key|token|secret|password|signature|sig)=)[^&\s]+"), rf"\1{REDACTED}"),
    (re.compile(r"(?i)\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{8,}"), rf"\1 {REDACTED}"),
    (re.compile(r"\b(?:sk-[\w-]{16,}|gh[pousr]_\w{20,}|hf_\w{20,}|xox[abp]-[\w-]{10,}|AKIA[0-9A-Z]{16})"), REDACTED),
    (re.compile(r"\bAIza[\w-]{30,}"), REDACTED),
)


def _is_secret(key: str, value: object) -> bool:
    words = [word.lower() for word in _WORDS.findall(key)]
    if any(_NAMED_SECRET.match(word) for word in words):
        return value is not None
    is_text = isinstance(value, str | bytes | list | tuple | Mapping)
    return is_text and any(_NAMED_KEY.match(word) for word in words)


def _pins(workspace: Path) -> list[str]:
    path = workspace / LOCK_FILE
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise StageError(
            f"the locked dependencies cannot be read: {error.strerror}",
            path=path,
            hint="a run is identified by its lock; write one with make lock",
        ) from error
    lines = re.sub(r"\\\n", " ", text).splitlines()
    stripped = (" ".join(re.sub(r"(^|\s)#.*$", "", line).split()) for line in lines)
    return sorted(line for line in stripped if line)


@lru_cache(maxsize=1024)  # every stage asks for every locked package, and a process keeps what it has imported
def _installed(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def _command(*words: str) -> str:
    """Standard output of a command; '' when it is missing, fails or takes too long."""
    # A hook's GIT_DIR would answer for another repository; the lock file is not ours to take.
    clean = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    clean |= {"GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}
    try:
        result = subprocess.run(
            words, capture_output=True, env=clean, stdin=subprocess.DEVNULL, timeout=_SUBPROCESS_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return result.stdout.decode(errors="replace") if result.returncode == 0 else ""


def _read_text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
