"""Put a run of another home together, verify it as if it were archived here, and only then let it in.

    <home>/incoming/home/registry/events.jsonl     the other home's log
                        /registry/others/          every log that is known here
                        /runs/<run_id>/            links to what is here, and copies of what is new

So a run is verified exactly as `interlock verify` would afterwards, by the same code. Nothing of it is under its own
name before that; a run that is refused goes to `<home>/quarantine/<run_id>-<writer>/` with the reason.

A run that was executed in both homes and gave the same model is a `twin`: the execution here stays as it is. One that
gave another model is refused.
"""

import os
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from interlock.contracts.card import RunCard
from interlock.contracts.verdict import Judgement, Verdict
from interlock.errors import InterlockError, RegistryError
from interlock.provenance.attempts import run_lock
from interlock.provenance.canonical import canonical_json
from interlock.provenance.digest import files_under, sha256_file
from interlock.provenance.files import copy_atomic, write_json
from interlock.registry.archive import read_card, seal
from interlock.registry.derive import (
    DECISION,
    DECISIONS,
    JUDGEMENT,
    JUDGEMENTS,
    card_proposals,
    run_proposals,
    statements,
)
from interlock.registry.events import (
    Line,
    Proposal,
    append_new,
    events_path,
    logs,
    others_folder,
    read_log,
    union,
)
from interlock.registry.kept import COMPLETE_BY, SUPERSEDED, kept_digests, kept_proposals
from interlock.registry.layout import CARD, run_folder, safe_name
from interlock.registry.remote import Remote
from interlock.registry.spending import ANSWERS, QUESTION
from interlock.registry.stages import LIVE, Promoted, Withdrawn
from interlock.registry.taken import Taken, read_taken, write_taken
from interlock.registry.verify import verify_home

LOCK_WAIT_S = 120.0
_LAST = (CARD, *(name for name in COMPLETE_BY.values() if name))
"""Files that make others complete; they are put in place after those."""


@dataclass(frozen=True, kw_only=True)
class Admission:
    """What became of one run."""

    run_id: str
    outcome: Literal["taken", "twin", "refused"]
    reason: str = ""
    """Why it was refused."""


def admit(home: Path, remote: Remote, log: tuple[Line, ...], runs: Iterable[str]) -> list[Admission]:
    """Verify runs that a log speaks of, and put their files into the archive."""
    staged = _Staged(home, log)
    outcomes = {run: staged.stage(remote, run) for run in runs}
    verified = {found.run_id: found for found in verify_home(staged.home).runs}
    for run, outcome in outcomes.items():
        if outcome.outcome != "taken":
            continue
        broken = verified[run].first_broken
        if broken is not None:
            outcomes[run] = Admission(run_id=run, outcome="refused", reason=str(broken))
        else:
            staged.move(run)
    for outcome in outcomes.values():
        if outcome.outcome == "refused":
            staged.quarantine(outcome)
    shutil.rmtree(staged.home, ignore_errors=True)
    return list(outcomes.values())


class _Staged:
    """A home beside the home, in which runs of one log are put together."""

    def __init__(self, home: Path, log: tuple[Line, ...]) -> None:
        self.target = home
        self.home = home / "incoming" / "home"
        self._log = log
        self._new: dict[str, list[str]] = {}
        """By run, the names of files that are not here yet, relative to the run's folder."""
        self._copied: dict[str, list[str]] = {}
        """By run, those of them that had to be given another place than in the other home."""
        self._had_card: dict[str, bool] = {}
        shutil.rmtree(self.home, ignore_errors=True)
        for path in logs(home):
            self._copy_log(path)

    def _copy_log(self, path: Path) -> None:
        lines = read_log(path)
        if not lines:
            return
        copy = others_folder(self.home) / f"{lines[0].writer}.jsonl"
        copy_atomic(path, copy)
        is_own = path == events_path(self.target)
        everything = {line.event.run_id: line.seq for line in lines}
        write_taken(copy, Taken(runs=everything if is_own else read_taken(path).runs))

    def stage(self, remote: Remote, run_id: str) -> Admission:
        """Put a run together; `taken` stands for "still to be verified"."""
        lines = [line for line in self._log if line.event.run_id == run_id]
        try:
            outcome = self._stage(remote, run_id, lines)
        except (InterlockError, OSError) as error:
            return Admission(run_id=run_id, outcome="refused", reason=str(error))
        self._believe(run_id, lines)
        return Admission(run_id=run_id, outcome=outcome)

    def _stage(self, remote: Remote, run_id: str, lines: list[Line]) -> Literal["taken", "twin"]:
        here, there = run_folder(self.target, run_id), run_folder(self.home, run_id)
        self._had_card[run_id] = (here / "models" / CARD).is_file()
        self._new[run_id], self._copied[run_id] = [], []
        cards = [str(line.event.body["card_sha256"]) for line in lines if line.event.kind == "run_archived"]
        if not cards and not self._had_card[run_id]:
            raise RegistryError("its run card is in no log that was taken over", key=run_id)
        if cards and self._is_twin(remote, run_id, lines, card_sha256=cards[-1]):
            return "twin"
        for name in files_under(here) if self._had_card[run_id] else ():
            (there / name).parent.mkdir(parents=True, exist_ok=True)
            os.link(here / name, there / name)
        if cards:
            self._fetch_model(remote, run_id, cards[-1])
        self._fetch_kept(remote, run_id, kept_digests(line.event for line in lines))
        _check_promotions(lines, self.home, run_id)
        return "taken"

    def _is_twin(self, remote: Remote, run_id: str, lines: list[Line], *, card_sha256: str) -> bool:
        """Whether the run was executed here too, to an equal model. Raises RegistryError when the model is another."""
        path = run_folder(self.target, run_id) / "models" / CARD
        if not path.is_file() or sha256_file(path) == card_sha256:
            return False
        ours, theirs = read_card(self.target, run_id), self._card(remote, run_id, card_sha256)
        if ours.export == "skipped" and _extends(ours, theirs):
            return False
        if theirs.identity() != ours.identity() and not (theirs.export == "skipped" and _extends(theirs, ours)):
            raise RegistryError(
                "the same run gave another model here",
                path=path,
                hint="interlock diff and interlock reproduce show where they part; the one here is kept",
            )
        _check_models(lines, theirs, card_sha256)
        _check_promotions(lines, self.target, run_id, names={line.event.subject for line in lines})
        return True

    def _card(self, remote: Remote, run_id: str, sha256: str) -> RunCard:
        copy = self.home / "cards" / sha256
        remote.fetch(sha256, copy)
        try:
            card = RunCard.model_validate_json(copy.read_bytes())
        except ValidationError as error:
            raise RegistryError(f"the run card is not valid: {error.errors()[0]['msg']}", key=run_id) from error
        if card.run_id != run_id:
            raise RegistryError("the card belongs to another run", key=run_id, value=card.run_id)
        return card

    def _fetch_model(self, remote: Remote, run_id: str, card_sha256: str) -> None:
        card = self._card(remote, run_id, card_sha256)
        for name, artifact in {**card.artifacts, **card.observations.artifacts}.items():
            self._fetch(remote, run_id, f"models/{name}", artifact.sha256)
        self._fetch(remote, run_id, f"models/{CARD}", card_sha256)

    def _fetch_kept(self, remote: Remote, run_id: str, said: dict[str, tuple[str, ...]]) -> None:
        """Files beside the model. What is here under the same name stays; other statements and answers get a place."""
        folder = run_folder(self.home, run_id)
        moved = dict(_other_places(folder, said))
        for name, digests in said.items():
            if name != SUPERSEDED and name.partition("/")[0] not in COMPLETE_BY:
                raise RegistryError("no part of a run has such a file", key=run_id, value=name)
            entry = "/".join(name.split("/")[:2])
            target = name.replace(entry, moved.get(entry, entry), 1)
            target = _answer_place(folder, target, digests[-1]) if entry.startswith(f"{ANSWERS}/") else target
            if not (folder / target).is_file():
                self._fetch(remote, run_id, target, digests[-1])
                self._copied[run_id] += [target] if target != name else []
        if self._copied[run_id]:
            append_new(self.home, kept_proposals(self.home, run_id))

    def _fetch(self, remote: Remote, run_id: str, name: str, sha256: str) -> None:
        folder = run_folder(self.home, run_id)
        path = folder / safe_name(name, folder)
        if path.is_file() and sha256_file(path) == sha256:
            return
        remote.fetch(sha256, path)
        self._new[run_id].append(name)

    def _believe(self, run_id: str, lines: list[Line]) -> None:
        """Let the staged home believe what the log says of the run, so that it is compared with the files."""
        path = others_folder(self.home) / f"{self._log[0].writer}.jsonl"
        taken = read_taken(path)
        write_taken(path, Taken(runs={**taken.runs, run_id: lines[-1].seq}, twins=taken.twins))

    def move(self, run_id: str) -> None:
        """Put the new files in their places, those that complete others last.

        Raises RegistryError when the run was archived here meanwhile.
        """
        here, there = run_folder(self.target, run_id), run_folder(self.home, run_id)
        with run_lock(self.target, f"archive-{run_id}", wait_s=LOCK_WAIT_S):
            if (here / "models" / CARD).is_file() != self._had_card[run_id]:
                raise RegistryError("the run was archived here meanwhile", path=here, hint="interlock pull once more")
            for name in sorted(
                self._new[run_id], key=lambda name: _LAST.index(Path(name).name) if Path(name).name in _LAST else -1
            ):
                (here / name).parent.mkdir(parents=True, exist_ok=True)
                os.replace(there / name, here / name)
            seal(here / "models", (name.removeprefix("models/") for name in self._new[run_id]))
        if self._copied[run_id]:
            append_new(self.target, kept_proposals(self.target, run_id))

    def quarantine(self, refused: Admission) -> None:
        """Move what was copied of a refused run out of sight, with the reason; what is here already stays here."""
        folder = self.target / "quarantine" / f"{refused.run_id}-{self._log[0].writer}"
        shutil.rmtree(folder, ignore_errors=True)
        for name in self._new.get(refused.run_id, ()):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            os.replace(run_folder(self.home, refused.run_id) / name, folder / name)
        write_json(folder / "reason.json", {"run_id": refused.run_id, "reason": refused.reason})


def _rank(name: str) -> tuple[bool, str]:
    return Path(name).name in _LAST, name


def _extends(provisional: RunCard, complete: RunCard) -> bool:
    """Whether the second card is the first one with its export: all its files but the record of the skipped one."""
    files = {**complete.artifacts, **complete.observations.artifacts}
    before = {**provisional.artifacts, **provisional.observations.artifacts}
    return complete.export == "completed" and all(
        files.get(name) == artifact for name, artifact in before.items() if f"models/{name}" != SUPERSEDED
    )


def _other_places(folder: Path, said: dict[str, tuple[str, ...]]) -> Iterator[tuple[str, str]]:
    """Judgements and decisions whose place holds other words here: where theirs go, named by id and digest."""
    for kind, main in ((JUDGEMENTS, JUDGEMENT), (DECISIONS, DECISION)):
        for name, digests in said.items():
            path = folder / name
            is_main = name.startswith(f"{kind}/") and path.name == main and path.is_file()
            if is_main and sha256_file(path) != digests[-1]:
                entry = name.removesuffix(f"/{main}")
                yield entry, f"{entry}-{digests[-1][:8]}"


def _answer_place(folder: Path, name: str, sha256: str) -> str:
    """Where an answer goes: its own number, the one that it has here already, or the next one that is free here."""
    path = folder / name
    if path.name == QUESTION or not path.is_file() or sha256_file(path) == sha256:
        return name
    siblings = [item for item in path.parent.glob("*.json") if item.name != QUESTION]
    same = next((item for item in siblings if sha256_file(item) == sha256), None)
    number = max((int(item.stem) for item in siblings if item.stem.isdigit()), default=0) + 1
    return (same or path.with_name(f"{number:03d}.json")).relative_to(folder).as_posix()


def _check_models(lines: Iterable[Line], card: RunCard, card_sha256: str) -> None:
    """Raise RegistryError unless the model is registered as the card has it."""
    wanted = {proposal.key for proposal in card_proposals(card, card_sha256)}
    for line in lines:
        if (
            line.event.kind == "model_registered"
            and Proposal(kind="model_registered", subject=line.event.subject, body=line.event.body).key not in wanted
        ):
            raise RegistryError("the model is registered as another one than the card says", key=line.event.subject)


def _check_promotions(lines: Iterable[Line], home: Path, run_id: str, *, names: Iterable[str] | None = None) -> None:
    """Raise RegistryError unless each move is of the model that is archived, and each promotion was allowed.

    With `names`, the names that the model has in the other home, whose judgements are not here.
    """
    about = list(lines)
    for line in about:
        if line.event.kind not in ("promoted", "withdrawn"):
            continue
        moved = _moved(line)
        models = {
            item.subject: item.body["sha256"] for item in run_proposals(home, run_id) if item.kind == "model_registered"
        }
        is_model = moved.sha256 in models.values() and line.event.subject in (models if names is None else names)
        if not is_model:
            raise RegistryError("another model was promoted than the archived one", key=line.event.subject)
        if isinstance(moved, Promoted):
            _check_allowed(line, moved, about, home=home, has_judgements=names is None)


def _moved(line: Line) -> Promoted | Withdrawn:
    contract: type[Promoted] | type[Withdrawn] = Promoted if line.event.kind == "promoted" else Withdrawn
    try:
        return contract.model_validate_json(canonical_json(line.event.body))
    except ValidationError as error:
        raise RegistryError(f"not a promotion: {error.errors()[0]['msg']}", key=f"line {line.seq}") from error


def _check_allowed(line: Line, promoted: Promoted, about: list[Line], *, home: Path, has_judgements: bool) -> None:
    """A pass, or into shadow a waiver; and an approval of these bytes where the writer's version knew of approvals."""
    waived = {item.event.body["judgement_id"] for item in about if item.event.key == promoted.waiver}
    is_waived = promoted.to == "shadow" and promoted.judgement_id in waived
    if has_judgements and not is_waived and promoted.judgement_id not in _passes(home, promoted.run_id):
        raise RegistryError("was promoted without a passing judgement", key=line.event.subject)
    if promoted.to not in LIVE or promoted.rolls_back or "approval" not in line.event.body:
        return
    granted = {
        item.event.key
        for item in union(home)
        if item.event.kind == "approval_granted" and item.event.subject == promoted.sha256
    }
    if promoted.approval not in granted:
        raise RegistryError("was promoted without an approval of this model", key=line.event.subject)


def _passes(home: Path, run_id: str) -> set[str]:
    found = [
        Judgement.model_validate_json((folder / JUDGEMENT).read_bytes())
        for folder in statements(home, run_id, JUDGEMENTS)
    ]
    return {judgement.judgement_id for judgement in found if judgement.verdict is Verdict.PASS}
