"""`interlock diff A B`: what two archived runs differ in, and what that did. Reads both, measures nothing again."""

import os
import subprocess
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import interlock
from interlock.commands.screen import print_json, say
from interlock.contracts.card import RunCard
from interlock.errors import RegistryError, UsageError
from interlock.gates.sample import BlockedError
from interlock.provenance.files import write_atomic
from interlock.provenance.workspace import interlock_home
from interlock.registry import queries
from interlock.reports import difference as shown
from interlock.reports.difference import RunDifference
from interlock.reports.difference_screen import show
from interlock.reports.run_facts import Flip, RunFacts
from interlock.reports.sections.origin import flat
from interlock.runs.review.comparing import changes, flipped
from interlock.runs.review.facts import compared_facts, flip_shown, hit_rate, measured_run, query_texts, ranks_of
from interlock.stages.verdicts import Measured

WAY_OUT = "\n  way out: "
"""What separates an error's sentence from its hint."""
_GIT_TIMEOUT_S = 10.0
_SIDES = "A", "B"
_CODE = ("src", "pipelines", "conf", "requirements.lock")


def diff(workspace: Path, run_a: str, run_b: str, *, html: Path | None, as_json: bool) -> None:
    """Compare two runs on the screen, as JSON, or as a page.

    Raises UsageError for an unknown run, for a run without a card, and for a run and itself; RegistryError for a run
    whose files are not what they were.
    """
    found = difference(workspace, run_a, run_b)
    if html is not None:
        write_atomic(html, shown.difference_page(found, version=interlock.__version__))
    if as_json:
        print_json(as_values(found))
    else:
        show(found)
        if html is not None:
            say(f"page: {html}")


def difference(workspace: Path, run_a: str, run_b: str) -> RunDifference:
    """Everything that differs."""
    home = interlock_home(workspace)
    ids = [queries.find_run(home, run).run_id for run in (run_a, run_b)]
    if ids[0] == ids[1]:
        raise UsageError(
            "both are the same run", key="RUN_B", value=ids[1], hint="interlock runs list names the others"
        )
    a, b = (compared_facts(home, run_id) for run_id in ids)
    card_a, card_b = _card(a), _card(b)
    measured = [measured_run(home, run_id) for run_id in ids]
    flips, why = _flips(measured, query_texts(card_b, home, workspace=workspace))
    files, note = _files(workspace, card_a, card_b)
    return RunDifference(
        a=a,
        b=b,
        config=shown.differing(_config(card_a), _config(card_b)),
        data=shown.differing(_data(a, card_a), _data(b, card_b)),
        code=shown.differing(_code(card_a), _code(card_b)),
        files=files,
        code_note=note,
        environment=shown.differing(_environment(card_a), _environment(card_b)),
        metrics=changes(*measured),
        flips=flips,
        why_no_flips=why,
        gates=shown.gate_changes(a.judgement, b.judgement),
    )


def as_values(found: RunDifference) -> dict[str, Any]:
    """The difference as JSON types; an infinite bound is null."""
    return {
        "runs": [_side(item) for item in (found.a, found.b)],
        "config": [asdict(item) for item in found.config],
        "data": [asdict(item) for item in found.data],
        "code": {"digests": [asdict(item) for item in found.code], "files": found.files, "note": found.code_note},
        "environment": [asdict(item) for item in found.environment],
        "metrics": [
            {**_finite(asdict(item)), "reading": shown.reading(item, found)} for item in shown.shown_metrics(found)
        ],
        "flips": asdict(found.flips) if found.flips else None,
        "why_no_flips": found.why_no_flips,
        "gates": [
            {"gate": item.gate, "before": shown.gate_text(item.before), "after": shown.gate_text(item.after)}
            for item in found.gates
        ],
    }


def _side(facts: RunFacts) -> dict[str, Any]:
    return {
        "run_id": facts.run_id,
        "lane": facts.view.run.lane,
        "verdict": facts.verdict,
        "decision": facts.view.run.action,
    }


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    return None if isinstance(value, float) and abs(value) == float("inf") else value


def _card(facts: RunFacts) -> RunCard:
    if facts.problem:
        problem, _, hint = facts.problem.partition(WAY_OUT)
        raise RegistryError(f"cannot be compared: {problem}", key=f"run {facts.run_id}", hint=hint or None)
    if facts.view.card is None:
        raise UsageError(
            f"has no card, it is {facts.view.run.state}", key="run", value=facts.run_id, hint="let it finish: dvc repro"
        )
    return facts.view.card


def _config(card: RunCard) -> Mapping[str, str]:
    return flat(card.hyperparameters.get("config", {}))


def _data(facts: RunFacts, card: RunCard) -> dict[str, str]:
    counts = {key: str(value) for key, value in facts.dataset.items() if isinstance(value, int | float | str)}
    return {"dataset": card.dataset, "sha256": card.dataset_sha256, **counts}


def _code(card: RunCard) -> dict[str, str]:
    stages = {f"{name} stage": stage.code_sha256 for name, stage in card.stages.items()}
    return {"commit": card.git_commit, **stages}


def _environment(card: RunCard) -> dict[str, str]:
    return {
        "lock digest": card.lock_sha256,
        **card.env,
        "hardware": " ".join(f"{k}={v}" for k, v in card.hardware.items()),
    }


def _flips(measured: list[Measured], texts: Mapping[str, str]) -> tuple[Flip | None, str]:
    a, b = measured
    metric = hit_rate(b)
    if not metric:
        return None, "No rate was measured: nothing can flip."
    try:
        flips = flipped(a, b, metric)
    except BlockedError as blocked:
        return None, f"Not compared: {blocked.reason}."
    return flip_shown(flips, against="A", texts=texts, ranks=(ranks_of(b), ranks_of(a))), ""


def _files(workspace: Path, a: RunCard, b: RunCard) -> tuple[tuple[str, ...], str]:
    """Changed files by git, and what that does not cover."""
    dirty = [name for name, card in zip(_SIDES, (a, b), strict=True) if card.observations.git_dirty]
    note = (
        f"{' and '.join(dirty)} had uncommitted changes, which no commit shows; the digests cover them."
        if dirty
        else ""
    )
    if not a.git_commit or not b.git_commit or a.git_commit == b.git_commit:
        return (), note
    between = f"{a.git_commit}..{b.git_commit}"
    text = _git(workspace, "diff", "--stat=160,120", between, "--", *_CODE)
    if text is None:
        return (), f"{note} The commits are not both in this checkout.".strip()
    return tuple(line.strip() for line in text.splitlines() if line.strip()), note


def _git(workspace: Path, *words: str) -> str | None:
    """Standard output; None when git is missing, does not know a commit, or takes too long."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        done = subprocess.run(
            ["git", "-C", str(workspace), "--no-pager", *words], capture_output=True, check=False, text=True,
            timeout=_GIT_TIMEOUT_S, stdin=subprocess.DEVNULL, env={**clean, "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"},
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout if done.returncode == 0 else None
