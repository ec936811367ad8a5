"""Prove a run: verify its bytes and chains, look for its code, judge it again, and resolve its decisions' evidence.

    found = prove_run(home, run_id, workspace=workspace, public_key=key)
    sign_run(home, run_id, private_key_path)

Judging again needs neither model nor data: values are computed anew from the archived scores of each item, verdicts
from the archived gates. What cannot be computed again, such as a plain stated number, is held by digests alone.

Does not run the model: `interlock reproduce` does.
"""

from collections.abc import Sequence
from pathlib import Path

from interlock.contracts.card import RunCard
from interlock.contracts.stage import StageName, StageRecord
from interlock.contracts.verification import HomeVerification, Link, Verification
from interlock.errors import InterlockError, ProvenanceError, UsageError
from interlock.provenance.files import write_atomic
from interlock.provenance.signing import key_id, load_private, sign
from interlock.registry import verify
from interlock.registry.archive import read_card
from interlock.registry.layout import MODEL_STAGES
from interlock.registry.statement import (
    Statement,
    envelope_path,
    make_statement,
    read_envelope_statement,
    same_but_for_position,
)
from interlock.registry.verification.archived import read_archived, record_name
from interlock.registry.verification.findings import Findings
from interlock.registry.verification.logs import read_logs
from interlock.runs.deciding.checking import decision_links
from interlock.runs.proof.at_hand import CodeAtHand
from interlock.runs.proof.rejudge import check_judgements, check_measurements


def prove_run(
    home: Path, run_id: str, *, workspace: Path | None = None, public_key: Path | None = None
) -> Verification:
    """`verify_run`, the code and the judgements. Raises as `verify_run` does."""
    found = verify.verify_run(home, run_id, workspace=workspace, public_key=public_key)
    return _proved(home, found, CodeAtHand(workspace))


def prove_home(home: Path, *, workspace: Path | None = None, public_key: Path | None = None) -> HomeVerification:
    """`verify_home`, with the code and the judgements of every run."""
    found = verify.verify_home(home, workspace=workspace, public_key=public_key)
    code = CodeAtHand(workspace)
    return found.model_copy(update={"runs": tuple(_proved(home, run, code) for run in found.runs)})


def sign_run(home: Path, run_id: str, private_key: Path) -> tuple[Path, bool]:
    """Sign a run as it stands. Returns the signature's file and whether it is new.

    Raises ProvenanceError, naming the first broken link, for a run that does not verify: a signature over a changed
    run would make the change look right. Raises UsageError for a key that cannot be used.
    """
    key = load_private(private_key)
    public = key.public_key()
    found = _proved(home, verify.verify_for_signing(home, run_id, public), CodeAtHand(None))
    if not found.ok:
        broken = found.first_broken
        assert broken is not None
        raise ProvenanceError(
            f"it is not signed: {broken.name}: {broken.detail}", path=home / broken.path, hint=broken.way_out
        )
    statement, path = current_statement(home, run_id), envelope_path(home, run_id, key_id(public))
    if path.is_file() and same_but_for_position(read_envelope_statement(path), statement):
        return path, False
    write_atomic(path, sign(statement.to_json().encode(), key))
    return path, True


def current_statement(home: Path, run_id: str) -> Statement:
    """The statement about a run as it stands now. Raises RegistryError when it has no card."""
    return make_statement(read_archived(home, run_id, Findings(section="run card", home=home)), read_logs(home))


def _proved(home: Path, found: Verification, code: CodeAtHand) -> Verification:
    """Add what needs gates and lanes; where the bytes are broken already, that comes first all the same."""
    links: list[Link] = [link for link in found.links if link.section != "code"]
    card = _card(home, found.run_id)
    if card is not None:
        links += code.check(_records(home, card), commit=card.git_commit, dirty=card.observations.git_dirty)
    links += check_measurements(home, found.run_id)
    links += check_judgements(home, found.run_id)
    links += decision_links(home, found.run_id)
    return found.model_copy(update={"links": verify.in_order(links)})


def _card(home: Path, run_id: str) -> RunCard | None:
    try:
        return read_card(home, run_id)
    except (InterlockError, UnicodeDecodeError):
        return None  # told by verify_run


def _records(home: Path, card: RunCard) -> dict[StageName, StageRecord]:
    found: dict[StageName, StageRecord] = {}
    for stage in MODEL_STAGES:
        path = home / "runs" / card.run_id / "models" / record_name(card, stage)
        try:
            found[stage] = StageRecord.model_validate_json(path.read_bytes())
        except (OSError, ValueError):
            continue  # told by verify_run
    return found


def find_run_id(home: Path, text: str) -> str:
    """The run of that id, or the only one whose id begins so; also one whose folder or registry entry is gone.

    Unlike `queries.find_run` it answers from a broken log. Raises UsageError listing candidates.
    """
    known = {path.name for path in (home / "runs").glob("*") if path.is_dir()}
    known |= {line.event.run_id for line in read_logs(home).lines if line.event.kind == "run_archived"}
    matches = [text] if text in known else sorted(name for name in known if text and name.startswith(text))
    if len(matches) == 1:
        return matches[0]
    raise UsageError(
        "begins the name of more than one run" if matches else "no such run",
        key="run",
        value=text,
        hint=f"known: {_listed(matches or sorted(known))}",
    )


def _listed(names: Sequence[str], *, most: int = 8) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return (", ".join(names[:most]) or "there is none yet") + more
