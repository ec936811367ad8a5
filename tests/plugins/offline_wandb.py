"""Reads an offline W&B run back: a log of framed protocol buffers, in blocks of 32 KiB as LevelDB writes them.

header ":W&B" + 3 bytes, then records: crc (4 bytes), length (2), kind (1: whole, 2: first, 3: middle, 4: last), body
"""

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_BLOCK_BYTES, _HEAD = 32768, struct.Struct("<IHB")
_WHOLE, _FIRST, _MIDDLE, _LAST = 1, 2, 3, 4


def read_run(folder: Path) -> dict[str, Any]:
    """Everything that was logged: run, config, history, summary, artifacts, alerts, exit code, files."""
    from wandb.proto import wandb_internal_pb2 as pb

    (log,) = folder.glob("*.wandb")
    told: dict[str, Any] = {"config": {}, "history": [], "summary": {}, "artifacts": {}, "alerts": [], "exit": None}
    for body in _bodies(log.read_bytes()):
        record = pb.Record()
        record.ParseFromString(body)
        kind = record.WhichOneof("record_type")
        if kind == "run":
            run = record.run
            told |= {"id": run.run_id, "project": run.project, "group": run.run_group, "job_type": run.job_type}
            told |= {"tags": list(run.tags), "name": run.display_name, "notes": run.notes}
            told["config"] |= _values(run.config.update)
        elif kind == "config":
            told["config"] |= _values(record.config.update)
        elif kind == "history":
            told["history"].append({"_step": record.history.step.num, **_values(record.history.item)})
        elif kind == "summary":
            told["summary"] |= _values(record.summary.update)
        elif kind == "artifact":
            _add_artifact(told["artifacts"], record.artifact)
        elif kind == "request" and record.request.WhichOneof("request_type") == "log_artifact":
            _add_artifact(told["artifacts"], record.request.log_artifact.artifact)
        elif kind == "alert":
            told["alerts"].append({"title": record.alert.title, "text": record.alert.text, "level": record.alert.level})
        elif kind == "exit":
            told["exit"] = record.exit.exit_code
    return told


def read_table(folder: Path, value: dict[str, Any]) -> dict[str, Any]:
    """The table that a history value points to."""
    found: dict[str, Any] = json.loads((folder / "files" / value["path"]).read_text())
    return found


def points(told: dict[str, Any]) -> list[tuple[int, dict[str, float]]]:
    """Numbers of the history by step, without W&B's own and without the row of results."""
    rows = [(row["_step"], {k: v for k, v in row.items() if not k.startswith("_")}) for row in told["history"]]
    return [(step, values) for step, values in rows if all(isinstance(value, int | float) for value in values.values())]


def _add_artifact(artifacts: dict[str, Any], found: Any) -> None:
    artifacts[found.name] = {
        "type": found.type,
        "digest": found.digest,
        "aliases": list(found.aliases),
        "metadata": json.loads(found.metadata or "{}"),
        "files": {entry.path: entry.local_path for entry in found.manifest.contents},
    }


def _values(items: Any) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for item in items:
        *parents, last = [item.key] if item.key else item.nested_key
        place = values
        for part in parents:
            place = place.setdefault(part, {})
        place[last] = json.loads(item.value_json)
    return values


def _bodies(data: bytes) -> Iterator[bytes]:
    assert data[:4] == b":W&B"
    position, begun = 7, b""
    while position + _HEAD.size <= len(data):
        left = _BLOCK_BYTES - position % _BLOCK_BYTES
        if left < _HEAD.size:
            position += left
            continue
        _, length, kind = _HEAD.unpack_from(data, position)
        body = data[position + _HEAD.size : position + _HEAD.size + length]
        position += _HEAD.size + length
        if len(body) < length or not kind:
            return
        begun = body if kind in (_WHOLE, _FIRST) else begun + body
        if kind in (_WHOLE, _LAST):
            yield begun
