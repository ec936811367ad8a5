"""Heartbeats: managers say how far they are, and anybody may look."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request

from interlock.api.access import requires
from interlock.api.bodies import body_of, described
from interlock.api.problems import WRITING
from interlock.api.repeats import RepeatableRoute
from interlock.contracts.base import Contract
from interlock.contracts.heartbeat import Heartbeat
from interlock.registry.control import heartbeats

router = APIRouter(
    prefix="/api/pas",
    tags=["heartbeats"],
    dependencies=[Depends(requires("agent", "person"))],
    route_class=RepeatableRoute,
    responses=WRITING,
)

BODIES = (Heartbeat,)
Wanted = Annotated[str | None, Query(max_length=100, pattern=r"^[^\x00]*$")]


class Kept(Contract):
    """That a heartbeat is on disk."""

    number: int
    """Its number; later ones have larger ones."""


@router.post("/status", summary="Keep a heartbeat", status_code=HTTPStatus.CREATED, openapi_extra=described(Heartbeat))
def tell(request: Request, beat: Annotated[Heartbeat, Depends(body_of(Heartbeat))]) -> Kept:
    """Keep one heartbeat; answered once it is on disk."""
    return Kept(number=heartbeats.record(request.app.state.store, beat))


@router.get("/status", summary="Newest heartbeats")
def newest(request: Request, job: Wanted = None, run_id: Wanted = None, agent: Wanted = None) -> list[Heartbeat]:
    """The last word of every agent on every stage, oldest first."""
    return list(heartbeats.newest(request.app.state.store, job=job, run_id=run_id, agent=agent))
