"""What language models cost a run, from its recorded answers: `runs/<run_id>/answers/<key>/<number>.json`.

    spend(run_folder(home, run_id)).usd
    spent_proposals(home, run_id)

The files are the source. The event log says the same, one event `spent` for each answer that was paid for, so that the
sums survive a run whose folder was given up. Does not ask anything and does not record answers.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from interlock.contracts.answer import Answer, Usage
from interlock.errors import RegistryError
from interlock.provenance.digest import files_under, sha256_file
from interlock.registry.events import Proposal
from interlock.registry.layout import run_folder

ANSWERS = "answers"
QUESTION = "question.json"
"""What was asked, beside the answers to it."""


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """An answer where it stands."""

    path: Path
    sha256: str
    """Digest of the file."""
    answer: Answer


def recorded_answers(folder: Path, *, skip_damaged: bool = False) -> tuple[Recorded, ...]:
    """Every answer below `folder`/answers, oldest first.

    Raises RegistryError for a file that is none, unless such are left out.
    """
    found: list[Recorded] = []
    for path in answer_files(folder):
        try:
            found.append(read_answer(path))
        except RegistryError:
            if not skip_damaged:
                raise
    return tuple(sorted(found, key=lambda item: (item.answer.asked_at, item.path)))


def answer_files(folder: Path) -> list[Path]:
    """Where the answers of a run stand, sorted."""
    answers = folder / ANSWERS
    names = files_under(answers) if answers.is_dir() else []
    return [answers / name for name in names if name.rpartition("/")[2] != QUESTION]


def spend(folder: Path) -> Usage:
    """What all recorded answers of a run cost; `folder` is the run's. Raises as `recorded_answers` does."""
    return total(item.answer.usage for item in recorded_answers(folder))


def total(usages: Iterable[Usage]) -> Usage:
    """The sum."""
    return sum(usages, Usage())


def spent_proposals(home: Path, run_id: str) -> list[Proposal]:
    """That each answer of the run was paid for; nothing for one that no request was sent for."""
    return [
        Proposal(kind="spent", subject=run_id, body=spent_body(item))
        for item in recorded_answers(run_folder(home, run_id))
        if item.answer.usage.calls
    ]


def spent_body(item: Recorded) -> dict[str, str | int | float]:
    """What the event says of an answer."""
    usage = item.answer.usage
    return {
        "agent": item.answer.agent,
        "model": item.answer.model,
        "key": item.answer.key,
        "answer_sha256": item.sha256,
        "calls": usage.calls,
        "tokens_in": usage.tokens_in,
        "tokens_out": usage.tokens_out,
        "usd": usage.usd,
        "seconds": usage.seconds,
    }


def read_answer(path: Path) -> Recorded:
    """One answer. Raises RegistryError for a file that is none."""
    hint = "it was changed after it was written; restore it from a backup or from a teammate's archive"
    try:
        answer = Answer.model_validate_json(path.read_bytes())
    except OSError as error:
        raise RegistryError(f"the recorded answer cannot be read: {error.strerror}", path=path, hint=hint) from error
    except ValidationError as error:
        problem = f"the recorded answer is not valid: {error.errors()[0]['msg']}"
        raise RegistryError(problem, path=path, hint=hint) from error
    return Recorded(path=path, sha256=sha256_file(path), answer=answer)
