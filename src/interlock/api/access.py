"""Who may call what: a bearer token in every request, checked before the body is read."""

from collections.abc import Callable
from http import HTTPStatus
from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.exceptions import HTTPException

from interlock.registry.control.tokens import Scope, Tokens

_BEARER = HTTPBearer(auto_error=False, description="The token of agents, or that of people where a person must say so.")

Access = Callable[[Request, HTTPAuthorizationCredentials | None], Scope]


def requires(*scopes: Scope) -> Access:
    """A dependency that lets only holders of these tokens through and gives the scope of the caller."""

    def check(request: Request, given: Annotated[HTTPAuthorizationCredentials | None, Depends(_BEARER)]) -> Scope:
        tokens: Tokens = request.app.state.tokens
        scope = tokens.scope_of(given.credentials) if given is not None else None
        if scope is None:
            raise HTTPException(
                HTTPStatus.UNAUTHORIZED, "a valid bearer token is needed", headers={"WWW-Authenticate": "Bearer"}
            )
        if scope not in scopes:
            raise HTTPException(HTTPStatus.FORBIDDEN, f"this needs the token of a {scopes[0]}: an agent cannot do it")
        return scope

    return check
