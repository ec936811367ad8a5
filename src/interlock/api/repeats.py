"""`Idempotency-Key`: a POST that is sent again, because its answer got lost, is answered as before and done once.

A route class, so that a router says it in one word: `APIRouter(route_class=RepeatableRoute)`. Refusals and failures are
not kept: they had no effect, and the work can be tried again under the same key.
"""

import hashlib
import re
import time
from collections.abc import Callable, Coroutine
from http import HTTPStatus
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute
from fastapi.security.utils import get_authorization_scheme_param
from starlette.concurrency import run_in_threadpool

from interlock.api.problems import problem
from interlock.registry.control.idempotency import Answer, Claim, claim, give_up, keep
from interlock.registry.control.store import ControlStore

HEADER = "Idempotency-Key"
_KEY = re.compile(r"[\x21-\x7e]{1,200}")

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class RepeatableRoute(APIRoute):
    """A route whose POSTs may carry an idempotency key."""

    def get_route_handler(self) -> Handler:
        """Called by FastAPI once per route."""
        inner = super().get_route_handler()

        async def handler(request: Request) -> Response:
            key = request.headers.get(HEADER)
            if key is None or request.method != "POST" or not _is_known(request):
                return await inner(request)
            if not _KEY.fullmatch(key):
                return problem(HTTPStatus.BAD_REQUEST, f"{HEADER} must be 1 to 200 visible ASCII characters")
            return await _once(request, key, inner)

        return handler


def _is_known(request: Request) -> bool:
    """Whether the caller holds a token; keys of strangers are not written down."""
    return request.app.state.tokens.scope_of(_token(request)) is not None


def _token(request: Request) -> str:
    """What the caller says it is, read as `interlock.api.access` reads it: the word `bearer` in any case."""
    return get_authorization_scheme_param(request.headers.get("authorization"))[1]


async def _once(request: Request, key: str, inner: Handler) -> Response:
    """The kept answer, a refusal, or the work itself; callers are kept apart by their token."""
    store: ControlStore = request.app.state.store
    body = await request.body()
    name = hashlib.sha256(f"{_token(request)}\0{key}".encode()).hexdigest()
    asked = hashlib.sha256(f"{request.method} {request.url.path}\0".encode() + body).hexdigest()
    found = await run_in_threadpool(
        claim, store, name, request_sha256=asked, owner=request.app.state.server, now_s=time.time()
    )
    if isinstance(found, Answer):
        replayed = {"Idempotency-Replayed": "true"}
        return Response(found.body, found.status, media_type="application/json", headers=replayed)
    if found is Claim.MISUSED:
        return problem(HTTPStatus.UNPROCESSABLE_ENTITY, f"{HEADER}: {found.value}", hint="send a new key")
    if found is Claim.BUSY:
        return problem(HTTPStatus.CONFLICT, f"{HEADER}: {found.value}", hint="ask again in a moment")
    try:
        response = await inner(request)
    except BaseException:  # refusals too: the handlers above turn them into problems
        await run_in_threadpool(give_up, store, name)
        raise
    await run_in_threadpool(keep, store, name, Answer(response.status_code, bytes(response.body)))
    return response
