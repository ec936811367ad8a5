"""Judgements and decisions: the stage that made them, what it read, and that each decision is about a judgement here.

Does not judge again: that needs the gates (`interlock.runs.proof.prove`).
"""

from collections.abc import Iterable, Mapping
from pathlib import Path

from interlock.contracts.decision import Decision
from interlock.contracts.stage import STAGE_INPUTS, StageName, StageRecord
from interlock.contracts.verdict import Judgement
from interlock.contracts.verification import Link
from interlock.provenance.canonical import sha256_json
from interlock.registry.derive import DECISION, JUDGEMENT
from interlock.registry.verification.archived import Archived, read_contract
from interlock.registry.verification.findings import Findings, shown
from interlock.registry.verification.model import outputs_sha256
from interlock.registry.verification.releases import check_release

_RECORD = "record.json"


def check_judgements(archived: Archived, records: Mapping[StageName, StageRecord]) -> list[Link]:
    """Each judgement of the pipeline: its files, and that it read what the archive holds."""
    findings = Findings(section="judgements", home=archived.home)
    known = known_outputs(archived, records)
    for entry in archived.entries("judgements"):
        name = f"judgements/{shown(entry)}"
        folder = archived.folder / "judgements" / entry
        record = _record(archived, folder, "judge", name, findings)
        if record is None:
            continue
        for needed in STAGE_INPUTS["judge"]:
            _check_read(record, needed, known, f"{name} -> {needed}", findings, folder)
        judgement = read_contract(folder / JUDGEMENT, Judgement, name, findings)
        if judgement is not None:
            facts = {"verdict": judgement.verdict.value, "judgement_id": judgement.judgement_id}
            findings.agree(f"{name} record -> verdict", record.facts, facts, says="the record", path=folder / _RECORD)
    return findings.links


def check_decisions(archived: Archived) -> list[Link]:
    """Each decision: its files, and the judgement that it is about."""
    findings = Findings(section="decisions", home=archived.home)
    judgements = _judgements(archived)
    for entry in archived.entries("decisions"):
        name, folder = f"decisions/{shown(entry)}", archived.folder / "decisions" / entry
        decision = read_contract(folder / DECISION, Decision, name, findings)
        if decision is None:
            continue
        if decision.kind == "release":
            check_release(archived, entry, decision, findings)
            continue
        about = judgements.get(decision.judgement_id, [])
        link = f"{name} -> judgements/{shown(decision.judgement_id)}"
        if not about:
            findings.broken(link, "the archive has no such judgement", path=folder / DECISION)
        elif all(judgement.verdict is not decision.verdict for judgement, _ in about):
            detail = f"its verdict is {about[0][0].verdict}, the decision says {decision.verdict}"
            findings.broken(link, detail, path=folder / DECISION)
        else:
            findings.holds(link, decision.action.value)
        record = _record(archived, folder, "decide", name, findings)
        if record is not None:
            read = {outputs for _, outputs in about if outputs}
            _check_read(record, "judge", {"judge": read}, f"{name} -> judge", findings, folder)
    return findings.links


def known_outputs(archived: Archived, records: Mapping[StageName, StageRecord]) -> dict[StageName, set[str]]:
    """What each stage has handed over, in the card's records, superseded ones and revisions."""
    known: dict[StageName, set[str]] = {stage: {outputs_sha256(record)} for stage, record in records.items()}
    for name in archived.files:
        is_revision = name.startswith("revisions/") and name.endswith(f"/{_RECORD}")
        if is_revision or name.startswith("models/records/"):
            try:
                record = StageRecord.model_validate_json((archived.folder / name).read_bytes())
            except (OSError, ValueError):
                continue
            known.setdefault(record.stage, set()).add(outputs_sha256(record))
    return known


def _record(archived: Archived, folder: Path, stage: StageName, name: str, findings: Findings) -> StageRecord | None:
    """The record beside a statement of the pipeline, checked against the files that it lists."""
    inside = folder.relative_to(archived.folder).as_posix()
    if f"{inside}/{_RECORD}" not in archived.files:
        return None  # made by hand: the event log alone has its digests
    record = read_contract(folder / _RECORD, StageRecord, f"{name} record", findings)
    if record is None:
        return None
    if (record.stage, record.run_id) != (stage, archived.run_id):
        findings.broken(f"{name} record", f"it is of {record.stage}, run {record.run_id}", path=folder / _RECORD)
    for file, artifact in record.artifacts.items():
        found = archived.sha256(f"{inside}/{file}")
        link = f"{name} record -> {file}"
        if found is None:
            findings.broken(link, "the file is missing", path=folder / file)
        else:
            findings.agree(link, artifact.sha256, found, says="the record", path=folder / file)
    findings.agree(
        f"{name} record -> its configuration",
        record.params_sha256,
        sha256_json(record.params),
        says="the record",
        path=folder / _RECORD,
    )
    return record


def _check_read(
    record: StageRecord,
    needed: StageName,
    known: Mapping[StageName, Iterable[str]],
    link: str,
    findings: Findings,
    folder: Path,
) -> None:
    stated = record.inputs.get(needed)
    if stated in set(known.get(needed, ())):
        findings.holds(link)
    elif needed == "export" and stated is not None:
        # A shipped model stays shipped: an export that was skipped later leaves nothing in the archive.
        findings.unchecked(link, f"it read {shown(stated)}, an export of which the archive keeps nothing")
    else:
        findings.broken(link, f"it read {shown(stated)}, the archive holds no such result", path=folder / _RECORD)


def _judgements(archived: Archived) -> dict[str, list[tuple[Judgement, str]]]:
    """Judgements by id with the digest of what their stage handed over; '' for one made by hand."""
    found: dict[str, list[tuple[Judgement, str]]] = {}
    for entry in archived.entries("judgements"):
        folder = archived.folder / "judgements" / entry
        try:
            judgement = Judgement.model_validate_json((folder / JUDGEMENT).read_bytes())
            record = folder / _RECORD
            outputs = outputs_sha256(StageRecord.model_validate_json(record.read_bytes())) if record.is_file() else ""
        except (OSError, ValueError):
            continue
        found.setdefault(judgement.judgement_id, []).append((judgement, outputs))
    return found
