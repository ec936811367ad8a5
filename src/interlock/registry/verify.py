"""Verify archived runs: from the registry's entry down to the data, every byte and every digest between.

    found = verify_run(home, run_id, workspace=workspace, public_key=key)
    found.ok, found.first_broken, found.unchecked

Reads alone, and never raises for what it finds: a broken link says what is wrong and where. What is not at hand (the
prepared data, the code of a commit, a key) is told as `unchecked`. Without a public key somebody who can write to the
home and recomputes every digest is not found out; with one, everything about the run must be signed by that key.

The chain of one run goes on in the runs that it was made from; of a whole home each run is verified by itself.
Does not judge again or look for the code: `interlock.runs.proof.prove` adds that.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from interlock.contracts.verification import SECTIONS, HomeVerification, Link, Verification
from interlock.provenance.identity import RUN_ID_PATTERN
from interlock.provenance.signing import load_public
from interlock.registry.kept import COMPLETE_BY
from interlock.registry.layout import CARD
from interlock.registry.verification.answered import check_answers, check_cited, check_journal
from interlock.registry.verification.archived import Archived, read_archived
from interlock.registry.verification.attempts import check_attempts
from interlock.registry.verification.data import check_data, check_lock
from interlock.registry.verification.entries import check_entry, check_kept, check_places, check_statements
from interlock.registry.verification.findings import SYNC, Findings
from interlock.registry.verification.inputs import Follow, check_inputs
from interlock.registry.verification.logs import Logs, read_logs
from interlock.registry.verification.model import check_files, check_records, read_records
from interlock.registry.verification.shown_index import check_index
from interlock.registry.verification.signed import Growth, Positions, check_signature, signed_positions
from interlock.registry.verification.statements import check_decisions, check_judgements

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey


def verify_run(
    home: Path,
    run_id: str,
    *,
    workspace: Path | None = None,
    public_key: Path | None = None,
    threads: int | None = None,
) -> Verification:
    """The chain of one run.

    Args:
        home: Archive and registry.
        run_id: The whole id.
        workspace: Where prepared data and lock are looked for; None: nowhere but in the home.
        public_key: PEM file of the Ed25519 key that must have signed the run; None: signatures are compared with the
            archive, and their keys are not checked.
        threads: How many files are hashed at a time; at most four of the processors at hand by default.

    Raises ProvenanceError for text that is no run id, UsageError for a key that cannot be read.
    """
    state = _read(home, workspace, load_public(public_key) if public_key else None)
    follow = _following(state, frozenset({run_id}))
    return _verify(state, run_id, index=check_index(home, only=run_id), threads=threads, follow=follow)


def verify_for_signing(home: Path, run_id: str, key: "Ed25519PublicKey") -> Verification:
    """The chain of a run that is about to be signed with `key`.

    What the key has signed before must all still be so; what has come since is expected.
    """
    state = replace(_read(home, None, key), growth=Growth.EXPECTED)
    return _verify(state, run_id, index=check_index(home, only=run_id))


def verify_home(home: Path, *, workspace: Path | None = None, public_key: Path | None = None) -> HomeVerification:
    """Every run of a home; runs that the log names and the archive lacks, and the other way round."""
    state = _read(home, workspace, load_public(public_key) if public_key else None)
    logs = state.logs
    findings = Findings(section="event log", home=home)
    here = {path.name for path in (home / "runs").glob("*") if path.is_dir()}
    for name in sorted(name for name in here if not re.fullmatch(RUN_ID_PATTERN, name)):
        here.remove(name)
        detail = "it is not named as a run is"
        findings.broken(f"runs/{name}", detail, path=home / "runs" / name, way_out="move it elsewhere")
    removed = {line.event.run_id: line.event.kind == "removed" for line in logs.lines if line.event.run_id}
    named = {line.event.run_id for line in logs.lines if line.event.kind == "run_archived"}
    for run_id in sorted(named - here):
        if removed.get(run_id):
            findings.unchecked(f"event log -> runs/{run_id}", "this home gave up its copy", way_out="interlock pull")
        else:
            findings.broken(f"event log -> runs/{run_id}", "the run's folder is missing", path=home / "runs" / run_id)
    whole = {run_id for run_id in here if (home / "runs" / run_id / "models" / CARD).is_file()}
    for run_id in sorted(here - whole - named):
        detail = "it has no card: the run has not finished, or its card is gone"
        findings.unchecked(f"runs/{run_id}", detail, path=home / "runs" / run_id, way_out=SYNC)
    runs = tuple(_verify(state, run_id, index=()) for run_id in sorted(here & (whole | named)))
    return HomeVerification(links=(*logs.links, *findings.links, *check_index(home)), runs=runs)


@dataclass(frozen=True, kw_only=True)
class _Home:
    """What all runs of a home are checked against, read once."""

    home: Path
    logs: Logs
    workspace: Path | None
    key: "Ed25519PublicKey | None"
    growth: Growth
    positions: Positions


def _read(home: Path, workspace: Path | None, key: "Ed25519PublicKey | None") -> _Home:
    return _Home(
        home=home,
        logs=read_logs(home),
        workspace=workspace,
        key=key,
        growth=Growth.TOLD if key is None else Growth.BROKEN,
        positions=signed_positions(home, key),
    )


def _following(state: _Home, seen: frozenset[str]) -> Follow:
    """Verify runs that a run was made from, each once on the way down; their signatures are theirs to state."""

    def first_broken(run_id: str) -> Link | None:
        if run_id in seen:
            return None
        reading = Findings(section="run card", home=state.home)
        archived = read_archived(state.home, run_id, reading)
        links = [*reading.links, *_links(archived, state, follow=_following(state, seen | {run_id}))]
        return next((link for link in in_order(links) if link.state == "broken"), None)

    return first_broken


def _verify(
    state: _Home, run_id: str, *, index: Iterable[Link], threads: int | None = None, follow: Follow | None = None
) -> Verification:
    reading = Findings(section="run card", home=state.home)
    archived = read_archived(state.home, run_id, reading, threads=threads)
    signature, signed_by = check_signature(
        archived, state.logs, state.key, growth=state.growth, positions=state.positions
    )
    links = [*state.logs.links, *reading.links, *_links(archived, state, follow=follow), *index, *signature]
    return Verification(
        run_id=run_id,
        links=in_order(links),
        num_files=len(archived.files),
        size_bytes=sum(item.size_bytes for item in archived.files.values()),
        signed_by=signed_by,
    )


def _links(archived: Archived, state: _Home, *, follow: Follow | None) -> list[Link]:
    logs, workspace = state.logs, state.workspace
    parsing = Findings(section="stages", home=archived.home)
    records = read_records(archived, parsing)
    links = [
        *check_entry(archived, logs),
        *check_files(archived),
        *check_places(archived),
        *parsing.links,
        *check_records(archived, records),
        *check_data(archived, records.get("prepare"), workspace),
        *check_lock(archived, workspace),
        *check_inputs(archived, records, follow, logs=state.logs),
        *check_statements(archived, logs, "judgements"),
        *check_judgements(archived, records),
        *check_statements(archived, logs, "decisions"),
        *check_answers(archived, logs),
        *check_decisions(archived),
        *check_cited(archived),
        *check_journal(archived, logs),
        *check_attempts(archived),
    ]
    for kind in COMPLETE_BY:
        links += check_kept(archived, logs, kind)
    return links


def in_order(links: Iterable[Link]) -> tuple[Link, ...]:
    """Links in the order of the chain."""
    return tuple(sorted(links, key=lambda link: SECTIONS.index(link.section)))
