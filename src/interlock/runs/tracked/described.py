"""What a run is, in a tracker's words: name, group, job type, tags, configuration. Pure; reads no files."""

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import JsonValue, TypeAdapter, ValidationError

from interlock.contracts.tracking import JobType, JsonlTracking, TrackedRun, Tracking
from interlock.provenance.canonical import canonical_json
from interlock.provenance.dotted import lookup

_TRACKING: TypeAdapter[Tracking] = TypeAdapter(Tracking)
_TAG_MAX_CHARS = 64
_UNTOLD = ("tracking",)
"""Parts of the configuration that say nothing of the run."""


def tracking_of(config: Mapping[str, Any]) -> Tracking:
    """The settings in a composed configuration; local files alone where it has none that hold together."""
    try:
        return _TRACKING.validate_json(canonical_json(config.get("tracking")))
    except (ValidationError, ValueError):
        return JsonlTracking(kind="jsonl")


def described(
    run_id: str,
    *,
    lane: str,
    config: Mapping[str, Any],
    labels: Mapping[str, str],
    tags: Iterable[str],
    identity: Mapping[str, JsonValue],
) -> TrackedRun:
    """A run as trackers show it. `labels` as in AttemptStart; `identity` is added to the configuration."""
    about = config.get("experiment") or {}
    name, sweep = str(about.get("name") or lane), labels.get("sweep", "")
    shown = {key: value for key, value in config.items() if key not in _UNTOLD}
    facts: dict[str, JsonValue] = {"run_id": run_id, **labels, **identity}
    experiment = labels.get("dvc_experiment")
    words = [f"lane:{lane}", *([f"dvc:{experiment}"] if experiment else []), *tags]
    drive, attempt = lookup(config, "lineage.drive"), lookup(config, "lineage.attempt")
    return TrackedRun(
        run_id=run_id,
        name=f"{name}-{lane}-attempt{attempt}-{run_id[:8]}" if drive else f"{name}-{lane}-{run_id[:8]}",
        group=sweep or (f"{name}-drive-{drive}" if drive else name),
        job_type=_job_type(labels, is_driven=bool(drive)),
        tags=tuple(dict.fromkeys(word[:_TAG_MAX_CHARS] for word in words)),
        notes="\n\n".join(str(about[key]).strip() for key in ("hypothesis", "notes") if about.get(key)),
        config={**shown, "interlock": facts},
    )


def _job_type(labels: Mapping[str, str], *, is_driven: bool) -> JobType:
    if labels.get("purpose") == "reproduce":
        return "reproduce"
    return "sweep" if labels.get("sweep") else "drive" if is_driven else "train"
