"""Ask the configured language models about a run of a drive, once; the decide stage then replays what was recorded.

    ask_models(home, attempt, composed, spent=spent_by(home, path), resumed=False)

The ceilings of `budget` are those of the whole drive: what it has cost so far counts before the first question.
Does nothing where no model is configured, and decides nothing.
"""

from dataclasses import replace
from pathlib import Path

from interlock.contracts.answer import Usage
from interlock.contracts.drive import DrivenAttempt, DrivePath
from interlock.contracts.lineage import LineageBlock
from interlock.contracts.llm import LanguageModels
from interlock.errors import NotRecordedError
from interlock.provenance.canonical import canonical_json
from interlock.registry.layout import run_folder
from interlock.registry.spending import recorded_answers, total
from interlock.runs.deciding.deciding import ask, ledger_of
from interlock.runs.drive.attempt import Composed


def spent_by(home: Path, path: DrivePath) -> Usage:
    """What a drive has used: of each resource what its decisions say, or what was recorded since it began if more.

    An answer that no decision cites was paid for, too: a killed drive asks again where a model had failed. Raises
    RegistryError for a recorded answer that is none.
    """
    runs = dict.fromkeys(attempt.run_id for attempt in path.attempts if attempt.run_id)
    answers = (item.answer for run_id in runs for item in recorded_answers(run_folder(home, run_id)))
    since = total(answer.usage for answer in answers if answer.asked_at >= path.record.begun_at)
    return Usage(**{name: max(getattr(since, name), getattr(path.usage, name)) for name in Usage.model_fields})


def ask_models(
    home: Path, attempt: DrivenAttempt, composed: Composed, *, spent: Usage, resumed: bool
) -> tuple[str, ...]:
    """Ask, and record the answers under the run; returns warnings about ceilings of which most is used.

    `spent` is what the drive has used already. A drive that was cut short here (`resumed`) takes the
    answers that are there, also where `llm.mode` is `live`; only an answer that is missing is asked for. Raises as
    `interlock.runs.deciding.deciding.ask` does.
    """
    assert attempt.run_id
    configured, llm = composed.configured, composed.configured.llm
    if not isinstance(llm, LanguageModels):
        return ()
    lineage = LineageBlock.model_validate_json(canonical_json(composed.config["lineage"]))
    tried = replace(configured, llm=llm.model_copy(update={"mode": "auto"})) if resumed else configured
    ledger = ledger_of(configured, spent={configured.agent: spent})
    if resumed:
        recorded = replace(configured, llm=llm.model_copy(update={"mode": "replay"}))
        try:
            ask(home, attempt.run_id, recorded, lineage=lineage, ledger=ledger)
            return ()
        except NotRecordedError:
            if llm.mode == "replay":
                raise
    return ask(home, attempt.run_id, tried, lineage=lineage, ledger=ledger).warnings
