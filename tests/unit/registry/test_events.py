"""The log holds each thing once, in order, whoever writes at the same time."""

import json
import multiprocessing
from concurrent.futures import ThreadPoolExecutor

import pytest

from interlock.errors import ProvenanceError, RegistryError
from interlock.provenance.chain import append
from interlock.registry.events import Proposal, append_new, events_path, read_events


def judged(run_id, judgement, verdict="pass"):
    return Proposal(kind="judged", subject=run_id, body={"judgement_id": judgement, "verdict": verdict})


def archived(run_id, **body):
    return Proposal(kind="run_archived", subject=run_id, body={"lane": "tower", **body})


def subjects(home):
    return [(event.kind, event.subject, event.body.get("judgement_id")) for event, _ in read_events(home)]


def test_nothing_to_say_writes_nothing(tmp_path):
    assert append_new(tmp_path, []) == ()
    assert not events_path(tmp_path).exists()


def test_the_same_thing_is_written_once(tmp_path):
    for _ in range(3):
        append_new(tmp_path, [archived("a"), judged("a", "1")])
    assert subjects(tmp_path) == [("run_archived", "a", None), ("judged", "a", "1")]


def test_the_same_thing_twice_in_one_go_is_written_once(tmp_path):
    append_new(tmp_path, [archived("a"), archived("a")])
    assert len(subjects(tmp_path)) == 1


def test_another_body_is_another_thing(tmp_path):
    append_new(tmp_path, [archived("a", export="skipped")])
    append_new(tmp_path, [archived("a", export="completed")])
    append_new(tmp_path, [archived("a", export="skipped")])
    assert len(subjects(tmp_path)) == 2


def test_going_back_to_a_judgement_is_news(tmp_path):
    for judgement in ("1", "1", "2", "2", "1"):
        append_new(tmp_path, [judged("a", judgement)])
    assert [judgement for _, _, judgement in subjects(tmp_path)] == ["1", "2", "1"]
    append_new(tmp_path, [judged("a", "2")], once=True)
    assert len(subjects(tmp_path)) == 3


def test_a_judgement_by_hand_stays_until_the_pipeline_judges_anew(tmp_path):
    def by(source, judgement):
        body = {"judgement_id": judgement, "verdict": "pass", "source": source}
        append_new(tmp_path, [Proposal(kind="judged", subject="a", body=body)])

    for source, judgement in (("pipeline", "1"), ("command", "2"), ("pipeline", "1"), ("command", "2")):
        by(source, judgement)
    assert [judgement for _, _, judgement in subjects(tmp_path)] == ["1", "2"]
    by("pipeline", "3")
    by("pipeline", "1")
    assert [judgement for _, _, judgement in subjects(tmp_path)] == ["1", "2", "3", "1"]


def test_runs_do_not_mix(tmp_path):
    append_new(tmp_path, [judged("a", "1"), judged("b", "1"), judged("a", "1"), judged("b", "1")])
    assert subjects(tmp_path) == [("judged", "a", "1"), ("judged", "b", "1")]


def test_a_changed_line_is_refused_and_nothing_is_added(tmp_path):
    append_new(tmp_path, [archived("a"), archived("b")])
    path = events_path(tmp_path)
    path.write_text(path.read_text().replace('"subject":"a"', '"subject":"z"'))
    before = path.read_bytes()
    with pytest.raises(ProvenanceError, match="line 1"):
        append_new(tmp_path, [archived("c")])
    assert path.read_bytes() == before


@pytest.mark.parametrize("payload", [{}, {"kind": "unknown"}, [], "text"])
def test_a_line_that_is_no_event_is_refused(tmp_path, payload):
    append(events_path(tmp_path), payload)
    with pytest.raises(RegistryError, match="not an event"):
        read_events(tmp_path)


def test_an_event_can_be_read_by_itself(tmp_path):
    append_new(tmp_path, [archived("a", seed=1)])
    line = json.loads(events_path(tmp_path).read_text())
    assert line["payload"]["body"] == {"lane": "tower", "seed": 1}
    assert {"kind", "subject", "key", "at", "host", "body", "writer", "clock", "seen"} == set(line["payload"])


def _write_many(home, worker, count):
    for number in range(count):
        append_new(home, [archived("shared", number=number), archived(f"{worker}-{number}")])


def test_processes_lose_and_double_nothing(tmp_path):
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_write_many, args=(tmp_path, worker, 10)) for worker in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0] * 4
    found = [event.subject for event, _ in read_events(tmp_path)]
    assert found.count("shared") == 10
    assert len(found) == len({event.key for event, _ in read_events(tmp_path)}) == 50


def test_threads_lose_and_double_nothing(tmp_path):
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda worker: _write_many(tmp_path, worker, 10), range(4)))
    assert len(read_events(tmp_path)) == 50
