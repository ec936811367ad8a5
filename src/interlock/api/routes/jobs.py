"""Cards: hand one in, and see what became of it.

A job card may be sent to the director or to one of its managers: in either case the director takes it in, splits it
into the managers' own cards and starts the work in a process of its own, which outlives the server. The managers' cards
are made by the director alone, so one that is handed in is refused.
"""

import json
from dataclasses import replace
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from starlette.exceptions import HTTPException

from interlock.api.access import requires
from interlock.api.bodies import described, require_media
from interlock.api.problems import READING, WRITING
from interlock.api.repeats import RepeatableRoute
from interlock.api.settings import Settings
from interlock.contracts.job import JobCard
from interlock.contracts.spelling import agent_id, spelled
from interlock.runs.jobs import detached
from interlock.runs.jobs.accept import accept_job
from interlock.runs.jobs.folder import JobFolder, job_ids
from interlock.runs.jobs.states import AGAIN
from interlock.runs.jobs.view import JobView, job_view

router = APIRouter(
    prefix="/api",
    tags=["jobs"],
    dependencies=[Depends(requires("agent", "person"))],
    route_class=RepeatableRoute,
)
BODIES = (JobCard,)
MEDIA = ("application/json", "application/yaml")


async def _card(request: Request) -> bytes:
    """The card's text as YAML, which JSON nearly is: it may spell a character as two halves, and YAML may not."""
    data = await request.body()
    if require_media(request, *MEDIA) != "application/json":
        return data
    try:
        return json.dumps(json.loads(data), ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:  # no JSON, or half of a character
        raise HTTPException(HTTPStatus.UNPROCESSABLE_ENTITY, f"the body is no JSON: {error}") from error


@router.post(
    "/managers/{manager_id}/submit",
    status_code=HTTPStatus.ACCEPTED,
    responses=WRITING,
    openapi_extra=described(JobCard, *MEDIA),
)
def submit(request: Request, response: Response, manager_id: str, data: Annotated[bytes, Depends(_card)]) -> JobView:
    """Take a card in: 202 with its job, 200 when it had been handed in. A wrong card gets every fault at once: 422."""
    settings: Settings = request.app.state.settings
    _require_agent(manager_id, settings.agents)
    if settings.composer is None:
        raise HTTPException(HTTPStatus.CONFLICT, "this server takes no cards: it serves no workspace")
    accepted = accept_job(
        data, "body", composer=settings.composer, workspace=settings.workspace, home=request.app.state.home
    )
    if not accepted.is_new:
        response.status_code = HTTPStatus.OK
    if accepted.job.state() in AGAIN and not accepted.job.has_runner:
        detached.start(accepted.job, settings.workspace)
    return _shown(accepted.job, settings)


@router.get("/jobs", responses=READING)
def list_jobs(request: Request) -> list[JobView]:
    """All jobs, by id."""
    settings, home = request.app.state.settings, request.app.state.home
    return [_shown(JobFolder(home, name), settings) for name in job_ids(home)]


@router.get("/jobs/{job_id}", responses=READING)
def show_job(request: Request, job_id: str) -> JobView:
    """One job with its managers."""
    if job_id not in job_ids(request.app.state.home):
        raise HTTPException(HTTPStatus.NOT_FOUND, "there is no such job")
    return _shown(JobFolder(request.app.state.home, job_id), request.app.state.settings)


def _shown(job: JobFolder, settings: Settings) -> JobView:
    """The view, with the report's place relative to the home: where that is, is nobody's business."""
    view = job_view(job, settings.workspace)
    return replace(view, report=view.report.relative_to(job.home)) if view.report else view


def _require_agent(manager_id: str, agents: frozenset[str]) -> None:
    """Raise 404 for somebody who is not configured."""
    known = sorted(spelled(name) for name in agents if name.startswith(("dir_", "mgr_")))
    if spelled(agent_id(manager_id)) not in known:
        raise HTTPException(HTTPStatus.NOT_FOUND, f"nobody of that name takes cards; known: {', '.join(known)}")
