"""The HTML report: one self-contained page of one or several runs.

Nothing is fetched when it is read: no script, no font, no picture from elsewhere, and a content security policy that
would refuse them.

    html = run_page([facts], title="default", subtitle="...")

Equal facts give equal bytes: no clock is read. Everything that comes from data is escaped; hostile text stays text.
Does not read the archive (`interlock.runs.review.facts`).
"""

from collections.abc import Sequence
from typing import Any

from interlock.contracts.verdict import Verdict, worst
from interlock.reports.run_facts import RunFacts
from interlock.reports.sections import decided, drive, gates, measured, origin, queries, reliability, sweep
from interlock.reports.sections.section import Section

WORDS = {
    "pass": ("Pass", "✓"),
    "fail": ("Fail", "✕"),
    "inconclusive": ("Inconclusive", "≈"),
    "blocked": ("Blocked", "⊘"),
    "": ("Not judged", "-"),
}
"""What a verdict is called on the page, with a sign that does not need colour."""


def run_page(runs: Sequence[RunFacts], *, title: str, subtitle: str = "", version: str = "") -> str:
    """The page of these runs, in this order. Raises ValueError without a run."""
    if not runs:
        raise ValueError("a report needs at least one run")
    shown = [_shown(facts) for facts in runs]
    return _render(
        "page.html.j2", title=title, subtitle=subtitle, runs=shown, version=version, verdict=_folded(runs), words=WORDS
    )


def render(template: str, **values: Any) -> str:
    """Render another page with the same frame. Raises jinja2's errors for a template that is wrong."""
    return _render(template, words=WORDS, **values)


def sections(facts: RunFacts) -> list[Section]:
    """The sections that this run has something to show in."""
    if facts.problem:
        return [gates.headline(facts)]
    makers = (
        gates.gates, decided.decided, drive.drive, measured.quality, reliability.reliability, queries.queries,
        measured.training, sweep.sweep, origin.lineage, measured.measurements, origin.run_card, origin.attempts,
    )  # fmt: skip
    return [gates.headline(facts), *(found for make in makers if (found := make(facts)) is not None)]


def when(seconds: int | None) -> str:
    """A time in seconds since 1970 as UTC, to the minute."""
    from datetime import UTC, datetime

    return "-" if seconds is None else datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")


def _shown(facts: RunFacts) -> dict[str, Any]:
    return {"facts": facts, "sections": sections(facts), "verdict": facts.verdict.value if facts.verdict else ""}


def _folded(runs: Sequence[RunFacts]) -> str:
    """The worst verdict; a run that was not judged or cannot be trusted blocks."""
    return worst(facts.verdict if facts.verdict and facts.is_sound else Verdict.BLOCKED for facts in runs).value


def _render(template: str, **values: Any) -> str:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("interlock.reports", "html"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["when"] = when
    return environment.get_template(template).render(**values) + "\n"
