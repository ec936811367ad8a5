"""The SQLite index against the events: it must be what folding them anew gives."""

from pathlib import Path

from interlock.contracts.verification import Link
from interlock.errors import InterlockError
from interlock.registry import index
from interlock.registry.verification.findings import Findings

_WAY_OUT = "interlock registry rebuild"


def check_index(home: Path, *, only: str | None = None) -> list[Link]:
    """Compare all rows; with `only`, report differences in rows that name this run alone."""
    findings = Findings(section="index", home=home)
    path = index.index_path(home)
    name = "event log -> registry/models.db"
    if not path.is_file():
        findings.unchecked(name, "there is no index; the next command makes it", path=path, way_out=_WAY_OUT)
        return findings.links
    try:
        wanted, found = index.anew(home), index.rows(home)
        if wanted != found:
            index.refresh(home)  # an index that is merely behind takes in what came since
            found = index.rows(home)
    except InterlockError as error:
        findings.failed(name, error)
        return findings.links
    for table, rows in wanted.items():
        for row in set(map(repr, rows)) ^ set(map(repr, found[table])):
            if only is None or only in row:
                findings.broken(name, f"a row of {table} is not what the events say", path=path, way_out=_WAY_OUT)
                return findings.links
    findings.holds(name, path=path)
    return findings.links
