"""What a request says: no unknown query parameters, and bodies read by the contracts themselves, from their JSON text.

FastAPI's own reading goes through Python objects, where the strict contracts would refuse what JSON cannot say better
(a list for a tuple, text for a time).
"""

from collections import Counter
from collections.abc import Callable, Coroutine, Iterable
from http import HTTPStatus
from typing import Any, TypeVar

from fastapi import Request
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema
from starlette.exceptions import HTTPException

Model = TypeVar("Model", bound=BaseModel)

_REFERENCE = "#/components/schemas/{model}"


def body_of(model: type[Model]) -> Callable[[Request], Coroutine[Any, Any, Model]]:
    """A dependency that gives the validated body. Raises pydantic's ValidationError, which becomes a 422."""

    async def read(request: Request) -> Model:
        require_media(request, "application/json")
        return model.model_validate_json(await request.body())

    return read


def refuse_unknown_queries(request: Request) -> None:
    """A dependency of every route: a mistyped query parameter is refused, with those that there are, not ignored.

    So is one that stands twice: of two wishes one would be forgotten.
    """
    known = [parameter.alias for parameter in request.scope["route"].dependant.query_params]
    if unknown := sorted(set(request.query_params) - set(known)):
        raise HTTPException(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            f"no such query parameter: {unknown[0]!r}; known: {', '.join(known) or 'none'}",
        )
    given = Counter(name for name, _ in request.query_params.multi_items())
    if twice := sorted(name for name, count in given.items() if count > 1):
        raise HTTPException(HTTPStatus.UNPROCESSABLE_ENTITY, f"the query parameter {twice[0]!r} stands twice; keep one")


def require_media(request: Request, *allowed: str) -> str:
    """The media type of the body; 415 for another one."""
    found = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if found not in allowed:
        raise HTTPException(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"send the body as {' or '.join(allowed)}")
    return found


def described(model: type[BaseModel], *media: str) -> dict[str, Any]:
    """What a route that reads its body itself tells OpenAPI of it."""
    schema = {"schema": {"$ref": _REFERENCE.format(model=model.__name__)}}
    content = dict.fromkeys(media or ("application/json",), schema)
    return {"requestBody": {"required": True, "content": content}}


def schemas_of(models: Iterable[type[BaseModel]]) -> dict[str, Any]:
    """Schemas of these models and of all they are made of, by name."""
    _, found = models_json_schema([(model, "validation") for model in models], ref_template=_REFERENCE)
    definitions: dict[str, Any] = found.get("$defs", {})
    return definitions
