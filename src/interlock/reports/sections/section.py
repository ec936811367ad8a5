"""What a section of the page is, and how sections write numbers."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from interlock.reports.figures import figure


@dataclass(frozen=True, kw_only=True)
class Section:
    """One section of a run."""

    id: str
    """Anchor, unique within a run."""
    title: str
    """Heading."""
    template: str
    """File under `reports/html/sections/`."""
    values: Mapping[str, Any]
    """What the template shows."""
    lead: str = ""
    """One sentence under the heading: what the reader is looking at."""


_SMALLEST = 5e-4
"""Under this a number would read 0.000."""


def number_text(value: float | None, unit: str = "") -> str:
    """A number as `figure` writes it; one that would read 0.000 in two significant digits: `7.7e-07`."""
    if value is not None and 0 < abs(value) < _SMALLEST:
        return f"{value:.2g}{figure(1.0, unit)[5:]}"
    return figure(value, unit)


def counted(number: int, one: str, many: str = "") -> str:
    """`1 gate`, `3 gates`, `12,000 queries`."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"
