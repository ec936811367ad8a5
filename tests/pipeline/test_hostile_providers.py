"""Providers that lie about what they cost, do not end, or give the key away: bounded in money, time and memory.

Every question goes the whole way of `interlock decide`. What is spent is what the ledger and the recorded answers say,
and it never passes a ceiling by more than one call that a provider claims to have been dearer than it can have been.
"""

import json
import logging
import os
import random
import socket
import subprocess
import sys
import textwrap
import time
from dataclasses import replace
from pathlib import Path
from threading import Event, Thread

import pytest
from hostile_envelopes import COUNTS
from hostile_path import KEY, KEY_ENV, WAYS, base_configuration, models
from hostile_proposals import dumps, good
from hostile_server import HostileServer, Said
from toy_homes import toy_run

from interlock.contracts.agent import AgentBudget
from interlock.decisions import journal
from interlock.registry.layout import run_folder
from interlock.registry.spending import spend
from interlock.runs.deciding.deciding import ask, context_of, ledger_of
from interlock.runs.deciding.recording import record
from interlock.runs.deciding.standing import standing_judgement

ROOT = Path(__file__).resolve().parents[2]
WAY = WAYS[0]
CLAIMS = (*COUNTS, None, "9" * 30, "1000000001", "-0")
"""What a provider may say a call took."""
ALL_WAYS = [WAYS[0], *(pytest.param(way, marks=pytest.mark.slow) for way in WAYS[1:3])]


@pytest.fixture(autouse=True)
def _key(monkeypatch):
    monkeypatch.setenv(KEY_ENV, KEY)


@pytest.fixture(scope="module")
def failed(tmp_path_factory):
    """A home with one run that failed."""
    folder = tmp_path_factory.mktemp("providers")
    return folder / "home", toy_run(folder / "home", folder / "work", "lane.model.value=0.2")


@pytest.fixture(scope="module")
def base():
    return base_configuration()


@pytest.fixture
def server():
    with HostileServer() as server:
        yield server


SAMPLES = iter(range(1, 10**9))


@pytest.fixture
def asking(failed, base, server):
    """Ask with a budget; every time a new question. Gives the decision, what it took, and the ledger."""

    def go(replies, *, way=WAY, budget=None, ledger=None, timeout_s=10.0, **settings):
        home, run_id = failed
        llm = models(server.urls, way, sample=next(SAMPLES), **settings)
        named = {name: item.model_copy(update={"timeout_s": timeout_s}) for name, item in llm.models.items()}
        agents = dict(base.agents)
        if budget is not None:
            agents["dir_models"] = agents["dir_models"].model_copy(update={"budget": AgentBudget(**budget)})
        configured = replace(base, agents=agents, llm=llm.model_copy(update={"models": named}))
        server.script(replies)
        began = time.monotonic()
        decided = ask(home, run_id, configured, ledger=ledger)
        return decided, time.monotonic() - began

    return go


def good_text(failed, base, **changes):
    home, run_id = failed
    shown = context_of(home, run_id, base, judgement=standing_judgement(home, run_id))
    return dumps(good(random.Random(1), shown) | changes)


def ledger(base, **budget):
    """One ledger for several questions, under the ceilings of the director."""
    agents = {"dir_models": base.agents["dir_models"].model_copy(update={"budget": AgentBudget(**budget)})}
    return ledger_of(replace(base, agents=agents))


@pytest.mark.parametrize(("index", "count"), list(enumerate(CLAIMS)), ids=str)
def test_nonsense_about_usage_is_booked_as_the_worst_case(asking, failed, base, index, count):
    text = good_text(failed, base)
    shared = ledger(base, calls=50, tokens=30_000, usd=1.0, seconds=100.0)
    for turn in range(2):
        said = Said(payload=text, tokens=None if count is None else (count, count))
        decided, _ = asking([said], way=WAYS[(index + turn) % 3], ledger=shared)
        used = decided.decision.usage
        assert used.tokens_in >= 0
        assert used.tokens_out >= 0
        assert used.tokens > 0 or used.calls == 0 or not decided.decision.trail[0].proposal
    spent = shared.spent("dir_models")
    assert 0 < spent.tokens <= 30_000
    assert 0 < spent.usd <= 1.0


@pytest.mark.parametrize(
    "budget",
    [
        {"calls": 1},
        {"calls": 2},
        {"tokens": 20_000},
        {"usd": 0.02},
        {"calls": 0},
        {"tokens": 0},
        {"usd": 0.0},
        {"seconds": 0.0},
    ],
    ids=str,
)
def test_no_ceiling_is_passed_by_endless_corrections(asking, base, server, budget):
    usual = {"calls": 100, "tokens": 10**9, "usd": 1000.0, "seconds": 1000.0}
    shared = ledger(base, **(usual | budget))
    wrong = Said(payload='{"action": "accept"}', tokens=None)
    for _ in range(6):
        decided, _ = asking([wrong], ledger=shared, corrections_max=2, retries_max=3)
        assert decided.decision.policy == "rules"
    spent = shared.spent("dir_models")
    for name, ceiling in budget.items():
        assert getattr(spent, name) <= ceiling
        assert spent.calls < 18, "it was asked as if there were no ceiling"


def test_a_provider_that_claims_more_than_can_be_is_not_asked_again(asking, failed, base, server):
    shared = ledger(base, calls=50, tokens=30_000, usd=1.0, seconds=100.0)
    said = Said(payload=good_text(failed, base), tokens=("999999999", "999999999"))
    asking([said], ledger=shared)
    after, _ = asking([said], ledger=shared)
    assert [str(step.outcome) for step in after.decision.trail] == ["over_budget"]
    assert server.requests == []


def test_corrections_and_retries_are_counted(asking, server):
    asking([Said(payload="{")], corrections_max=2)
    assert len(server.requests) == 3
    asking([Said(payload="{", tokens=None)], corrections_max=0)
    assert len(server.requests) == 1


STORMS = [
    Said(status=429, raw=b"{}", headers=(("Retry-After", value),))
    for value in ("0", "-1", "0.001", "NaN", "inf", "1e9", "99999999999999999999", "Thu, 01 Jan 1970 00:00:00 GMT", "x")
] + [Said(status=status, raw=b"{}") for status in (500, 502, 503, 529, 408)]


@pytest.mark.parametrize("storm", STORMS, ids=lambda said: f"{said.status} {dict(said.headers)}")
def test_storms_end(asking, server, storm):
    decided, took_s = asking([storm], retries_max=1, budget={"seconds": 30.0})
    assert decided.decision.policy == "rules"
    assert len(server.requests) <= 2
    assert took_s < 5


SLOW = {
    "no first byte": Said(payload="{}", delay_s=3.0),
    "a byte now and then": Said(payload='{"action": "accept"}', drip_s=0.05),
    "much": Said(payload='{"action": "FILL"}', more_bytes=50_000_000),
    "cut": Said(payload='{"action": "accept"}', cut=5),
    "announced and never sent": Said(raw=b"{", more_bytes=0, headers=(("X-A", "b" * 60_000),)),
    "one endless header": Said(raw=b"{}", headers=(("X-A", "b" * 5_000_000),)),
    "compressed": Said(raw=b" " * 50_000_000, zipped=True),
}


@pytest.mark.parametrize("way", ALL_WAYS, ids="-".join)
@pytest.mark.parametrize("name", SLOW)
def test_an_answer_that_does_not_end_is_given_up(asking, name, way):
    decided, took_s = asking([SLOW[name]], way=way, timeout_s=0.6, budget={"seconds": 20.0})
    assert decided.decision.policy == "rules"
    assert took_s < 4, decided.decision.trail


def test_endless_interim_responses_end(asking, base, failed):
    """`100 Continue` again and again is progress to every single read."""
    over, listening = Event(), socket.create_server(("127.0.0.1", 0))

    def talk():
        connection, _ = listening.accept()
        with connection:
            connection.recv(65536)
            while not over.is_set():
                try:
                    connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n" * 10)
                except OSError:
                    return
                time.sleep(0.01)

    thread = Thread(target=talk, daemon=True)
    thread.start()
    home, run_id = failed
    url = f"http://127.0.0.1:{listening.getsockname()[1]}/v1"
    llm = models({"openai_compatible": url}, WAY, sample=next(SAMPLES))
    named = {name: item.model_copy(update={"timeout_s": 0.6}) for name, item in llm.models.items()}
    began = time.monotonic()
    decided = ask(home, run_id, replace(base, llm=llm.model_copy(update={"models": named})))
    over.set()
    listening.close()
    thread.join(timeout=5)
    assert decided.decision.policy == "rules"
    assert time.monotonic() - began < 4


def test_redirects_carry_the_key_nowhere(asking, server):
    with HostileServer() as thief:
        thief.script([Said(payload='{"action": "accept"}')])
        for status in (301, 302, 303, 307, 308):
            headers = (("Location", f"{thief.url}/v1/chat/completions"),)
            decided, _ = asking([Said(status=status, raw=b"{}", headers=headers)])
            assert decided.decision.policy == "rules"
        assert thief.requests == []
    assert KEY in str(server.requests[0].headers)


PROGRAM = """
import json, os, resource, sys
sys.path[:0] = {paths!r}
from dataclasses import replace
from pathlib import Path
from hostile_path import base_configuration, models, WAYS
from hostile_server import Said
from interlock.runs.deciding.deciding import ask
base = base_configuration()
def go(url, sample):
    llm = models({{"openai_compatible": url}}, WAYS[0], sample=sample)
    return ask(Path({home!r}), {run!r}, replace(base, llm=llm)).decision.trail[-1].outcome
small = go({url!r}, 1000001)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
large = go({url!r}, 1000002)
print(json.dumps([small, large, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before]))
"""


def test_a_hundred_megabytes_are_not_read(failed, server):
    home, run_id = failed
    server.script([Said(payload="{"), Said(payload='{"action": "FILL"}', more_bytes=100_000_000)])
    paths = [str(ROOT / "src"), str(ROOT / "tests" / "plugins")]
    text = PROGRAM.format(paths=paths, home=str(home), run=run_id, url=server.urls["openai_compatible"])
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(text)],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"},
    )
    small, large, more_kib = json.loads(done.stdout.splitlines()[-1])
    assert (small, large) == ("malformed", "too_large")
    assert more_kib < 16 * 1024, f"{more_kib / 1024:.0f} MiB more for an answer of 100 MB"


def escaped(text):
    """The same text in JSON, each letter as an escape."""
    return "".join(f"\\u{ord(letter):04x}" for letter in text)


LEAKS = {
    "401": Said(status=401, raw=json.dumps({"error": {"message": f"Incorrect API key provided: {KEY}"}}).encode()),
    "500": Said(status=500, raw=f"Traceback: Authorization: Bearer {KEY}".encode()),
    "400 escaped": Said(status=400, raw=b'{"error": {"message": "' + escaped(KEY).encode() + b'"}}'),
    "text": Said(text=f"My key is {KEY}."),
    "refusal": Said(text=f"I cannot, {KEY}", finish="refused"),
    "no JSON": Said(raw=f"<h1>{KEY}</h1>".encode(), content_type=f"text/{KEY}"),
    "tool name": Said(calls=((KEY, "{}"),)),
    "retry": Said(status=429, raw=b"{}", headers=(("Retry-After", KEY),)),
    "reason": Said(status=200, raw=b"{}", headers=((KEY, KEY),)),
    "protocol": Said(raw=b"{}", headers=(("Content-Encoding", KEY),)),
}


@pytest.mark.parametrize(
    "way", [WAYS[0], *(pytest.param(way, marks=pytest.mark.slow) for way in WAYS[1:3])], ids="-".join
)
def test_the_key_reaches_no_file_no_log_and_no_screen(asking, failed, base, way, caplog, capfd):
    home, _ = failed
    caplog.set_level(logging.DEBUG)
    fact = "verdict"
    sentence = {"text": f"It rests on {KEY} and {{{fact}}}.", "evidence": [fact]}
    hidden = good_text(failed, base, reasons=[sentence])
    inside = [
        Said(payload=hidden),
        Said(payload=hidden.replace(KEY, escaped(KEY))),
        Said(payload=good_text(failed, base, action=KEY)),
        Said(payload=good_text(failed, base, **{KEY: KEY})),
        Said(payload=good_text(failed, base, action="A").replace('"A"', f'"{escaped(KEY)}"')),
        Said(payload=good_text(failed, base, reasons=[{"text": "Yes.", "evidence": [KEY]}])),
    ]
    for index, said in enumerate([*LEAKS.values(), *inside]):
        decided, _ = asking([said], way=way, corrections_max=index % 2)
        record(home, decided, made_at=f"2999-01-01T00:00:{index:02}+00:00")
        assert KEY not in repr(decided.decision)
        assert KEY not in decided.decision.model_dump_json()
    assert leaks(home) == []
    assert KEY not in caplog.text
    shown = capfd.readouterr()
    assert KEY not in shown.out + shown.err
    assert journal.read(home)


def test_a_key_without_digits_reaches_no_file_either(asking, failed, base, monkeypatch):
    """No numeral keeps the guard from taking the sentence."""
    home, _ = failed
    word = "sk-abcdefghijklmnopqrstuvwxyz"  # pragma: allowlist secret
    monkeypatch.setenv(KEY_ENV, word)
    sentence = {"text": f"It rests on {word} and {{verdict}}.", "evidence": ["verdict"]}
    text = good_text(failed, base, reasons=[sentence])
    for way in WAYS:
        for said in (text, text.replace(word, escaped(word))):
            decided, _ = asking([Said(payload=said)], way=way)
            record(home, decided, made_at="2999-01-01T00:00:00+00:00")
            assert word not in decided.decision.model_dump_json()
    assert leaks(home, word) == []


def leaks(home, key=KEY):
    """Files that hold the key, as it is or as JSON escapes it."""
    wanted = (key.encode(), escaped(key).encode())
    return [
        str(path.relative_to(home))
        for path in home.rglob("*")
        if path.is_file() and any(form in path.read_bytes() for form in wanted)
    ]


def test_what_is_spent_is_what_the_record_says(asking, failed, base):
    home, run_id = failed
    before = spend(run_folder(home, run_id))
    shared = ledger(base, calls=50, tokens=300_000, usd=5.0, seconds=100.0)
    for said in (Said(payload="{"), Said(payload=dumps({"action": "accept"})), Said(status=401, raw=b"{}")):
        asking([said], ledger=shared, corrections_max=1)
    after = spend(run_folder(home, run_id))
    spent = shared.spent("dir_models")
    assert after.calls - before.calls == spent.calls == 5
    assert after.tokens - before.tokens == spent.tokens
    assert round(after.usd - before.usd, 6) == spent.usd
