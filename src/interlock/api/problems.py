"""Errors as answers: RFC 9457 problem details, with every fault at once and the way out."""

import json
import os
from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.exceptions import HTTPException

from interlock.contracts.base import Contract
from interlock.errors import (
    BusyError,
    ConfigError,
    DecisionError,
    Fault,
    InterlockError,
    QuotaError,
    RegistryError,
    UsageError,
)
from interlock.lanes.retrieval.datasets.locations import DATA_VARIABLE

_STATUS: tuple[tuple[type[InterlockError], HTTPStatus], ...] = (
    (ConfigError, HTTPStatus.UNPROCESSABLE_ENTITY),
    (DecisionError, HTTPStatus.UNPROCESSABLE_ENTITY),
    (UsageError, HTTPStatus.UNPROCESSABLE_ENTITY),
    (BusyError, HTTPStatus.CONFLICT),
    (QuotaError, HTTPStatus.CONFLICT),
    (RegistryError, HTTPStatus.CONFLICT),
)
"""First that fits; anything else is the server's own trouble."""

MEDIA_TYPE = "application/problem+json"


class Problem(Contract):
    """What went wrong (RFC 9457)."""

    type: str
    """Always `about:blank`: the status says it."""
    title: str
    """The status in words."""
    status: int
    """HTTP status."""
    detail: str
    """What is wrong, in a sentence."""
    hint: str = ""
    """The way out."""
    faults: tuple[dict[str, str | list[str]], ...] = ()
    """Every fault at once: `key`, `problem`, and `value`, `source`, `did_you_mean`, `allowed` where they help."""


def described_problems(*statuses: HTTPStatus) -> dict[int | str, dict[str, Any]]:
    """What a route tells OpenAPI of its refusals; those of its token are added."""
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    named = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, *statuses)
    return {int(status): {"description": status.phrase, "content": content} for status in named}


READING = described_problems(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT, HTTPStatus.UNPROCESSABLE_ENTITY)
"""Refusals of what only reads."""
WRITING = READING | described_problems(
    HTTPStatus.BAD_REQUEST, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.UNSUPPORTED_MEDIA_TYPE
)
"""Refusals of what also writes."""


def add_problem_handlers(app: FastAPI) -> None:
    """Let every error leave as problem details."""
    app.add_exception_handler(InterlockError, _of_ours)
    app.add_exception_handler(ValidationError, _of_contract)
    app.add_exception_handler(RequestValidationError, _of_request)
    app.add_exception_handler(HTTPException, _of_http)


def problem(
    status: int,
    detail: str,
    *,
    hint: str | None = None,
    faults: list[dict[str, Any]] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """One problem; members without a value are left out."""
    extras = {"hint": hint, "faults": faults}
    body = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        **{name: value for name, value in extras.items() if value},
    }
    # ASCII, because a refused text may hold what no encoding can say
    return Response(json.dumps(body), status, media_type=MEDIA_TYPE, headers=dict(headers or {}))


def _of_ours(request: Request, error: Exception) -> Response:
    assert isinstance(error, InterlockError)
    status = next((code for kind, code in _STATUS if isinstance(error, kind)), HTTPStatus.INTERNAL_SERVER_ERROR)
    faults = [_fault(fault) for fault in getattr(error, "faults", ())]
    told = {"detail": error.message, "hint": error.hint, "faults": faults}
    return problem(status, **_without_places(told, request.app.state))


def _without_places(told: Any, state: Any) -> Any:
    """The same words with paths relative to the home, the workspace or the data: where these are, stays here."""
    if isinstance(told, dict):
        return {name: _without_places(value, state) for name, value in told.items()}
    if isinstance(told, list):
        return [_without_places(value, state) for value in told]
    if isinstance(told, str):
        for folder in _folders(state):
            told = told.replace(f"{folder}/", "").replace(folder, ".")
    return told


def _folders(state: Any) -> list[str]:
    """Folders of this machine that errors may name, inner ones first."""
    given = (state.home, state.settings.workspace, os.environ.get(DATA_VARIABLE) or state.home)
    found = {str(spelled) for folder in map(Path, given) for spelled in (folder.absolute(), folder.resolve())}
    return sorted(found - {"/"}, key=len, reverse=True)


def _fault(fault: Fault) -> dict[str, Any]:
    found = {
        "key": fault.key,
        "problem": fault.problem,
        "value": str(fault.value) if fault.has_value else None,
        "source": fault.source,
        "did_you_mean": fault.nearest,
        "allowed": list(fault.allowed),
    }
    return {name: value for name, value in found.items() if value not in (None, "", [])}


def _of_contract(request: Request, error: Exception) -> Response:
    assert isinstance(error, ValidationError)
    return _refused(list(error.errors(include_url=False, include_context=False, include_input=False)))


def _of_request(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    return _refused(list(error.errors()))


def _refused(found: list[Any]) -> Response:
    faults = [{"key": ".".join(map(str, item["loc"])) or "body", "problem": str(item["msg"])} for item in found]
    count = f"{len(faults)} fault{'s' if len(faults) != 1 else ''}"
    return problem(HTTPStatus.UNPROCESSABLE_ENTITY, f"the request is refused: {count}", faults=faults)


def _of_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return problem(error.status_code, str(error.detail), headers=error.headers)
