"""The resource manager: reserve, renew, release, and see who holds what."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from pydantic import Field

from interlock.api.access import requires
from interlock.api.bodies import body_of, described
from interlock.api.problems import WRITING
from interlock.api.repeats import RepeatableRoute
from interlock.contracts.base import Contract
from interlock.contracts.reservation import Amounts, Holder, Reservation, Resource
from interlock.registry.control.reservations import LEASE_S, Reservations

router = APIRouter(
    prefix="/api/resource-manager",
    tags=["resources"],
    dependencies=[Depends(requires("agent", "person"))],
    route_class=RepeatableRoute,
    responses=WRITING,
)


class ReserveRequest(Contract):
    """What is wanted, and by whom."""

    amounts: Amounts
    """How much of each resource; all of it or nothing."""
    holder: Holder
    """For whom, and which process renews it."""
    lease_s: Annotated[float, Field(gt=0.0, le=24 * 3600.0)] = LEASE_S
    """How long it stands without renewal, seconds."""
    wait: bool = False
    """Take a place in the queue when it is not free; keep the place by renewing."""


class ReservationName(Contract):
    """One reservation."""

    id: Annotated[str, Field(min_length=1, max_length=100)]
    """Its name."""


class Resources(Contract):
    """Who holds and waits for what."""

    left: dict[Resource, float]
    """What is free of every resource that has a quota."""
    standing: tuple[Reservation, ...]
    """Everything held or waited for, in the order of asking."""


BODIES = (ReserveRequest, ReservationName)


@router.get("")
def resources(request: Request) -> Resources:
    """Quotas and who holds them."""
    manager = _manager(request)
    return Resources(left=manager.left(), standing=manager.standing())


@router.post("/reserve", status_code=HTTPStatus.CREATED, openapi_extra=described(ReserveRequest))
def reserve(
    request: Request, response: Response, wanted: Annotated[ReserveRequest, Depends(body_of(ReserveRequest))]
) -> Reservation:
    """Take all of it: 201. With `wait` a place in the queue when it is not free: 202. Else 409, naming the holder."""
    manager = _manager(request)
    take = manager.ask if wanted.wait else manager.reserve
    found = take(wanted.amounts, holder=wanted.holder, lease_s=wanted.lease_s)
    if found.state == "waiting":
        response.status_code = HTTPStatus.ACCEPTED
    return found


@router.post("/renew", openapi_extra=described(ReservationName))
def renew(request: Request, named: Annotated[ReservationName, Depends(body_of(ReservationName))]) -> Reservation:
    """Keep it for another lease, and grant it when its turn has come; 409 when it has ended."""
    return _manager(request).renew(named.id)


@router.post("/release", openapi_extra=described(ReservationName))
def release(request: Request, named: Annotated[ReservationName, Depends(body_of(ReservationName))]) -> Reservation:
    """Give it back, or give up waiting; nothing happens to one that has ended."""
    return _manager(request).release(named.id)


def _manager(request: Request) -> Reservations:
    manager: Reservations = request.app.state.reservations
    return manager
