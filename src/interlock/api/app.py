"""The application: routes over one home, put together.

    app = create_app(home, tokens=..., settings=...)

What follows from the composed configuration is passed in: composing belongs to the command line.
"""

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from fastapi import Depends, FastAPI
from fastapi.openapi.utils import get_openapi

import interlock
from interlock.api.bodies import refuse_unknown_queries, schemas_of
from interlock.api.limits import BodyLimit
from interlock.api.problems import Problem, add_problem_handlers
from interlock.api.routes import approvals, jobs, records, resources, status
from interlock.api.settings import Settings
from interlock.registry.control.reservations import Reservations
from interlock.registry.control.store import ControlStore
from interlock.registry.control.tokens import Tokens

_ROOMS = (approvals, jobs, records, resources, status)


def create_app(home: Path, *, tokens: Tokens, settings: Settings) -> FastAPI:
    """The API over the store of `home`, under these settings."""
    store = ControlStore(home)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        store.close()

    app = FastAPI(
        title="Interlock control API",
        version=interlock.__version__,
        description="Cards, reservations, heartbeats, approvals; runs and models to read.",
        lifespan=lifespan,
        dependencies=[Depends(refuse_unknown_queries)],
        docs_url=None,  # its pages load scripts from elsewhere
        redoc_url=None,
    )
    app.state.home, app.state.store, app.state.tokens, app.state.settings = home, store, tokens, settings
    app.state.reservations = Reservations(store, settings.quotas)
    app.state.server = secrets.token_hex(8)
    app.add_middleware(BodyLimit)
    add_problem_handlers(app)
    for room in _ROOMS:
        app.include_router(room.router)

    @app.get("/api/health", tags=["health"])
    def health() -> dict[str, str]:
        """Whether the server answers; needs no token and tells nothing else."""
        return {"status": "ok"}

    app.openapi = lambda: _described(app)  # type: ignore[method-assign]
    return app


def _described(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI description, with the bodies that routes read themselves."""
    if app.openapi_schema is None:
        found = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
        bodies = [Problem, *(body for room in _ROOMS for body in getattr(room, "BODIES", ()))]
        found["components"]["schemas"] |= schemas_of(bodies)
        app.openapi_schema = found
    return app.openapi_schema
