"""The loop of a drive: run, judge, decide, follow the decision, until it ends or a person is asked.

    with folder.driving():
        ended = Driver(...).run()

Everything it knows it reads from the drive's journal; each step is written down before the next one begins, and each
can be done again: a stage that is finished is not run twice, an answer that is recorded is not asked for twice. So a
drive that was killed anywhere goes on with the same command to the same path. What follows from a decision is decided
in `following`; what a person said is found in `person`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from interlock.contracts.decision import Decision, Number
from interlock.contracts.drive import DrivenAttempt, DrivenDecision, DrivePath, DriveState
from interlock.contracts.experiment import Budget
from interlock.contracts.recovery import RecoverySettings
from interlock.decisions.search_space import check_overrides
from interlock.errors import ConfigError, DecisionError, ExitCode, Fault, InterlockError
from interlock.lanes.spec import Progress
from interlock.provenance.canonical import canonical_json
from interlock.provenance.dotted import lookup
from interlock.provenance.environment import redact_text
from interlock.runs.drive import attempt as attempts
from interlock.runs.drive import person
from interlock.runs.drive.asking import ask_models, spent_by
from interlock.runs.drive.attempt import Compose, Composed
from interlock.runs.drive.begin import differing
from interlock.runs.drive.folder import DriveFolder
from interlock.runs.drive.following import Facts, Next, follow, over_ceiling
from interlock.runs.drive.path import gates_of
from interlock.runs.drive.reuse import take_over
from interlock.runs.drive.states import ENDED, DriveEvent
from interlock.runs.healing.lineage import Standing, derive, standing
from interlock.stages.place import Place


@dataclass(kw_only=True)
class Driver:
    """One call of `interlock drive`. The caller holds the drive's lock."""

    folder: DriveFolder
    workspace: Path
    compose: Compose
    """Composes what was asked for with further overrides."""
    tell: Callable[[DrivePath, Next], None]
    """Told after each decision, with what follows from it."""
    note: Callable[[str], None]
    """Told whatever else a person should hear of at once."""
    progress: Progress
    error: Exception | None = None
    """What ended it, where an error did."""
    _judged: set[int] = field(default_factory=set)
    """Attempts whose verdict was made or checked by this call."""
    _known: set[str | None] = field(default_factory=set)
    """Judgements that an earlier call has seen."""
    _compositions: dict[tuple[str, ...], Composed] = field(default_factory=dict)
    """One attempt has one configuration, whatever becomes of conf/ while it runs."""

    def run(self) -> DrivePath:
        """Go on from where the drive stands; returns where it ends. KeyboardInterrupt leaves it resumable."""
        steps: Mapping[DriveState, Callable[[DrivePath], None]] = {
            DriveState.READY: self._start,
            DriveState.RUNNING: self._run,
            DriveState.REPAIRING: self._repair,
            DriveState.JUDGED: self._decide,
            DriveState.DECIDED: self._follow,
        }
        self._known = {item.judgement_id for item in self._path().attempts}
        self._reconsider(self._path())
        while (path := self._path()).state not in ENDED:
            try:
                steps[path.state](path)
            except KeyboardInterrupt:
                self._write(DriveEvent.INTERRUPTED)
                raise
            except Exception as error:  # whatever it is, it is written down, and shown by the caller
                if path.state is DriveState.DECIDED:
                    raise  # nothing has followed yet: the same command decides what follows again
                self._fail(path, error)
        return path

    def _reconsider(self, path: DrivePath) -> None:
        """What a person said since, and whether what failed is tried again."""
        if path.state is DriveState.FAILED:
            attempt = path.attempts[-1] if path.attempts else DrivenAttempt(attempt=1)
            self._write(DriveEvent.STARTED, **_started(attempt))
        if path.state is not DriveState.WAITING:
            return
        if (decision := person.decided_by_person(self.folder.home, path)) is not None:
            self._decided(path, decision)
            self.note(f"{decision.person} decided upon run {decision.run_id}: {decision.action}")
        elif (allowed := person.allowed(self.folder.home, path)) is not None:
            self._write(DriveEvent.APPROVED, attempts_max=allowed.attempts_max, by=allowed.by)
            self.note(f"{allowed.by} allows {allowed.attempts_max} attempts, so it goes on")

    # --- run and judge -----------------------------------------------------------------------------------------------

    def _start(self, path: DrivePath) -> None:
        self._require_unchanged(path)
        attempt = path.attempts[-1] if path.attempts else DrivenAttempt(attempt=1)
        self._write(DriveEvent.STARTED, **_started(attempt))

    def _run(self, path: DrivePath) -> None:
        attempt = path.attempts[-1]
        place = self._place(path, attempt)
        run_id = attempts.expected_run(place, progress=self.progress)
        earlier = next((item for item in path.attempts[:-1] if run_id == item.run_id), None)
        if earlier is not None:
            self._stop(
                attempt.attempt,
                run_id=run_id,
                why=f"the change leads back to run {run_id}, which attempt {earlier.attempt} has judged already",
                way_out=f"interlock why {run_id} shows what was decided; choose another change by hand",
            )
            return
        if attempt.parent_run:
            derive(self.folder.home, attempt.parent_run, run_id, lane=place.lane)
        found = self._standing(path, run_id)
        if not found.may_train:
            self._stop(
                attempt.attempt,
                run_id=run_id,
                why=f"{found.training_failures} trainings of this lineage failed in a row",
                way_out=f"interlock recovery show {found.root_run} says why; another configuration is another lineage",
            )
            return
        if taken := take_over(place):
            self.progress.message(f"taken over from another folder: {', '.join(taken)}")
        self._judge(path, place)

    def _repair(self, path: DrivePath) -> None:
        attempt = path.attempts[-1]
        place = self._place(path, attempt)
        attempts.forget_measurements(place)
        self._judge(path, place)

    def _judge(self, path: DrivePath, place: Place) -> None:
        number = path.attempts[-1].attempt
        judged = attempts.run_to_verdict(place, progress=self.progress, since=path.record.begun_at)
        self._judged.add(number)
        self._write(
            DriveEvent.JUDGED,
            attempt=number,
            run_id=judged.run_id,
            judgement_id=judged.judgement.judgement_id,
            verdict=judged.judgement.verdict.value,
            gates=gates_of(judged.judgement.rows),
            seconds=judged.seconds,
        )

    # --- decide and follow -------------------------------------------------------------------------------------------

    def _decide(self, path: DrivePath) -> None:
        attempt = path.attempts[-1]
        place = self._place(path, attempt)
        if attempt.attempt not in self._judged:  # what the journal says must still stand there
            self._judge(path, place)
            attempt = self._path().attempts[-1]
        composed, resumed = self._composed(path, attempt), attempt.judgement_id in self._known
        spent = spent_by(self.folder.home, path)
        for warning in ask_models(self.folder.home, attempt, composed, spent=spent, resumed=resumed):
            self.note(f"budget: {warning}")
        self._decided(path, attempts.run_decision(place, progress=self.progress))

    def _decided(self, path: DrivePath, decision: Decision) -> None:
        self._write(DriveEvent.DECIDED, attempt=path.attempts[-1].attempt, decision=attempts.driven(decision))

    def _follow(self, path: DrivePath) -> None:
        attempt = path.attempts[-1]
        assert attempt.decision
        assert attempt.run_id
        composed = self._composed(path, attempt)
        following = follow(attempt.decision, self._facts(path, attempt, composed))
        following = _with_run(following, attempt.run_id)
        planned: DrivenAttempt | None = None
        if following.event is DriveEvent.RETRAIN:
            planned, following = self._planned(path, attempt, composed, following)
        self.tell(path, following)
        if planned is not None:
            self._write(DriveEvent.RETRAIN, **_started(planned))
            return
        ending: dict[str, Any] = {"attempt": attempt.attempt, "why": following.why, "way_out": following.way_out}
        if following.event is DriveEvent.ASKED:
            ending["asked_run"] = person.ask_for_more(self.folder.home, path, because=following.why)
        if following.event is DriveEvent.REPAIR:
            ending = {"attempt": attempt.attempt}
        self._write(following.event, **ending)

    def _planned(
        self, path: DrivePath, attempt: DrivenAttempt, composed: Composed, following: Next
    ) -> tuple[DrivenAttempt | None, Next]:
        """The next attempt; or none, and why the proposed change cannot be made."""
        assert attempt.decision
        try:
            planned = next_attempt(attempt, attempt.decision, composed)
            self._require_applied(self._composed(path, planned), planned)
        except (ConfigError, DecisionError) as error:
            stopped = Next(
                event=DriveEvent.STOPPED,
                why=f"the proposed change cannot be made: {error.message}",
                way_out=error.hint or "choose another change by hand",
            )
            return None, stopped
        return planned, Next(event=following.event, changes=planned.changes)

    def _facts(self, path: DrivePath, attempt: DrivenAttempt, composed: Composed) -> Facts:
        assert attempt.decision
        assert attempt.run_id
        assert attempt.verdict
        found = self._standing(path, attempt.run_id)
        budget = Budget.model_validate_json(canonical_json(composed.config["budget"]))
        return Facts(
            verdict=attempt.verdict,
            attempt=attempt.attempt,
            attempts_max=path.attempts_max,
            by_person=bool(path.record.asked.get("max_attempts") or path.approved_by),
            is_repaired=attempt.is_repaired,
            training_failures=found.training_failures,
            gate_failures=found.gate_failures,
            may_train=found.may_train,
            may_try_gates=found.may_try_gates,
            over=over_ceiling(
                budget,
                usage=spent_by(self.folder.home, path),
                refused=attempt.decision.over_budget,
                compute_hours=path.compute_hours,
            ),
        )

    def _standing(self, path: DrivePath, run_id: str) -> Standing:
        settings = RecoverySettings.model_validate_json(canonical_json(path.record.asked["recovery"]))
        return standing(self.folder.home, run_id, settings)

    # --- configuration -----------------------------------------------------------------------------------------------

    def _composed(self, path: DrivePath, attempt: DrivenAttempt) -> Composed:
        ceiling = path.attempts_max if path.approved_by else None
        key = tuple(attempts.overrides_for(attempt, drive=self.folder.id, attempts_max=ceiling))
        if key not in self._compositions:
            self._compositions[key] = self.compose(key)
        return self._compositions[key]

    def _place(self, path: DrivePath, attempt: DrivenAttempt) -> Place:
        composed = self._composed(path, attempt)
        return attempts.attempt_place(composed, self.workspace, drive=self.folder.id, attempt=attempt.attempt)

    def _require_unchanged(self, path: DrivePath) -> None:
        """Raise ConfigError where conf/ says something else by now than what the drive was begun with."""
        keys = differing(path.record.asked, self.compose(()).asked)
        if keys:
            problem = "is another one in conf/ than when the drive began"
            raise ConfigError(
                [Fault(key=key, problem=problem, has_value=False) for key in keys], subject=f"drive {self.folder.id}",
                hint="the same command begins another drive now; what is finished is used again where it still fits",
            )  # fmt: skip

    def _require_applied(self, composed: Composed, planned: DrivenAttempt) -> None:
        """Raise ConfigError where an override did not come out as it was proposed."""
        wrong = {key: lookup(composed.config, key) for key in planned.overrides}
        faults = [
            Fault(
                key=key, problem=f"was to become {planned.overrides[key]!r} and composes to another value", value=value
            )
            for key, value in wrong.items()
            if value != planned.overrides[key]
        ]
        if faults:
            raise ConfigError(faults, subject="the proposed change")

    # --- the journal -------------------------------------------------------------------------------------------------

    def _path(self) -> DrivePath:
        return self.folder.read()

    def _write(self, event: DriveEvent, **details: Any) -> None:
        self.folder.write(event, **details)

    def _stop(self, number: int, **details: Any) -> None:
        self._write(DriveEvent.STOPPED, attempt=number, **details)

    def _fail(self, path: DrivePath, error: Exception) -> None:
        self.error = error
        told = error.message if isinstance(error, InterlockError) else f"{type(error).__name__}: {error}"
        hint = (error.hint or "") if isinstance(error, InterlockError) else ""
        code = error.exit_code if isinstance(error, InterlockError) else ExitCode.ERROR
        number = path.attempts[-1].attempt if path.attempts else 1
        self._write(
            DriveEvent.FAILED, attempt=number, why=redact_text(told), way_out=redact_text(hint), exit_code=int(code)
        )


def next_attempt(attempt: DrivenAttempt, decision: DrivenDecision, composed: Composed) -> DrivenAttempt:
    """The attempt that a decision to train again leads to. Raises DecisionError for what may not be changed."""
    current = composed.current()
    check_overrides(decision.overrides, composed.search_space, current)
    changes: dict[str, tuple[Number | None, Number]] = {
        key: (current.get(key), value) for key, value in decision.overrides.items()
    }
    return DrivenAttempt(
        attempt=attempt.attempt + 1,
        parent_run=attempt.run_id,
        changes=changes,
        overrides=attempt.overrides | decision.overrides,
    )


def _started(attempt: DrivenAttempt) -> dict[str, Any]:
    values = attempt.model_dump(mode="json")
    return {name: values[name] for name in ("attempt", "parent_run", "changes", "overrides")}


def _with_run(following: Next, run_id: str) -> Next:
    return Next(event=following.event, why=following.why, way_out=following.way_out.replace("{run}", run_id))
