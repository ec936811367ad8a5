"""Recorded answers of language models, and the askers that use them: replay, auto, live.

    <folder>/<key>/question.json     what was asked; its canonical digest is the key, so it proves itself
    <folder>/<key>/<NNN>.json        answers, in the order in which they came

    answers = Answers(home / "runs" / run_id / "answers")
    Replaying(answers).ask(question)                # no network; `not_recorded` where nobody has asked yet
    Auto(answers, Wire(...)).ask(question)          # what is recorded, else the model, recorded

Files are written once and never changed. A file that is not what was written is an error that names it, never a miss:
a miss would be asked again, and a changed answer would go unnoticed. Does not say what an answer is worth: the guard
looks at a replayed proposal as at a fresh one.
"""

import hashlib
import json
import os
import re
import stat
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from interlock.contracts.answer import Answer, Outcome
from interlock.decisions.asking import Asker, Given, Question
from interlock.errors import ProvenanceError
from interlock.provenance.canonical import pretty_json, sha256_json
from interlock.provenance.files import write_json

QUESTION_FILE = "question.json"
FILE_BYTES_MAX = 8 << 20
"""The wire reads a megabyte at most; what is longer was not written here."""

_KEY = re.compile(r"[0-9a-f]{64}")
_NUMBERED = re.compile(r"(\d{3,})\.json")
_CHANGED = "restore the file from a backup or another home; an answer that nothing cites may be deleted with its folder"


def answer_bytes(answer: Answer) -> bytes:
    """The answer as its file holds it."""
    return pretty_json(answer).encode()


def given_by(answer: Answer) -> Given:
    """The answer with the digest that its file has, or would have."""
    return Given(answer=answer, sha256=hashlib.sha256(answer_bytes(answer)).hexdigest())


class Answers:
    """The recorded answers in one folder. Several processes may record at once."""

    def __init__(self, folder: Path) -> None:
        """`folder` is made when the first answer is recorded."""
        self.folder = folder

    def recorded(self, key: str) -> tuple[Given, ...]:
        """Every answer to the question, oldest first. Raises ProvenanceError naming a file that does not hold."""
        folder = self._folder(key)
        names = [path.name for path in folder.iterdir()] if folder.is_dir() else []
        numbered = sorted((int(match[1]), name) for name in names if (match := _NUMBERED.fullmatch(name)))
        if not numbered:
            return ()
        asked = _question(folder / QUESTION_FILE, key)
        return tuple(_answer(folder / name, key, model=asked["model"]) for _, name in numbered)

    def record(self, question: Question, answer: Answer) -> Given:
        """Keep the answer under a number of its own. Raises ProvenanceError when it answers another question."""
        if (answer.key, answer.model) != (question.key, question.model_id):
            raise ProvenanceError("the answer is one to another question", key=question.key, value=answer.key)
        folder = self._folder(question.key)
        path = folder / QUESTION_FILE
        if path.exists():
            _question(path, question.key)
        else:
            write_json(path, question.content)
        _write_numbered(folder, answer_bytes(answer))
        return given_by(answer)

    def best(self, key: str) -> Given | None:
        """The first answer with a proposal, else the first; None where there is none."""
        given = self.recorded(key)
        answered = (item for item in given if item.answer.outcome is Outcome.ANSWERED)
        return next(answered, given[0] if given else None)

    def _folder(self, key: str) -> Path:
        if not _KEY.fullmatch(key):
            raise ProvenanceError("is no key of a question", path=self.folder, value=key)
        return self.folder / key


class Replaying:
    """Answers from the record alone, so that the same question has the same answer everywhere."""

    def __init__(self, answers: Answers, cited: Mapping[str, str] | None = None) -> None:
        """`cited`: digests of answers by key, as a decision cites them; without it the best recorded ones."""
        self._answers, self._cited = answers, cited

    def ask(self, question: Question) -> Given:
        """The recorded answer, or `not_recorded`. Raises ProvenanceError for a cited answer that is not there."""
        if self._cited is None:
            return self._answers.best(question.key) or _not_recorded(question)
        digest = self._cited.get(question.key)
        if digest is None:
            return _not_recorded(question)
        for given in self._answers.recorded(question.key):
            if given.sha256 == digest:
                return given
        raise ProvenanceError(
            "no recorded answer has the digest that the decision cites",
            path=self._answers.folder / question.key,
            value=digest,
            hint=f"it was changed or deleted; {_CHANGED}",
        )


class Live:
    """Asks, whatever is recorded, and records."""

    def __init__(self, answers: Answers, live: Asker) -> None:
        """`live` is whoever really answers."""
        self._answers, self._live = answers, live

    def ask(self, question: Question) -> Given:
        """A new answer. Failures are recorded, too: a replay then tells the same story."""
        return self._answers.record(question, self._live.ask(question).answer)


class Auto:
    """A recorded proposal where there is one, else `live`, recorded."""

    def __init__(self, answers: Answers, live: Asker) -> None:
        """`live` is whoever really answers."""
        self._answers, self._live = answers, Live(answers, live)

    def ask(self, question: Question) -> Given:
        """The first recorded proposal, or a new answer; recorded failures do not keep anybody from asking again."""
        found = self._answers.best(question.key)
        return found if found and found.answer.outcome is Outcome.ANSWERED else self._live.ask(question)


def _not_recorded(question: Question) -> Given:
    return given_by(
        Answer(
            key=question.key,
            agent=question.agent,
            model=question.model_id,
            outcome=Outcome.NOT_RECORDED,
            told="nobody has recorded an answer to this question",
            asked_at="",
        )
    )


def _answer(path: Path, key: str, *, model: str) -> Given:
    data = _read(path)
    try:
        answer = Answer.model_validate_json(data)
    except ValidationError as error:
        raise ProvenanceError("is no recorded answer", path=path, hint=_CHANGED) from error
    if answer.key != key or answer.model != model:
        raise ProvenanceError("answers another question than its folder's", path=path, value=answer.key, hint=_CHANGED)
    if data != answer_bytes(answer):
        raise ProvenanceError("was changed after it was written", path=path, hint=_CHANGED)
    return given_by(answer)


def _question(path: Path, key: str) -> dict[str, Any]:
    data = _read(path)
    try:
        asked = json.loads(data)
    except ValueError as error:
        raise ProvenanceError("is no recorded question", path=path, hint=_CHANGED) from error
    if not isinstance(asked, dict) or sha256_json(asked) != key:
        raise ProvenanceError("is not the question of its folder", path=path, value=key, hint=_CHANGED)
    return asked


def _read(path: Path) -> bytes:
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # a pipe or a device would be read for ever
            raise ProvenanceError("is no file", path=path, hint=_CHANGED)
        if path.stat().st_size > FILE_BYTES_MAX:
            raise ProvenanceError("is larger than any answer", path=path, hint=_CHANGED)
        return path.read_bytes()
    except OSError as error:
        raise ProvenanceError(f"cannot be read: {error.strerror}", path=path, hint=_CHANGED) from error


def _write_numbered(folder: Path, data: bytes) -> None:
    """A new file under the next number; whole or not at all, and never over another one.

    A hard link appears at once and fails where the name is taken, which a rename would overwrite.
    """
    taken = (int(match[1]) for name in os.listdir(folder) if (match := _NUMBERED.fullmatch(name)))
    number = 1 + max(taken, default=0)
    descriptor, part = tempfile.mkstemp(dir=folder, prefix=".answer.", suffix=".part")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(part, 0o644)
        while True:
            try:
                os.link(part, folder / f"{number:03d}.json")
                break
            except FileExistsError:
                number += 1
    finally:
        os.unlink(part)
    _fsync(folder)


def _fsync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
