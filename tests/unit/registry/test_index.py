"""The index is nothing but the events: growing and folding anew give the same rows, and history cannot be edited."""

import contextlib
import sqlite3

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interlock.errors import ProvenanceError, RegistryError
from interlock.registry import index
from interlock.registry.events import Proposal, append_new, events_path
from interlock.registry.migrations import MIGRATIONS

RUNS = ("a" * 16, "b" * 16)


def archived(run_id, export="completed"):
    body = {
        "lane": "tower", "model_type": "tower", "dataset": "d", "seed": 1, "git_commit": "", "created_at": 1,
        "export": export, "card_sha256": "0" * 64,
    }  # fmt: skip
    return Proposal(kind="run_archived", subject=run_id, body=body)


def registered(run_id):
    body = {
        "run_id": run_id, "model_type": "tower", "dataset": "d", "git_commit": "", "seed": 1, "path": "p",
        "hyperparameters": {"lr": 0.1}, "metrics": {"r_at_5": None}, "created_at": 1, "sha256": "0" * 64,
    }  # fmt: skip
    return Proposal(kind="model_registered", subject=f"tower_d_{run_id}", body=body)


def judged(run_id, number, verdict):
    return Proposal(kind="judged", subject=run_id, body={"judgement_id": str(number), "verdict": verdict})


def decided(run_id, number, action):
    body = {"judgement_id": str(number), "decision_id": action, "action": action}
    return Proposal(kind="decided", subject=run_id, body=body)


def grow(home, *proposals):
    append_new(home, proposals)
    index.refresh(home)


def query(home, sql):
    with index.reading(home) as database:
        return [tuple(row) for row in database.execute(sql)]


RUN_IDS = st.sampled_from(RUNS)
STEPS = st.one_of(
    st.builds(archived, RUN_IDS, st.sampled_from(["completed", "skipped"])),
    st.builds(registered, RUN_IDS),
    st.builds(judged, RUN_IDS, st.integers(0, 2), st.sampled_from(["pass", "fail"])),
    st.builds(decided, RUN_IDS, st.integers(0, 2), st.sampled_from(["accept", "escalate"])),
)


@settings(max_examples=25)
@given(st.lists(st.tuples(STEPS, st.booleans()), max_size=12))
def test_growing_equals_folding_anew(tmp_path_factory, steps):
    home = tmp_path_factory.mktemp("home")
    for proposal, refresh_now in steps:
        append_new(home, [proposal])
        if refresh_now:
            index.refresh(home)
    index.refresh(home)
    grown = index.rows(home)
    index.refold(home)
    assert index.rows(home) == grown
    index.index_path(home).unlink()
    index.refresh(home)
    assert index.rows(home) == grown


def test_the_first_ten_columns_are_the_ones_that_are_known(tmp_path):
    grow(tmp_path, archived(RUNS[0]), registered(RUNS[0]))
    columns = [name for _, name, *_ in query(tmp_path, "PRAGMA table_info(models)")]
    assert columns == [
        "id", "model_type", "dataset", "git_commit", "run_id", "seed", "hyperparameters", "metrics", "path",
        "created_at", "sha256", "verdict", "stage", "share_percent",
    ]  # fmt: skip
    assert query(tmp_path, "SELECT json_extract(hyperparameters, '$.lr') FROM models") == [(0.1,)]


@pytest.mark.parametrize("verdict_first", [True, False])
def test_a_model_has_its_runs_verdict_whichever_came_first(tmp_path, verdict_first):
    steps = [registered(RUNS[0]), judged(RUNS[0], 1, "pass")]
    grow(tmp_path, archived(RUNS[0]), *(reversed(steps) if verdict_first else steps))
    assert query(tmp_path, "SELECT verdict, stage FROM models") == [("pass", "candidate")]


def test_history_cannot_be_edited(tmp_path):
    grow(tmp_path, archived(RUNS[0]), registered(RUNS[0]))
    for sql in ("UPDATE stage_history SET to_stage = 'production'", "DELETE FROM stage_history"):
        with pytest.raises(RegistryError, match="only grows"):
            query(tmp_path, sql)
    assert [row[3:5] for row in query(tmp_path, "SELECT * FROM stage_history")] == [("", "candidate")]


def test_another_log_under_the_same_name_is_folded_anew(tmp_path):
    grow(tmp_path, archived(RUNS[0]), archived(RUNS[1]))
    events_path(tmp_path).unlink()
    grow(tmp_path, archived(RUNS[1]))
    assert query(tmp_path, "SELECT run_id FROM runs") == [(RUNS[1],)]
    events_path(tmp_path).unlink()
    grow(tmp_path, archived(RUNS[0]), archived(RUNS[1]), judged(RUNS[0], 1, "pass"))
    assert query(tmp_path, "SELECT COUNT(*) FROM runs") == [(2,)]


def test_without_events_the_index_is_empty_and_no_file_is_made(tmp_path):
    assert query(tmp_path, "SELECT * FROM models") == []
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_no_database_is_named_and_can_be_replaced(tmp_path):
    grow(tmp_path, archived(RUNS[0]))
    for path in (tmp_path / "registry").glob("models.db*"):
        path.unlink()
    index.index_path(tmp_path).write_text("something else entirely, and long enough to have a header" * 20)
    with pytest.raises(RegistryError, match="registry rebuild"):
        index.refresh(tmp_path)
    index.refold(tmp_path)
    assert query(tmp_path, "SELECT run_id FROM runs") == [(RUNS[0],)]


def test_a_newer_schema_is_refused_and_left_alone(tmp_path):
    grow(tmp_path, archived(RUNS[0]))
    with sqlite3.connect(index.index_path(tmp_path)) as database:
        database.execute("INSERT INTO migrations VALUES (99, 'from the future')")
    database.close()
    append_new(tmp_path, [archived(RUNS[1])])
    with pytest.raises(RegistryError, match="newer version"):
        index.refresh(tmp_path)


def test_a_fold_that_fails_leaves_the_index_as_it_was(tmp_path):
    grow(tmp_path, archived(RUNS[0]))
    before = index.rows(tmp_path)
    append_new(tmp_path, [archived(RUNS[1]), Proposal(kind="judged", subject=RUNS[1], body={})])
    with pytest.raises(KeyError):
        index.refresh(tmp_path)
    assert index.rows(tmp_path) == before


@pytest.mark.parametrize("line", [0, 1])
def test_a_line_deleted_before_the_last_is_an_error_for_readers(tmp_path, line):
    grow(tmp_path, archived(RUNS[0]), archived(RUNS[1]), judged(RUNS[0], 1, "pass"))
    lines = events_path(tmp_path).read_bytes().splitlines(keepends=True)
    events_path(tmp_path).write_bytes(b"".join(lines[:line] + lines[line + 1 :]))
    with pytest.raises(ProvenanceError, match=f"line {line + 1}"):
        query(tmp_path, "SELECT * FROM runs")


def test_a_log_that_did_not_change_is_not_read_again(tmp_path, monkeypatch):
    grow(tmp_path, archived(RUNS[0]))
    monkeypatch.setattr(index, "union", None)
    assert query(tmp_path, "SELECT run_id FROM runs") == [(RUNS[0],)]


def test_a_home_that_nobody_may_write_is_read_all_the_same(tmp_path, monkeypatch):
    grow(tmp_path, archived(RUNS[0]))
    append_new(tmp_path, [judged(RUNS[0], 1, "pass")])
    before = {path.name: path.read_bytes() for path in (tmp_path / "registry").iterdir()}
    monkeypatch.setattr(index, "_may_write", lambda path: False)
    assert query(tmp_path, "SELECT verdict FROM runs") == [("pass",)]
    assert len(index.rows(tmp_path)["runs"]) == 1
    assert {path.name: path.read_bytes() for path in (tmp_path / "registry").iterdir()} == before


def test_an_index_of_an_earlier_version_is_brought_up_to_date(tmp_path):
    """Every step that was once published leads to what a new index has."""
    grow(tmp_path, archived(RUNS[0]), registered(RUNS[0]), judged(RUNS[0], 1, "pass"))
    index.refresh(tmp_path)
    wanted = index.rows(tmp_path)
    for steps in range(1, len(MIGRATIONS)):
        index.index_path(tmp_path).unlink()
        with contextlib.closing(sqlite3.connect(index.index_path(tmp_path), isolation_level=None)) as database:
            database.execute("CREATE TABLE migrations (number INTEGER PRIMARY KEY, name TEXT NOT NULL)")
            for number, name, statements in MIGRATIONS[:steps]:
                for statement in statements:
                    database.execute(statement)
                database.execute("INSERT INTO migrations VALUES (?, ?)", (number, name))
        index.refresh(tmp_path)
        assert index.rows(tmp_path) == wanted
