"""Verification finds every changed byte, and says what it did not check."""

import json
import os
import random

import pytest
from forger import Forger

from interlock.errors import ProvenanceError
from interlock.provenance.chain import ChainWriter
from interlock.registry import index
from interlock.registry.events import events_path
from interlock.registry.verify import verify_home, verify_run


def broken(home, run_id, **options):
    found = verify_run(home, run_id, **options)
    assert not found.ok
    return found.first_broken


def change_a_byte(path, rng):
    path.chmod(0o644)
    data = bytearray(path.read_bytes())
    place = rng.randrange(len(data))
    data[place] ^= 1 << rng.randrange(8)
    path.write_bytes(data)


def files_of(home, run_id):
    folder = home / "runs" / run_id
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_an_honest_run_holds_and_what_was_not_checked_is_said(runs):
    home, run_id, _ = runs
    found = verify_run(home, run_id)
    assert found.ok, found.first_broken
    assert {link.name for link in found.unchecked} == {"run card -> lock digest", "signature"}
    assert found.num_files == len(files_of(home, run_id))
    assert found.signed_by == ()


def test_any_changed_byte_is_found_and_its_file_named(runs):
    home, run_id, _ = runs
    rng = random.Random(7)
    names = files_of(home, run_id)
    assert len(names) > 40
    for name in names:
        path = home / "runs" / run_id / name
        before = path.read_bytes()
        change_a_byte(path, rng)
        found = verify_run(home, run_id)
        assert not found.ok, name
        assert f"runs/{run_id}/{name}" in {link.path for link in found.links if link.state == "broken"}, name
        path.write_bytes(before)
    assert verify_run(home, run_id).ok


def test_any_changed_byte_of_the_log_is_found(runs):
    home, run_id, _ = runs
    path, rng = events_path(home), random.Random(3)
    before = path.read_bytes()
    for _ in range(12):
        change_a_byte(path, rng)
        assert not verify_run(home, run_id).ok
        path.write_bytes(before)


def test_any_missing_file_is_found(runs):
    home, run_id, _ = runs
    for name in files_of(home, run_id):
        path = home / "runs" / run_id / name
        before = path.read_bytes()
        path.unlink()
        assert not verify_run(home, run_id).ok, name
        path.write_bytes(before)


@pytest.mark.parametrize(
    "name",
    ["models/extra.bin", "models/records/extra.json", "note.txt", "judgements/x/judgement.json", "signatures/note.txt"],
)
def test_a_file_that_nothing_lists_is_found(runs, name):
    home, run_id, _ = runs
    Forger(home, run_id).write(name, b"{}")
    assert not verify_run(home, run_id).ok


def test_a_file_beside_the_parts_of_a_run_is_told(runs):
    home, run_id, _ = runs
    Forger(home, run_id).write("reproductions/1/reproduction.json", b"{}")
    found = verify_run(home, run_id)
    assert found.ok
    assert "runs/ -> reproductions/" in {link.name for link in found.unchecked}


def test_a_link_to_the_right_bytes_is_no_file(runs, tmp_path):
    home, run_id, _ = runs
    path = home / "runs" / run_id / "models" / "loss.csv"
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    assert any("no plain file" in link.detail for link in verify_run(home, run_id).links)
    assert not verify_run(home, run_id).ok


def test_a_pipe_does_not_hang(runs):
    home, run_id, _ = runs
    os.mkfifo(home / "runs" / run_id / "models" / "pipe")
    assert not verify_run(home, run_id).ok


def test_the_first_broken_link_names_both_digests_and_the_way_out(runs):
    home, run_id, _ = runs
    Forger(home, run_id).write("models/per_query.parquet", b"other")
    link = broken(home, run_id)
    assert link.name == "run card -> models/per_query.parquet"
    assert link.detail.startswith("sha256 is d9298a10d1b0..., the card says ")
    assert link.path == f"runs/{run_id}/models/per_query.parquet"
    assert "backup" in link.way_out


def test_what_comes_first_in_the_chain_is_named_first(runs):
    home, run_id, _ = runs
    forger = Forger(home, run_id)
    forger.write(forger.one("decisions/*/decision.md"), b"other")
    assert broken(home, run_id).section == "decisions"
    forger.write("models/loss.csv", b"other")
    assert broken(home, run_id).section == "files"
    forger.change("models/run_card.json", lambda card: card.update(seed=7))
    assert broken(home, run_id).name == "event 1 -> run card"


@pytest.mark.parametrize("field", ["code_sha256", "lock_sha256"])
def test_a_forged_digest_does_not_give_the_runs_id(runs, field):
    home, run_id, _ = runs
    forger = Forger(home, run_id)
    forger.change("models/records/train.json", lambda record: record.update({field: "f" * 64}))
    forger.reseal()
    link = broken(home, run_id)
    assert (link.name, link.section) == ("train record -> run id", "stages")
    assert f"the run is called {run_id}" in link.detail


def test_a_stage_that_read_something_else_is_found(runs):
    home, run_id, _ = runs
    forger = Forger(home, run_id)
    forger.reseal()
    forger.change("models/records/evaluate.json", lambda record: record["facts"].update(estimate=1.0))
    forger.change("models/run_card.json", forger._fit_card)
    forger.relog()
    assert broken(home, run_id).name == "export -> evaluate"


def test_a_card_that_the_records_do_not_give_is_found(runs):
    home, run_id, _ = runs
    forger = Forger(home, run_id)
    forger.change("models/run_card.json", lambda card: card["results"].update(accuracy=0.99))
    forger.relog()
    link = broken(home, run_id)
    assert link.name == "stage records -> run card: results.accuracy"
    assert link.detail == "the card says 0.99, the records give 0.9"


def test_a_cut_log_is_found(runs):
    home, run_id, _ = runs
    lines = events_path(home).read_text().splitlines(keepends=True)
    names = {2: "event log -> judgements/", 3: "event log -> decisions/", 4: "event log -> attempts/"}
    for kept, name in names.items():
        events_path(home).write_text("".join(lines[:kept]))
        assert any(link.name.startswith(name) for link in verify_run(home, run_id).links if link.state == "broken")


def test_a_torn_last_line_is_told(runs):
    home, run_id, _ = runs
    with events_path(home).open("a") as file:
        file.write('{"payload":')
    found = verify_run(home, run_id)
    assert found.ok
    assert any("never finished" in link.detail for link in found.unchecked)


def test_a_lost_log_is_broken_and_a_rebuilt_one_holds(runs):
    from interlock.registry.derive import rebuild

    home, run_id, _ = runs
    events_path(home).unlink()
    assert broken(home, run_id).detail == "there is none"
    rebuild(home)
    assert verify_home(home).ok


def test_an_event_about_nothing_is_found(runs):
    home, run_id, _ = runs
    forger = Forger(home, run_id)
    said = next(line["payload"] for line in forger.log() if line["payload"]["kind"] == "judged")
    forger.write_log(
        [line["payload"] for line in forger.log()] + [{**said, "body": {**said["body"], "judgement_id": "f" * 64}}]
    )
    assert "the archive has none" in broken(home, run_id).detail


def test_a_broken_chain_names_its_line(runs):
    home, run_id, _ = runs
    lines = events_path(home).read_text().splitlines(keepends=True)
    lines[2] = lines[2].replace('"verdict":"pass"', '"verdict":"fail"')
    events_path(home).write_text("".join(lines))
    link = broken(home, run_id)
    assert (link.name, link.section) == ("registry/events.jsonl line 3", "event log")


def test_a_train_log_is_a_chain(runs):
    home, run_id, _ = runs
    forger, path = Forger(home, run_id), home / "log"
    with ChainWriter(path) as writer:
        for step in range(3):
            writer.append({"step": step, "loss": 0.5})
    text = path.read_text().replace('"step":1', '"step":9')
    forger.write("models/train_log.jsonl", text.encode())
    found = {link.name for link in verify_run(home, run_id).links if link.state == "broken"}
    assert "models/train_log.jsonl line 2" in found


def test_an_attempt_that_was_taken_out_of_the_row_is_missed(runs):
    home, run_id, _ = runs
    forger = Forger(home, run_id)
    ends = {
        path.parent.name: json.loads(path.read_text())["exit"] for path in forger.folder.glob("attempts/*/end.json")
    }
    (failed,) = (name for name, end in ends.items() if end == "failed")
    forger.remove(f"attempts/{failed}")
    forger.relog()
    assert "the attempt that it follows is missing" in broken(home, run_id).detail


def test_an_attempts_name_tells_when_it_began(runs):
    home, run_id, _ = runs
    forger = Forger(home, run_id)
    name = forger.one("attempts/*/start.json")
    forger.change(name, lambda start: start.update(started_at="2020-01-01T00:00:00+00:00"))
    assert any("another time" in link.detail for link in verify_run(home, run_id).links if link.state == "broken")


def test_an_edited_index_is_found_and_one_that_is_behind_is_not(runs):
    home, run_id, _ = runs
    index.index_path(home).unlink()
    assert verify_run(home, run_id).ok
    index.refresh(home)
    with index.reading(home) as database:
        database.execute("UPDATE runs SET verdict = 'fail' WHERE run_id = ?", (run_id,))
    link = broken(home, run_id)
    assert (link.section, link.way_out) == ("index", "interlock registry rebuild")
    index.refold(home)
    assert verify_run(home, run_id).ok


def test_prepared_data_that_was_changed_is_found_and_lost_data_is_told(runs):
    home, run_id, _ = runs
    (path,) = (home / "work" / "prepared").glob("*/numbers.json")
    path.write_text(path.read_text().replace("0.7", "0.8"))
    assert broken(home, run_id).name == "dataset digest -> prepared data"
    path.with_name("record.json").unlink()
    found = verify_run(home, run_id)
    assert found.ok
    assert "dataset digest -> prepared data" in {link.name for link in found.unchecked}


def test_runs_that_the_log_names_and_the_archive_lacks_and_the_other_way_round(runs):
    home, run_id, other = runs
    assert verify_home(home).ok
    (home / "runs" / run_id).rename(home / "runs" / ("e" * 16))
    found = verify_home(home)
    assert any(link.name == f"event log -> runs/{run_id}" and link.state == "broken" for link in found.links)
    assert {run.run_id: run.ok for run in found.runs} == {"e" * 16: False, other: True}


def test_a_run_without_a_card_is_told(runs):
    home, *_ = runs
    (home / "runs" / ("e" * 16) / "attempts").mkdir(parents=True)
    found = verify_home(home)
    assert found.ok
    assert any("no card" in link.detail for link in found.links)


def test_text_that_is_no_run_id_is_refused(runs):
    with pytest.raises(ProvenanceError, match="not a run id"):
        verify_run(runs[0], "../../etc")


def test_the_number_of_threads_changes_nothing(runs):
    home, run_id, _ = runs
    assert verify_run(home, run_id, threads=1) == verify_run(home, run_id, threads=3)


def test_a_folder_that_is_not_named_as_a_run_is_told(runs):
    home, run_id, _ = runs
    (home / "runs" / run_id).rename(home / "runs" / "backup")
    assert any(link.name == "runs/backup" and link.state == "broken" for link in verify_home(home).links)
