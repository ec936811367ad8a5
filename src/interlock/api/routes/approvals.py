"""What waits for a person, and what a person says. Reading is for everybody, saying for holders of people's token."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from pydantic import Field

from interlock.api.access import requires
from interlock.api.bodies import body_of, described
from interlock.api.problems import READING, WRITING
from interlock.api.repeats import RepeatableRoute
from interlock.api.settings import Settings
from interlock.contracts.approval import Approval, Purpose, State
from interlock.contracts.base import Contract
from interlock.errors import ProvenanceError, RegistryError
from interlock.registry import approvals, approving
from interlock.registry.persons import Told

router = APIRouter(prefix="/api/approvals", tags=["approvals"], route_class=RepeatableRoute)

Text = Annotated[str, Field(min_length=1, max_length=500)]


class Grant(Contract):
    """A person's yes."""

    subject: Text
    """A model's name, a run id, the beginning of one, or the digest of a model's main file."""
    purpose: Purpose
    """For what."""
    by: Text
    """Who says it."""
    reason: Text
    """Why."""
    expires: Text = "24h"
    """`90m`, `24h`, `7d`, or a time (ISO 8601 with its zone)."""
    digest: Annotated[str, Field(max_length=100)] = ""
    """Digest of the model that was looked at, or its beginning; another one is refused."""
    max_attempts: Annotated[int, Field(ge=1, le=100)] | None = None
    """With `more_attempts`: how many."""


class Denial(Contract):
    """A person's no."""

    subject: Text
    """As in a grant."""
    purpose: Purpose
    """For what."""
    by: Text
    """Who says it."""
    reason: Text
    """Why."""


BODIES = (Grant, Denial)


@router.get("", dependencies=[Depends(requires("agent", "person"))], responses=READING)
def list_approvals(request: Request, state: Annotated[State | None, Query()] = None) -> list[Approval]:
    """Everything that was asked and said, in that order; `state=requested` is what waits for a person."""
    found = approvals.approvals(_home(request), now=datetime.now(UTC))
    return [item for item in found if state in (None, item.state)]


@router.post("/grant", dependencies=[Depends(requires("person"))], responses=WRITING, openapi_extra=described(Grant))
def grant(request: Request, said: Annotated[Grant, Depends(body_of(Grant))]) -> Approval:
    """Approve a run or a model; refused where nothing needs it or its bytes are others."""
    settings: Settings = request.app.state.settings
    try:
        return approving.approve(
            _home(request),
            said.subject,
            purpose=said.purpose,
            told=Told(by=said.by, reason=said.reason, expires=said.expires, agents=settings.agents),
            now=datetime.now(UTC),
            digest=said.digest,
            max_attempts=said.max_attempts,
            configured=approving.Configured(services=settings.services),
        )
    except ProvenanceError as error:  # other bytes than those that are to be approved: not the server's trouble
        raise RegistryError(error.message, hint=error.hint) from error


@router.post("/deny", dependencies=[Depends(requires("person"))], responses=WRITING, openapi_extra=described(Denial))
def deny(request: Request, said: Annotated[Denial, Depends(body_of(Denial))]) -> Approval:
    """Refuse a request, or take an approval back."""
    settings: Settings = request.app.state.settings
    told = Told(by=said.by, reason=said.reason, agents=settings.agents)
    return approving.deny(_home(request), said.subject, purpose=said.purpose, told=told, now=datetime.now(UTC))


def _home(request: Request) -> Path:
    home: Path = request.app.state.home
    return home
