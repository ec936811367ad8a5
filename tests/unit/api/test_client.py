"""The client over real HTTP: what it says is done once, and what is refused comes back as the store's own errors."""

import threading
import time

import httpx
import pytest
import uvicorn
from api_tokens import AGENT, TOKENS

from interlock.api.app import create_app
from interlock.api.settings import Settings
from interlock.contracts.heartbeat import Heartbeat
from interlock.contracts.quotas import Quotas
from interlock.errors import QuotaError, RegistryError, UsageError
from interlock.registry.control import heartbeats
from interlock.registry.control.over_http import ControlClient
from interlock.registry.control.processes import this_process

SETTINGS = Settings(quotas=Quotas(cuda=1.0), agents=frozenset({"dir_models"}))
BEAT = Heartbeat(agent="Mgr-Models-02", run_id="r", timestamp=1.5, state="training", children_agents=("A", "B"))


class Flaky:
    """ASGI: loses the answer of every first request of a kind, after the work was done."""

    def __init__(self, app) -> None:
        self._app, self.lost = app, 0

    async def __call__(self, scope, receive, send) -> None:
        if scope["type"] != "http" or self.lost:
            await self._app(scope, receive, send)
            return
        self.lost += 1

        async def nowhere(message) -> None:
            if message["type"] == "http.response.start":
                await send({**message, "status": 503, "headers": []})
            else:
                await send({**message, "body": b""})

        await self._app(scope, receive, nowhere)


@pytest.fixture
def served(tmp_path):
    """The application behind a real socket; its first answer gets lost."""
    app = create_app(
        tmp_path,
        tokens=TOKENS,
        settings=SETTINGS,
    )
    flaky = Flaky(app)
    server = uvicorn.Server(uvicorn.Config(flaky, port=0, log_level="critical", lifespan="off"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}", app, flaky
    server.should_exit = True
    thread.join()
    app.state.store.close()


def test_a_lost_answer_is_asked_for_again_and_counts_once(served) -> None:
    url, app, flaky = served
    with ControlClient(url, token=AGENT) as client:
        number = client.record(BEAT)
    assert flaky.lost == 1
    assert number == 1
    assert heartbeats.newest(app.state.store) == (BEAT,)


def test_reservations_over_http_are_those_of_the_store(served) -> None:
    url, app, _ = served
    mine, other = this_process(run="mine"), this_process(run="other")
    with ControlClient(url, token=AGENT) as client:
        held = client.reserve({"cuda": 1.0}, holder=mine)
        assert app.state.reservations.standing() == (held,)
        with pytest.raises(QuotaError, match="held by mine"):
            client.reserve({"cuda": 0.5}, holder=other)
        waiting = client.ask({"cuda": 0.5}, holder=other)
        assert waiting.state == "waiting"
        assert client.left() == {"cuda": 0.0}
        assert client.release(held.id).state == "released"
        assert client.renew(waiting.id).state == "granted"
        with pytest.raises(QuotaError, match="released"):
            client.renew(held.id)


def test_refusals_say_which_key_and_the_way_out(served) -> None:
    url, _, _ = served
    with pytest.raises(UsageError, match="needs a token"):
        ControlClient(url, token="")
    with ControlClient(url, token="not the token at all, no") as client, pytest.raises(UsageError) as refused:
        client.record(BEAT)
    assert refused.value.key == "control.url"
    assert "INTERLOCK_CONTROL_TOKEN" in str(refused.value)


def test_a_server_that_is_not_there_is_named() -> None:
    client = ControlClient("http://127.0.0.1:9", token=AGENT, attempts=2)
    with client, pytest.raises(RegistryError, match="does not answer") as refused:
        client.record(BEAT)
    assert refused.value.value == "http://127.0.0.1:9"
    assert isinstance(refused.value.__cause__, httpx.TransportError)
