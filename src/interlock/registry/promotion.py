"""Promote a model: check that it is proven and that the move exists, then write it down as an event.

    promote(home, "query_tower_docs", to="staging", by="Ada", reason="beats BM25", gates_sha256=...)

The event is the source; who holds a stage follows from the events of everybody (`interlock.registry.stages`). What was
true when a model was promoted is not looked at again here: `interlock status` and `interlock verify` do that. Approvals
by more than one person are not covered.
"""

import hashlib
from pathlib import Path

from interlock.contracts.verdict import Judgement, Verdict
from interlock.errors import ProvenanceError, RegistryError, UsageError
from interlock.provenance.attempts import run_lock
from interlock.provenance.canonical import plain
from interlock.provenance.environment import redact_text
from interlock.registry import index
from interlock.registry.archive import read_card
from interlock.registry.derive import JUDGEMENT, JUDGEMENTS, run_proposals, statement_proposal, statements
from interlock.registry.events import Line, Proposal, append_new, union
from interlock.registry.holders import holders
from interlock.registry.queries import ModelRow, show_model
from interlock.registry.stages import TRANSITIONS, Promoted, Target
from interlock.registry.verify import verify_run

LOCK_WAIT_S = 60.0
_TEXT_MAX_CHARS = 500


def promote(
    home: Path, model: str, *, to: Target, by: str, reason: str, gates_sha256: str | None = None
) -> tuple[str, Promoted]:
    """Promote a model, given by its name or a beginning of it; returns its name and what was written down.

    `gates_sha256` is the digest of the lane's gates as they are configured now: the newest judgement must have used
    them. Raises UsageError for an unknown model, an illegal move or empty words, RegistryError when the newest
    judgement is no pass or of other gates, ProvenanceError when a byte of the run differs.
    """
    told = {"by": _words("--by", by), "reason": _words("--reason", reason)}
    with run_lock(home, "promotion", wait_s=LOCK_WAIT_S):
        row = show_model(home, model).model
        _refuse_illegal(row, to)
        _refuse_broken(home, row)
        lane = read_card(home, row.run_id).lane
        judgement = _passing(home, row, lane=lane, gates_sha256=gates_sha256)
        replaced = tuple(
            sorted({name for item in holders(home) if (item.lane, item.stage) == (lane, to) for name in item.models})
        )
        promoted = Promoted(
            lane=lane,
            before=row.stage,
            to=to,
            **told,
            run_id=row.run_id,
            judgement_id=judgement.judgement_id,
            sha256=row.sha256,
            replaces=tuple(name for name in replaced if name != row.id),
        )
        append_new(home, [Proposal(kind="promoted", subject=row.id, body=plain(promoted))])
        index.refresh(home)
    return row.id, promoted


def _words(key: str, text: str) -> str:
    kept = redact_text(" ".join(text.split()))
    if not kept or len(kept) > _TEXT_MAX_CHARS:
        raise UsageError(
            f"needs 1 to {_TEXT_MAX_CHARS} characters", key=key, value=text, hint="who promotes, and why, is kept"
        )
    return kept


def _refuse_illegal(row: ModelRow, to: Target) -> None:
    stage = row.stage
    if to in TRANSITIONS[stage] or (row.stage == to and row.contested_by):
        return
    ways = [name for name in TRANSITIONS[stage] if name != "archived"]
    already = "it is there already" if row.stage == to else f"from {stage} there is no way to it"
    hint = f"from {stage} it can go to {' or '.join(ways)}" if ways else "promote another model in its place"
    raise UsageError(f"{row.id}: {already}", key="--to", value=to, hint=hint)


def _refuse_broken(home: Path, row: ModelRow) -> None:
    """The run's whole chain must hold, and the model that the registry lists must be the archived one."""
    broken = verify_run(home, row.run_id).first_broken
    if broken is not None:
        raise ProvenanceError(
            f"its run does not verify: {broken.name}: {broken.detail}", path=broken.path or None, hint=broken.way_out
        )
    models = {item.body["sha256"] for item in run_proposals(home, row.run_id) if item.kind == "model_registered"}
    if row.sha256 not in models:
        raise RegistryError(
            "the archived model is not the one that was registered",
            path=home / row.path,
            value=row.sha256,
            hint="interlock verify says where they part",
        )


def _passing(home: Path, row: ModelRow, *, lane: str, gates_sha256: str | None) -> Judgement:
    """The newest judgement of the run under its lane's gates; raises unless it is a pass."""
    newest = next((line for line in reversed(union(home)) if _judges(line, row.run_id, lane)), None)
    way_out = f"interlock judge {row.run_id}"
    if newest is None:
        raise RegistryError("was never judged", key=row.id, hint=way_out)
    judgement = _archived(home, row.run_id, newest)
    if judgement.verdict is not Verdict.PASS:
        raise RegistryError(
            f"only a pass moves forward, and the newest verdict is {judgement.verdict}",
            key=row.id,
            hint=f"interlock runs show {row.run_id} gives the reasons; a changed gate needs a new judgement: {way_out}",
        )
    if gates_sha256 is not None and judgement.gates_sha256 != gates_sha256:
        raise RegistryError(
            f"its newest judgement used other gates than those of lane {lane} in conf/ and params.yaml",
            key=row.id,
            hint=f"judge it by the present ones: {way_out}",
        )
    return judgement


def _judges(line: Line, run_id: str, lane: str) -> bool:
    return line.event.kind == "judged" and line.event.subject == run_id and line.event.body.get("lane") == lane


def _archived(home: Path, run_id: str, line: Line) -> Judgement:
    """The judgement that an event tells of, from the archive; its bytes are the ones that the event names."""
    for folder in statements(home, run_id, JUDGEMENTS):
        data = (folder / JUDGEMENT).read_bytes()
        if hashlib.sha256(data).hexdigest() == line.event.body["sha256"]:
            statement_proposal(run_id, folder, JUDGEMENT)
            return Judgement.model_validate_json(data)
    raise RegistryError(
        "its newest judgement is not in the archive as the log names it",
        key=run_id,
        value=line.event.body["judgement_id"],
        hint="interlock verify says what is missing; interlock judge makes a new one",
    )
