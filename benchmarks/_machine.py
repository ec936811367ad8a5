"""What every benchmark writes beside its numbers: the machine and the versions."""

import json
import os
import platform
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"


def machine() -> dict[str, Any]:
    """Processor, cores that this process may use, memory and system."""
    from interlock.provenance.environment import cpu

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    memory_bytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {**cpu(), "cores": cores, "memory_gib": round(memory_bytes / 2**30, 1), "system": platform.platform()}


def write_result(name: str, result: dict[str, Any], *, packages: Iterable[str] = ()) -> Path:
    """Write `results/<name>.json` with machine and versions."""
    versions = {"python": platform.python_version(), **{package: version(package) for package in packages}}
    path = RESULTS / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({**result, "machine": machine(), "versions": versions}, indent=2) + "\n")
    return path
