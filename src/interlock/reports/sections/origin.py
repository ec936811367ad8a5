"""Where a run comes from and what became of it: the drawn lineage, the card, the attempts."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from interlock.contracts.card import RunCard
from interlock.contracts.stage import Artifact
from interlock.contracts.verification import Verification
from interlock.reports.charts.svg import Svg, drawing, path, stretched
from interlock.reports.run_facts import RunFacts
from interlock.reports.sections.section import Section, counted

DIGITS = 12
"""Digits of a digest that are shown where the whole one stands elsewhere on the page."""
_KIB = 1024.0


@dataclass(frozen=True, kw_only=True)
class Node:
    """One box of the lineage."""

    kind: str
    """What it is: `dataset`, `run` ..."""
    name: str
    """Its name or id."""
    detail: str = ""
    """One line below."""
    state: str = ""
    """A verdict, which colours it."""
    missing: bool = False
    """Something that could be there and is not."""
    is_id: bool = False
    """The name is an id, set in a fixed width."""


def lineage(facts: RunFacts) -> Section | None:
    """Data, code and parents lead to the run; the run to its model, its judgement, its decision."""
    card = facts.view.card
    if card is None:
        return None
    columns = [_sources(facts, card), [_run(card)], [_model(facts, card)]]
    columns += [[_judgement(facts)], [_decision(facts)]]
    drawn = [{"nodes": nodes, "links": _links(len(nodes)) if index + 1 < len(columns) else None}
             for index, nodes in enumerate(columns)]  # fmt: skip
    history = [{"at": change.at, "text": f"{change.from_stage or 'new'} → {change.to_stage}", "reason": change.reason}
               for change in facts.history]  # fmt: skip
    return Section(
        id="lineage", title="Lineage", template="lineage.html.j2", values={"columns": drawn, "history": history},
        lead="Each box names the digest that the next one was made from.",
    )  # fmt: skip


def run_card(facts: RunFacts) -> Section | None:
    """Identity, configuration, environment, stages and files."""
    card = facts.view.card
    if card is None:
        return None
    return Section(
        id="card",
        title="Run card",
        template="card.html.j2",
        values={
            "identity": _identity(card),
            "environment": sorted(card.env.items()),
            "config": sorted(flat(card.hyperparameters.get("config", {})).items()),
            "stages": sorted(card.stages.items(), key=lambda item: list(card.stages).index(item[0])),
            "files": _files(card),
            "dataset": _dataset(facts.dataset),
            "proof": proof(facts.verification),
        },
        lead="What the run is, by digest. Everything but the environment and the cost enters its identity.",
    )


def attempts(facts: RunFacts) -> Section | None:
    """Every execution, those that were killed or failed included."""
    rows = [
        {
            "stage": row.start.stage,
            "id": row.start.attempt,
            "started": row.start.started_at.replace("T", " ").replace("+00:00", ""),
            "exit": row.end.exit if row.end else "running",
            "duration": _seconds(row.end.duration_s if row.end else None),
            "host": row.start.host,
            "error": row.end.error.removesuffix(": ") if row.end else "",
            "follows": row.start.follows or "",
        }
        for row in facts.view.attempts
    ]
    if not rows:
        return None
    bad = sum(row["exit"] not in ("completed", "running") for row in rows)
    return Section(
        id="attempts", title="Attempts", template="attempts.html.j2", values={"rows": rows},
        lead=f"{counted(len(rows), 'execution')}, {bad or 'none'} of them cut short. Times are UTC.",
    )  # fmt: skip


def flat(values: Any, prefix: str = "") -> dict[str, str]:
    """Nested values by dotted key, each as JSON on one line; text stands without quotes."""
    if isinstance(values, Mapping) and values:
        return {key: text for name, item in values.items() for key, text in flat(item, f"{prefix}{name}.").items()}
    return {prefix.rstrip("."): values if isinstance(values, str) else json.dumps(values, ensure_ascii=False)}


def size_text(size_bytes: int) -> str:
    """`812 B`, `4.4 KiB`, `16.1 MiB`."""
    size, units = float(size_bytes), ["B", "KiB", "MiB", "GiB", "TiB"]
    while size >= _KIB and len(units) > 1:
        size, units = size / _KIB, units[1:]
    return f"{size:.0f} B" if units[0] == "B" else f"{size:.1f} {units[0]}"


def proof(found: Verification | None) -> dict[str, Any] | None:
    """The badge: whether the chain of digests holds, and how much of it was looked at."""
    if found is None:
        return None
    broken = found.first_broken
    held = sum(link.state == "holds" for link in found.links)
    summary = f"{counted(held, 'link')} hold" if held != 1 else "1 link holds"
    summary += f", {counted(found.num_files, 'file')} ({size_text(found.size_bytes)}) read"
    if found.signed_by:
        summary += f"; signed by {', '.join(found.signed_by)}"
    return {
        "ok": found.ok,
        "summary": str(broken) if broken else summary,
        "unchecked": [f"{link.name}: {link.detail}" for link in found.unchecked],
    }


def _sources(facts: RunFacts, card: RunCard) -> list[Node]:
    documents = facts.dataset.get("documents")
    size = f", {documents:,} documents" if isinstance(documents, int) else ""
    commit = card.git_commit[:DIGITS] or "no commit"
    dirty = " + changes" if card.observations.git_dirty else ""
    return [
        Node(kind="dataset", name=card.dataset, detail=f"{card.dataset_sha256[:DIGITS]}{size}"),
        Node(kind="code", name=f"{commit}{dirty}", detail=card.code_sha256[:DIGITS], is_id=True),
        Node(kind="lock", name=f"Python {card.env.get('python_version', '?')}", detail=card.lock_sha256[:DIGITS]),
        *(_parent(card, role, name, verdict) for role, name, verdict in facts.parents),
    ]


def _parent(card: RunCard, role: str, run_id: str, verdict: str) -> Node:
    """A run that this one was made from."""
    is_unpassed = role.removeprefix("input ") in card.observations.unpassed_inputs
    detail = f"{verdict}, allowed" if is_unpassed else verdict
    return Node(kind=role, name=run_id, detail=detail, state=verdict, is_id=True)


def _run(card: RunCard) -> Node:
    return Node(kind="run", name=card.run_id, detail=f"{card.lane}, seed {card.seed}", is_id=True)


def _model(facts: RunFacts, card: RunCard) -> Node:
    if facts.model is None:
        reason = card.stages["export"].reason if "export" in card.stages else ""
        return Node(kind="model", name="not exported", detail="a gate before the export did not pass" if reason else "",
                    missing=True)  # fmt: skip
    return Node(kind=f"model · {facts.model.stage}", name=facts.model.id, detail=facts.model.sha256[:DIGITS],
                is_id=True)  # fmt: skip


def _judgement(facts: RunFacts) -> Node:
    if facts.judgement is None:
        return Node(kind="judgement", name="not judged", missing=True)
    found = facts.judgement
    return Node(
        kind="judgement", name=found.verdict.value, detail=found.judgement_id[:DIGITS], state=found.verdict.value
    )


def _decision(facts: RunFacts) -> Node:
    if facts.decision is None:
        return Node(kind="decision", name="none yet", missing=True)
    action = facts.decision.action.value.replace("_", " ")
    return Node(kind=f"decision · {facts.decision.policy}", name=action, detail=facts.decision.decision_id[:DIGITS])


def _links(num_nodes: int) -> Svg:
    """Curves from each of a column's boxes to the middle of the next column."""
    curves = []
    for index in range(num_nodes):
        start = 100 * (index + 0.5) / num_nodes
        points = [(100 * t, start + (50 - start) * (3 * t * t - 2 * t**3)) for t in (step / 16 for step in range(17))]
        curves.append(path(points, klass="link"))
    return drawing([stretched(curves)], height_px=100, label="leads to", klass="chart links")


def _identity(card: RunCard) -> list[tuple[str, str]]:
    seen = card.observations
    return [
        ("run", card.run_id),
        ("model name", card.name),
        ("lane", f"{card.lane} ({card.model_type})"),
        ("dataset", card.dataset),
        ("dataset digest", card.dataset_sha256),
        *_inputs(card),
        *_recovered(card),
        ("seed", str(card.seed)),
        ("configuration digest", card.config_sha256),
        ("code digest", card.code_sha256),
        ("lock digest", card.lock_sha256),
        ("commit", f"{card.git_commit or 'none'}{' with uncommitted changes' if seen.git_dirty else ''}"),
        (
            "reproducibility",
            f"{card.reproducibility.replace('_', ' ')} within {seen.machine_class or 'its machine class'}",
        ),
        ("hosts", ", ".join(seen.hosts)),
        ("duration", f"{seen.duration_mins:.1f} min"),
        ("cost", "unknown" if seen.spend.cost_usd is None else f"${seen.spend.cost_usd:,.2f}"),
    ]


def _inputs(card: RunCard) -> list[tuple[str, str]]:
    """Other runs that it was made from, by digest; one that had not passed says so."""
    unpassed = card.observations.unpassed_inputs
    notes = {name: f", allowed although its verdict was {verdict}" for name, verdict in unpassed.items()}
    return [(f"input {name}", f"{text}{notes.get(name, '')}") for name, text in sorted(card.inputs.items())]


def _recovered(card: RunCard) -> list[tuple[str, str]]:
    """The run before it, and every fault on the way."""
    parent = [("parent run", card.parent_run)] if card.parent_run else []
    return parent + [("recovered", told) for told in card.observations.recovery]


def _files(card: RunCard) -> list[dict[str, str]]:
    def rows(files: Mapping[str, Artifact], note: str) -> list[dict[str, str]]:
        return [{"name": name, "size": size_text(item.size_bytes), "sha256": item.sha256, "note": note}
                for name, item in sorted(files.items())]  # fmt: skip

    return rows(card.artifacts, "") + rows(card.observations.artifacts, "differs between executions")


def _dataset(card: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The dataset's card without its long lists."""
    kept = {key: value for key, value in card.items() if not isinstance(value, list)}
    return sorted((key, text) for key, text in flat(kept).items() if text not in ("null", "{}"))


def _seconds(duration_s: float | None) -> str:
    if duration_s is None:
        return ""
    return f"{duration_s:.1f} s" if duration_s < 120 else f"{duration_s / 60:.1f} min"
