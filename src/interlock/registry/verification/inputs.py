"""Other runs that a run was made from: every stage read the same ones, and the archived ones are still those."""

from collections.abc import Callable, Mapping

from interlock.contracts.input import PASSED, InputUse, pinned
from interlock.contracts.stage import StageName, StageRecord
from interlock.contracts.verification import Link
from interlock.provenance.dotted import lookup
from interlock.provenance.identity import input_sha256
from interlock.registry.layout import CARD, RECORDS, run_folder
from interlock.registry.verification.archived import Archived, read_contract
from interlock.registry.verification.findings import Findings, shown
from interlock.registry.verification.logs import Logs

Follow = Callable[[str], Link | None]
"""Gives the first broken link of another archived run; None when its chain holds."""

_READING: tuple[StageName, ...] = ("prepare", "train", "evaluate")


def check_inputs(
    archived: Archived, records: Mapping[StageName, StageRecord], follow: Follow | None, *, logs: Logs | None = None
) -> list[Link]:
    """The inputs of a run; with `follow` also the whole chain of each of them, with `logs` that a pass was one."""
    findings = Findings(section="inputs", home=archived.home)
    train = records.get("train")
    if train is None:
        return []
    for stage in _READING:
        if stage in records:
            _check_stage(archived, records[stage], train, findings)
    for name, use in train.lane_inputs.items():
        _check_run(archived, name, use, findings, follow)
    if logs is not None and "prepare" in records:
        _check_passes(archived, records["prepare"], logs, findings)
    return findings.links


def _check_passes(archived: Archived, prepare: StageRecord, logs: Logs, findings: Findings) -> None:
    """Of an archived run the logs know every judgement; a pass that none of them knows was laid there to be used."""
    for name, use in prepare.lane_inputs.items():
        lines = [line for line in logs.of_run(use.run_id) if line.event.kind == "judged"]
        known = {line.event.body["verdict"] for line in lines}
        if use.reference.startswith("run:") and use.verdict == PASSED and known and PASSED not in known:
            path = archived.folder / "models" / RECORDS / "prepare.json"
            detail = (
                f"it read a pass, and run {use.run_id} was only ever judged {' and '.join(sorted(map(str, known)))}"
            )
            findings.broken(f"prepare -> verdict of input {name}", detail, path=path)


def _check_stage(archived: Archived, record: StageRecord, train: StageRecord, findings: Findings) -> None:
    """The record read what its configuration names, and what train read."""
    path = archived.folder / "models" / RECORDS / f"{record.stage}.json"
    named = lookup(record.params, "lane.inputs") or {}
    read = {name: use.reference for name, use in record.lane_inputs.items()}
    if named or read:
        findings.agree(f"{record.stage} -> lane.inputs", read, named, says=record.stage, path=path)
    for name, use in record.lane_inputs.items():
        link, of_train = f"{record.stage} -> input {name}", train.lane_inputs.get(name)
        is_pinned = use.reference.startswith("run:")
        if of_train is None or (use.run_id, use.sha256) != (of_train.run_id, of_train.sha256):
            was = of_train.run_id if of_train else "no run"
            findings.broken(link, f"it read run {use.run_id}, train read {was}, or other files of it", path=path)
        elif is_pinned and use.reference != pinned(use.run_id, use.sha256):
            findings.broken(link, f"it read {shown(pinned(use.run_id, use.sha256))}, not {use.reference}", path=path)
        elif record.stage == "prepare" and use.verdict != PASSED and not _is_allowed(record, name):
            findings.broken(link, f"its verdict was {use.verdict}, and nobody allowed that", path=path)
        else:
            findings.holds(link, path=path)


def _is_allowed(prepare: StageRecord, name: str) -> bool:
    allowed = lookup(prepare.params, "lane.allow_unpassed")
    return isinstance(allowed, dict) and allowed.get(name) is True


def _check_run(archived: Archived, name: str, use: InputUse, findings: Findings, follow: Follow | None) -> None:
    """The archived run gives the digest that was used, and its own chain holds."""
    link, models = f"input {name} -> run {use.run_id}", run_folder(archived.home, use.run_id) / "models"
    if not (models / CARD).is_file():
        findings.unchecked(link, "that run is not in this archive", way_out="interlock pull, or sync where it was made")
        return
    found = [
        read_contract(models / RECORDS / f"{stage}.json", StageRecord, f"{link}: its record of {stage}", findings)
        for stage in ("prepare", "train")
    ]
    if found[0] is None or found[1] is None:
        return
    if not findings.agree(link, use.sha256, input_sha256(found[0], found[1]), says="train", path=models / CARD):
        return
    broken = follow(use.run_id) if follow else None
    if broken is not None:
        path = archived.home / broken.path if broken.path else None
        findings.broken(f"{link}: {broken.name}", broken.detail, path=path, way_out=broken.way_out)
