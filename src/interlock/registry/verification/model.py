"""From the run card down: the files it lists, the stage records, and the run's id; each must follow from the next."""

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from interlock.contracts.answer import Usage
from interlock.contracts.card import RunCard
from interlock.contracts.lane import BODY_KEYS
from interlock.contracts.stage import STAGE_INPUTS, Artifact, StageName, StageRecord
from interlock.contracts.verification import Link
from interlock.errors import InterlockError
from interlock.provenance import chain
from interlock.provenance.canonical import canonical_json, pretty_json, sha256_json
from interlock.provenance.identity import input_digests, run_id
from interlock.registry.cards import NOTHING, make_card
from interlock.registry.kept import SUPERSEDED
from interlock.registry.layout import CARD, MODEL_STAGES, RECORDS, FinishedRun, placements
from interlock.registry.spending import recorded_answers
from interlock.registry.verification.archived import Archived, as_finished, read_contract, record_name
from interlock.registry.verification.findings import Findings, shown

TRAIN_LOG = "train_log.jsonl"


def check_files(archived: Archived) -> list[Link]:
    """Every file of `models/` against the card: changed, missing, and listed nowhere."""
    findings = Findings(section="files", home=archived.home)
    card = archived.card
    if card is None:
        findings.unchecked("run card -> files", "there is no card to read")
        return findings.links
    listed = {**card.artifacts, **card.observations.artifacts}
    for name in (*card.model_files, *sorted(set(listed) - set(card.model_files))):
        _check_file(archived, name, listed.get(name), findings)
    names = {name.removeprefix("models/") for name in archived.files if name.startswith("models/")}
    for name in sorted(names - set(listed) - {CARD, SUPERSEDED.removeprefix("models/")}):
        path = archived.folder / "models" / name
        if name.rpartition("/")[2].startswith(".") and name.endswith(".part"):
            findings.unchecked(f"models/{name}", "left of an unfinished write", path=path, way_out="interlock sync")
        else:
            findings.broken(
                f"run card -> models/{name}", "the card lists no such file", path=path, way_out="remove the file"
            )
    return [*findings.links, *_check_train_logs(archived)]


def _check_file(archived: Archived, name: str, stated: Artifact | None, findings: Findings) -> None:
    link, path = f"run card -> models/{name}", archived.folder / "models" / name
    found = archived.files.get(f"models/{name}")
    if stated is None:
        findings.broken(link, "the card names it as a model file and states no digest", path=path)
    elif found is None:
        findings.broken(link, "the file is missing", path=path)
    elif found.sha256 != stated.sha256:
        findings.broken(link, f"sha256 is {shown(found.sha256)}, the card says {shown(stated.sha256)}", path=path)
    elif found.size_bytes != stated.size_bytes:
        findings.broken(link, f"it has {found.size_bytes} bytes, the card says {stated.size_bytes}", path=path)
    else:
        findings.holds(link, path=path)


def _check_train_logs(archived: Archived) -> list[Link]:
    """Training logs are chains of their own: a line cannot be changed without all lines after it."""
    findings = Findings(section="files", home=archived.home)
    for name in sorted(archived.files):
        if name.rpartition("/")[2] == TRAIN_LOG:
            broken = chain.verify(archived.folder / name)
            if broken:
                findings.broken(f"{name} line {broken.number}", broken.reason, path=archived.folder / name)
            else:
                findings.holds(f"{name}: the chain", path=archived.folder / name)
    return findings.links


def read_records(archived: Archived, findings: Findings) -> dict[StageName, StageRecord]:
    """The records that the card covers."""
    records: dict[StageName, StageRecord] = {}
    for stage in MODEL_STAGES if archived.card else ():
        assert archived.card is not None
        name = record_name(archived.card, stage)
        found = read_contract(archived.folder / "models" / name, StageRecord, f"models/{name}", findings)
        if found is not None:
            records[stage] = found
    return records


def check_records(archived: Archived, records: Mapping[StageName, StageRecord]) -> list[Link]:
    """The records fit each other, give the run its id, and the card is what they make."""
    findings = Findings(section="stages", home=archived.home)
    for stage, record in records.items():
        _check_record(archived, stage, record, findings)
        for needed in STAGE_INPUTS[stage]:
            _check_input(archived, record, needed, records, findings)
    if {"prepare", "train"} <= set(records):
        _check_run_id(archived, records, findings)
    finished = as_finished(archived, records, findings) if archived.card else None
    if finished is not None:
        _check_card(archived, finished, findings)
    return findings.links


def _check_record(archived: Archived, stage: StageName, record: StageRecord, findings: Findings) -> None:
    assert archived.card is not None
    path = archived.folder / "models" / record_name(archived.card, stage)
    name = f"{stage} record"
    wanted_run = None if stage == "prepare" else archived.run_id
    if (record.stage, record.run_id) != (stage, wanted_run):
        findings.broken(f"{name} -> run", f"it is of {record.stage}, run {record.run_id}", path=path)
    findings.agree(
        f"{name} -> its configuration", record.params_sha256, sha256_json(record.params), says="the record", path=path
    )


def _check_input(
    archived: Archived,
    record: StageRecord,
    needed: StageName,
    records: Mapping[StageName, StageRecord],
    findings: Findings,
) -> None:
    """A stage names the digest of what each earlier one handed over, which follows from that one's record."""
    assert archived.card is not None
    path = archived.folder / "models" / record_name(archived.card, record.stage)
    name = f"{record.stage} -> {needed}"
    if needed not in records:
        findings.broken(name, f"the record of {needed} cannot be read", path=path)
        return
    findings.agree(name, record.inputs.get(needed), outputs_sha256(records[needed]), says=record.stage, path=path)


def outputs_sha256(record: StageRecord) -> str:
    """Digest of the `outputs.json` that belongs to a record."""
    return hashlib.sha256(pretty_json(record.outputs()).encode()).hexdigest()


def _check_run_id(archived: Archived, records: Mapping[StageName, StageRecord], findings: Findings) -> None:
    """The id is a digest over configuration, data, code and lock: none of them can be changed under it."""
    train, prepare = records["train"], records["prepare"]
    name = "train record -> run id"
    path = archived.folder / "models" / RECORDS / "train.json"
    lane = train.params.get("lane")
    try:
        found = run_id(
            lane_body={key: value for key, value in lane.items() if key in BODY_KEYS} if isinstance(lane, dict) else {},
            seed=int(str(train.params.get("seed"))),
            hardware=_mapping(train.params.get("hardware")),
            dataset_sha256=str(prepare.facts.get("dataset_sha256")),
            input_digests=input_digests(train),
            code_sha256=train.code_sha256,
            lock_sha256=train.lock_sha256,
        )
    except InterlockError as error:
        findings.failed(name, error)
    except ValueError:
        findings.broken(name, "its configuration has no seed", path=path)
    else:
        if found != archived.run_id:
            detail = f"configuration, data, inputs, code and lock give {found}, the run is called {archived.run_id}"
            findings.broken(name, detail, path=path)
        else:
            findings.holds(name, found, path=path)


def _check_card(archived: Archived, finished: FinishedRun, findings: Findings) -> None:
    """The card is made anew from records and observations; every field must come out the same."""
    card = archived.card
    assert card is not None
    path = archived.folder / "models" / CARD
    try:
        placed = placements(finished)
        where = {target: f"{item.stage}/{item.name}" for target, item in placed.items()}
        model_files = tuple(where[name] for name in card.model_files if name in where)
        known = replace(finished, model_files=model_files, parent_run=_led_here(archived, finished, findings))
        kept = {name: card.artifacts[name] for name in (record_name(card, stage) for stage in MODEL_STAGES)}
        made = make_card(path.parent, known, placed=placed, records=kept, spent=_spent_by_then(archived, card))
    except InterlockError as error:
        findings.failed("stage records -> run card", error)
        return
    except (KeyError, TypeError, ValueError, RecursionError, OSError) as error:
        findings.broken("stage records -> run card", f"the card cannot be made from them: {error}", path=path)
        return
    for field, stated, found in _differences(card, made):
        detail = f"the card says {shown(stated)}, the records give {shown(found)}"
        findings.broken(f"stage records -> run card: {field}", detail, path=path)
    if not findings.has_broken:
        findings.holds("stage records -> run card", "every field follows from them", path=path)


def _led_here(archived: Archived, finished: FinishedRun, findings: Findings) -> str | None:
    """The parent that the card states, where a decide stage was told of it; healing's own stands in train's record."""
    assert archived.card is not None
    stated, healed = archived.card.parent_run, finished.stages["train"].observations.facts.get("parent_run")
    records = [name for name in archived.files if name.startswith("decisions/") and name.endswith("/record.json")]
    if stated is None or stated == healed:
        return None
    if not records:
        detail = "nobody has decided upon this run yet, so nothing but the card says where it comes from"
        findings.unchecked("lineage -> run card: parent_run", detail, way_out="give the drive's command again")
        return stated
    read = (read_contract(archived.folder / name, StageRecord, name, findings) for name in sorted(records))
    told = [record.params.get("lineage") for record in read if record is not None]
    return stated if any(isinstance(item, dict) and item.get("parent_run") == stated for item in told) else None


def _spent_by_then(archived: Archived, card: RunCard) -> Usage:
    """What the answers up to some moment cost, where that is what the card says; else what all of them cost."""
    stated = (card.observations.spend.tokens, card.observations.spend.cost_usd)
    sum_so_far = NOTHING
    for item in recorded_answers(archived.folder, skip_damaged=True):
        if stated == (sum_so_far.tokens, sum_so_far.usd if sum_so_far.calls else None):
            break
        sum_so_far += item.answer.usage
    return sum_so_far


def _differences(card: RunCard, made: RunCard) -> list[tuple[str, Any, Any]]:
    stated, found = card.model_dump(mode="json"), made.model_dump(mode="json")
    for values in (stated, found):
        for field in ("observations", "results"):
            values |= {f"{field}.{key}": value for key, value in values.pop(field).items()}
    return [
        (key, stated.get(key), found.get(key))
        for key in {**stated, **found}
        if canonical_json(stated.get(key)) != canonical_json(found.get(key))
    ]


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
