"""Runs and models, to read: what `interlock runs` and `interlock registry` show."""

from http import HTTPStatus
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from starlette.exceptions import HTTPException

from interlock.api.access import requires
from interlock.api.problems import READING
from interlock.errors import UsageError
from interlock.registry import queries
from interlock.registry.decided import DecisionRow, decisions
from interlock.registry.search import search_runs

router = APIRouter(
    prefix="/api", tags=["records"], dependencies=[Depends(requires("agent", "person"))], responses=READING
)

Limit = Annotated[int, Query(ge=1, le=1000, description="Most items answered.")]
Start = Annotated[int, Query(ge=0, le=10**9, description="Items left out at the beginning.")]
Filter = Annotated[str, Query(max_length=500, description="As `interlock runs list --filter`.")]
Sort = Annotated[str, Query(max_length=100, description="As `interlock runs list --sort`.")]


@router.get("/runs")
def list_runs(
    request: Request, filter: Filter = "", sort: Sort = "", limit: Limit = 100, start: Start = 0
) -> list[queries.RunRow]:
    """Runs, newest first unless sorted otherwise."""
    found = search_runs(_home(request), expression=filter, sort=sort, limit=start + limit)
    return [row for row, _ in found[start:]]


@router.get("/runs/{run_id}")
def show_run(request: Request, run_id: str) -> queries.RunView:
    """Everything about one run; its archived files are verified."""
    try:
        return queries.show_run(_home(request), run_id)
    except UsageError as error:
        raise HTTPException(HTTPStatus.NOT_FOUND, error.message) from error


@router.get("/runs/{run_id}/decisions")
def list_decisions(request: Request, run_id: str) -> list[DecisionRow]:
    """What was decided upon one run, oldest first; each file is read by its contract."""
    home = _home(request)
    try:
        row = queries.find_run(home, run_id)
    except UsageError as error:
        raise HTTPException(HTTPStatus.NOT_FOUND, error.message) from error
    return list(decisions(home, row.run_id))


@router.get("/registry/models")
def list_models(request: Request, limit: Limit = 100, start: Start = 0) -> list[queries.ModelRow]:
    """Registered models with verdict and stage."""
    return list(queries.list_models(_home(request))[start : start + limit])


@router.get("/registry/models/{model_id}")
def show_model(request: Request, model_id: str) -> queries.ModelView:
    """One model with the history of its stages."""
    try:
        return queries.show_model(_home(request), model_id)
    except UsageError as error:
        raise HTTPException(HTTPStatus.NOT_FOUND, error.message) from error


def _home(request: Request) -> Path:
    home: Path = request.app.state.home
    return home
