"""Was `params.yaml` or `conf/` edited after they were composed? Answered from digests, without composing again."""

import json
from pathlib import Path

from interlock.provenance.canonical import sha256_json
from interlock.provenance.digest import files_under, sha256_file
from interlock.provenance.files import write_json

STAMP = "params/composed.json"
"""Written by the compose stage beside the composed files."""


def source_digests(workspace: Path) -> dict[str, str]:
    """Digest of params.yaml and of the files under conf/."""
    conf = workspace / "conf"
    files = {name: sha256_file(conf / name) for name in files_under(conf) if name.endswith(".yaml")}
    params = workspace / "params.yaml"
    return {"params.yaml": sha256_file(params) if params.is_file() else "", "conf/": sha256_json(files)}


def write_stamp(workspace: Path) -> None:
    """Note what was composed; the same sources write the same bytes."""
    write_json(workspace / STAMP, source_digests(workspace))


def stale_reason(workspace: Path) -> str:
    """Which source has changed since it was composed; empty when none has."""
    stamp = workspace / STAMP
    try:
        noted = json.loads(stamp.read_text())
    except (OSError, ValueError):
        return "nothing was composed yet"
    changed = [name for name, digest in source_digests(workspace).items() if noted.get(name) != digest]
    return f"{' and '.join(changed)} changed since they were composed" if changed else ""
