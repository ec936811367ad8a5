"""The control store of another process or machine, asked through its API: what `control.url` names.

    with ControlClient(url, token=agent_token(home)) as client:
        client.record(beat)
        client.reserve({"cuda": 1}, holder=this_process(run=run_id))

A request whose answer got lost is sent again under the same idempotency key, so it counts once. Refusals come back as
the errors that the store itself would have raised, and `ask poll renew release left` are those of `Reservations`.
"""

import json
import secrets
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import httpx
import tenacity

from interlock.contracts.heartbeat import Heartbeat
from interlock.contracts.reservation import Holder, Reservation, Resource
from interlock.errors import InterlockError, QuotaError, RegistryError, UsageError
from interlock.registry.control.reservations import LEASE_S
from interlock.registry.control.tokens import VARIABLES

TIMEOUT_S = 10.0
ATTEMPTS = 4
_AGAIN = frozenset({HTTPStatus.BAD_GATEWAY, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.GATEWAY_TIMEOUT})


class _AgainError(Exception):
    """The server, or a proxy before it, could not answer now."""


class ControlClient:
    """A connection to the control API; usable by one thread at a time."""

    def __init__(self, url: str, *, token: str, timeout_s: float = TIMEOUT_S, attempts: int = ATTEMPTS) -> None:
        """`attempts`: how often a request is sent before it counts as lost, with growing pauses between them."""
        if not token:
            raise UsageError(
                "the control API needs a token, and none is set",
                key=VARIABLES["agent"],
                hint=f"set it to the agents' token that `interlock serve` names at {url}",
            )
        self._url, self._attempts = url, attempts
        self._http = httpx.Client(base_url=url, headers={"Authorization": f"Bearer {token}"}, timeout=timeout_s)

    def __enter__(self) -> "ControlClient":
        """The client itself."""
        return self

    def __exit__(self, *ended: object) -> None:
        """Close the connection."""
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self._http.close()

    def record(self, beat: Heartbeat) -> int:
        """Keep one heartbeat there; returns its number. Raises RegistryError, UsageError."""
        return int(self._post("/api/pas/status", beat.model_dump(mode="json"))["number"])

    def newest(
        self, *, job: str | None = None, run_id: str | None = None, agent: str | None = None
    ) -> tuple[Heartbeat, ...]:
        """As `heartbeats.newest`."""
        wanted = {"job": job, "run_id": run_id, "agent": agent}
        given = {name: value for name, value in wanted.items() if value is not None}
        found = self._answered("GET", "/api/pas/status", params=given)
        return tuple(Heartbeat.model_validate_json(json.dumps(beat)) for beat in found)

    def reserve(self, amounts: Mapping[Resource, float], *, holder: Holder, lease_s: float = LEASE_S) -> Reservation:
        """As `Reservations.reserve`. Raises QuotaError, UsageError, RegistryError; so do the others."""
        return self._reserved(amounts, holder, lease_s, wait=False)

    def ask(self, amounts: Mapping[Resource, float], *, holder: Holder, lease_s: float = LEASE_S) -> Reservation:
        """As `Reservations.ask`."""
        return self._reserved(amounts, holder, lease_s, wait=True)

    def poll(self, name: str) -> Reservation:
        """As `Reservations.poll`."""
        return Reservation.model_validate(self._post("/api/resource-manager/renew", {"id": name}))

    renew = poll

    def release(self, name: str) -> Reservation:
        """As `Reservations.release`."""
        return Reservation.model_validate(self._post("/api/resource-manager/release", {"id": name}))

    def left(self) -> dict[Resource, float]:
        """As `Reservations.left`."""
        found: dict[Resource, float] = self._answered("GET", "/api/resource-manager")["left"]
        return found

    def _reserved(
        self, amounts: Mapping[Resource, float], holder: Holder, lease_s: float, *, wait: bool
    ) -> Reservation:
        wanted = {"amounts": dict(amounts), "holder": holder.model_dump(mode="json"), "lease_s": lease_s, "wait": wait}
        return Reservation.model_validate(self._post("/api/resource-manager/reserve", wanted))

    def _post(self, path: str, body: Mapping[str, Any]) -> Any:
        return self._answered("POST", path, json=body, headers={"Idempotency-Key": secrets.token_hex(16)})

    def _answered(self, method: str, path: str, **request: Any) -> Any:
        sending = tenacity.Retrying(
            stop=tenacity.stop_after_attempt(self._attempts),
            wait=tenacity.wait_random_exponential(multiplier=0.1, max=2.0),
            retry=tenacity.retry_if_exception_type((httpx.TransportError, _AgainError)),
            reraise=True,
        )
        try:
            answer = sending(self._send, method, path, **request)
        except (httpx.TransportError, _AgainError) as error:
            raise RegistryError(
                f"the control API does not answer: {type(error).__name__}: {error}",
                key="control.url",
                value=self._url,
                hint="is `interlock serve` running there? Without control.url the store is used directly",
            ) from error
        if answer.is_success:
            return answer.json()
        raise self._refusal(answer)

    def _send(self, method: str, path: str, **request: Any) -> httpx.Response:
        answer = self._http.request(method, path, **request)
        if answer.status_code in _AGAIN:
            raise _AgainError(f"HTTP {answer.status_code}")
        return answer

    def _refusal(self, answer: httpx.Response) -> InterlockError:
        told = _problem(answer)
        detail, hint = str(told.get("detail", answer.reason_phrase)), told.get("hint")
        if answer.status_code == HTTPStatus.UNAUTHORIZED:
            hint = f"set {VARIABLES['agent']} to the agents' token that `interlock serve` names there"
            return UsageError(detail, key="control.url", value=self._url, hint=hint)
        if answer.status_code == HTTPStatus.CONFLICT:
            return QuotaError(detail, key="control.url", value=self._url, hint=hint)
        faults = "; ".join(f"{fault.get('key')}: {fault.get('problem')}" for fault in told.get("faults", []))
        return RegistryError(f"{detail} {faults}".strip(), key="control.url", value=self._url, hint=hint)


def _problem(answer: httpx.Response) -> dict[str, Any]:
    try:
        told = answer.json()
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}
