"""No request may be larger than what the API has use for; told before anything is read into memory."""

import json
from typing import Any

BODY_MAX_BYTES = 256 * 1024
"""A job card is a few kilobytes."""


class _TooLargeError(Exception):
    pass


class BodyLimit:
    """ASGI middleware: answers 413 to a body over the limit, whether its length is announced or only comes to light."""

    def __init__(self, app: Any, *, max_bytes: int = BODY_MAX_BYTES) -> None:
        self._app, self._max_bytes = app, max_bytes

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Called by the server for every request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if self._announced(scope) > self._max_bytes:
            await self._refuse(send)
            return
        seen, has_answered = 0, False

        async def counted() -> Any:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > self._max_bytes:
                raise _TooLargeError
            return message

        async def watched(message: Any) -> None:
            nonlocal has_answered
            has_answered = True
            await send(message)

        try:
            await self._app(scope, counted, watched)
        except _TooLargeError:
            if has_answered:
                raise
            await self._refuse(send)

    @staticmethod
    def _announced(scope: Any) -> int:
        for name, value in scope["headers"]:
            if name == b"content-length":
                return int(value) if value.isdigit() else 0  # the server itself refuses what is no number
        return 0

    async def _refuse(self, send: Any) -> None:
        problem = {
            "type": "about:blank",
            "title": "Content Too Large",
            "status": 413,
            "detail": f"the body is larger than {self._max_bytes:,} bytes",
        }
        headers = [(b"content-type", b"application/problem+json"), (b"connection", b"close")]
        await send({"type": "http.response.start", "status": 413, "headers": headers})
        await send({"type": "http.response.body", "body": json.dumps(problem).encode()})
