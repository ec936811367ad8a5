"""Questions to language models, and who answers them: the models themselves, a record of what they said, or both.

A `Question` is everything that a model is given; its `key` is the digest of that, and of nothing else, so that the same
question finds its recorded answer on any machine. An `Asker` never raises for what a model or a network does: a
failure is an `Answer` with another outcome.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

from pydantic import BaseModel

from interlock.contracts.answer import Answer, Message
from interlock.contracts.llm import Model
from interlock.provenance.canonical import sha256_json


@dataclass(frozen=True, kw_only=True)
class Question:
    """What one model is asked."""

    agent: str
    """Who asks."""
    model: Model
    messages: tuple[Message, ...]
    form: type[BaseModel]
    """The structured answer that is wanted."""
    check: Callable[[Mapping[str, Any]], tuple[str, ...]]
    """Faults of an answer that has the right form, in sentences that can go back to the model; empty when it holds."""
    sample: int = 1
    corrections_max: int = 2
    retries_max: int = 2

    @property
    def model_id(self) -> str:
        """`<provider>/<model id>`."""
        return f"{self.model.provider}/{self.model.model}"

    @property
    def prompt_sha256(self) -> str:
        """Digest of the messages."""
        return sha256_json([message.model_dump() for message in self.messages])

    @cached_property
    def content(self) -> dict[str, Any]:
        """Everything that the model is given: its id, messages, schema and sampling, as JSON."""
        sampling = {
            "temperature": self.model.temperature,
            "sample": self.sample,
            "answer_tokens_max": self.model.answer_tokens_max,
            "mode": self.model.mode,
        }
        return {
            "scheme": "interlock-question-1",
            "model": self.model_id,
            "messages": [message.model_dump() for message in self.messages],
            "schema": self.form.model_json_schema(),
            "sampling": sampling,
        }

    @cached_property
    def key(self) -> str:
        """Digest of the content."""
        return sha256_json(self.content)


@dataclass(frozen=True, kw_only=True)
class Given:
    """An answer with the digest under which it is recorded."""

    answer: Answer
    sha256: str


class Asker(Protocol):
    """Whoever answers questions."""

    def ask(self, question: Question) -> Given:
        """Answer, or say why not."""
        ...
