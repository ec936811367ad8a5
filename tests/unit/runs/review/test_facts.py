"""What the archive keeps of a run is gathered and verified; a query's text is believed only with its digest."""

import json
import os
from dataclasses import replace

import pytest
from lane_folders import LaneFolder

from interlock.errors import UsageError
from interlock.lanes.measuring import Subject, Value, from_scores, write_measurements, write_scores
from interlock.provenance.attempts import open_attempt
from interlock.reports.page import run_page, sections
from interlock.runs.review import facts as facts_module
from interlock.runs.review.facts import compared_facts, measured_run, query_texts, ranks_of, run_facts
from interlock.runs.review.intervals import side_by_side
from interlock.runs.sync import sync_lane

RUN = "aaaa000000000001"
IDS = [f"q{number:02d}" for number in range(40)]
RECIPROCAL = [1.0 if number < 20 else 0.5 if number < 30 else 0.0 for number in range(40)]


def queries_file(folder, text="what is"):
    import pyarrow
    import pyarrow.parquet

    table = pyarrow.table({"query_id": IDS, "text": [f"{text} {name}?" for name in IDS], "split": ["test"] * len(IDS)})
    pyarrow.parquet.write_table(table, folder / "queries.parquet")
    return (folder / "queries.parquet").read_bytes()


def evaluation(folder, run_id):
    """Files of an evaluation: the run answers 30 of 40 queries, BM25 the last 25."""
    import numpy as np

    folder.mkdir(exist_ok=True)
    hit, other = (np.array(RECIPROCAL) > 0).astype(float), np.array([0.0] * 15 + [1.0] * 25)
    columns = {"r_at_5": hit, "mrr_at_10": np.array(RECIPROCAL), "bm25.r_at_5": other, "bm25.mrr_at_10": other}
    digest = write_scores(folder / "per_query.parquet", IDS, columns)
    subject = Subject(folder=folder, stage="evaluate", run_id=run_id, evaluator_sha256="1" * 64, split="test",
                      split_sha256="2" * 64)  # fmt: skip
    values = [from_scores(name, column) for name, column in columns.items()]
    write_measurements(subject, [*values, Value(name="chance.r_at_5", value=0.01, unit="ratio")], scores_sha256=digest)
    (folder / "recall.csv").write_text("k,tower,bm25,chance\n1,0.5,,0.01\n5,0.75,0.6,0.02\n")
    (folder / "examples.json").write_text(json.dumps({"hits": [{"query_id": "q00", "query": "what?", "rank": 1}]}))
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def archived(tmp_path):
    """A workspace with one archived run and its prepared data."""
    lane = LaneFolder(tmp_path / "artifacts" / "lanes" / "query_tower", run_id=RUN)
    facts = {"dataset": "docs", "dataset_sha256": "4" * 64}
    card = json.dumps({"name": "docs", "documents": 12})
    files = {"dataset_card.json": card, "queries.parquet": queries_file(tmp_path)}
    lane.stage("prepare", files, facts=facts, run_id=None, params={"lane": {"kind": "tower"}})
    lane.train()
    lane.stage("evaluate", evaluation(tmp_path / "measured", RUN), params=lane.params)
    gates = {"r_at_5": {"phase": "kpi"}, "model_loadable": {"phase": "shipped"}}
    lane.params = {**lane.params, "lane": {**lane.params.get("lane", {}), "gates": gates}}
    lane.export(status="skipped")
    lane.judge(verdict="fail")
    lane.decide(action="escalate")
    sync_lane(lane.folder, workspace=tmp_path, home=tmp_path / "artifacts")
    return tmp_path


def facts_of(archived, run=RUN):
    return run_facts(archived / "artifacts", run, workspace=archived)


def test_everything_of_a_run_is_gathered(archived):
    facts = facts_of(archived, "aaaa")
    assert (facts.run_id, facts.verdict, facts.decision.action) == (RUN, "fail", "escalate")
    assert facts.model is None
    assert facts.intervals["r_at_5"][0] < 0.75 < facts.intervals["r_at_5"][1]
    assert facts.recall[0] == {"k": 1.0, "tower": 0.5, "bm25": None, "chance": 0.01}
    assert facts.losses == ({"epoch": 1.0, "loss": 0.5},)
    assert facts.dataset["documents"] == 12
    assert facts.examples["hits"][0]["query"] == "what?"
    names = [section.id for section in sections(facts)]
    assert names == [
        "verdict",
        "gates",
        "decision",
        "quality",
        "queries",
        "training",
        "lineage",
        "measurements",
        "card",
    ]


def test_flips_against_a_baseline_carry_text_and_ranks(archived):
    (flip,) = facts_of(archived).flips
    assert (flip.baseline, flip.num_gained, flip.num_lost, flip.n) == ("bm25", 15, 10, 40)
    gained, lost = flip.gained[0], flip.lost[0]
    assert (gained.text, gained.rank, gained.other_rank) == ("what is q00?", 1, None)
    assert (lost.text, lost.rank, lost.other_rank) == ("what is q30?", None, 1)
    assert len(flip.gained) <= 6
    ranks = ranks_of(measured_run(archived / "artifacts", RUN))
    assert (ranks["q19"], ranks["q20"], ranks["q39"]) == (1, 2, None)


def test_other_data_of_the_same_size_is_not_believed(archived):
    home, path = archived / "artifacts", archived / "artifacts/lanes/query_tower/prepare/queries.parquet"
    card = facts_of(archived).view.card
    assert query_texts(card, home, workspace=archived)["q01"] == "what is q01?"
    shared = home / "work" / "prepared" / "x" / "queries.parquet"
    shared.parent.mkdir(parents=True)
    shared.write_bytes(path.read_bytes())
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    assert query_texts(card, home, workspace=archived)["q01"] == "what is q01?", (
        "the jobs' shared data is the right one"
    )
    shared.unlink()
    assert query_texts(card, home, workspace=archived) == {}
    assert facts_of(archived).flips[0].gained[0].text == ""


@pytest.mark.parametrize("file", ["recall.csv", "per_query.parquet", "examples.json", "run_card.json"])
def test_a_changed_file_takes_every_number_away(archived, file):
    path = archived / "artifacts" / "runs" / RUN / "models" / file
    os.chmod(path, 0o644)
    path.write_bytes(path.read_bytes().replace(b"0", b"1").replace(b"q", b"r"))
    facts = facts_of(archived)
    assert facts.problem
    assert str(archived) not in facts.problem, "no path of this machine on the page"
    assert (facts.measurements, facts.judgement, facts.is_sound) == ({}, None, False)
    assert "cannot be trusted" in run_page([facts], title="t")


def test_a_run_that_was_cut_short_has_its_attempts_alone(tmp_path):
    running = open_attempt(tmp_path, lane="toy", stage="train", run_id="bbbb000000000002", params_sha256="0" * 64)
    facts = run_facts(tmp_path, "bbbb", workspace=tmp_path)
    assert [section.id for section in sections(facts)] == ["verdict", "attempts"]
    assert running.id in run_page([replace(facts)], title="t") or "running" in run_page([facts], title="t")
    with pytest.raises(UsageError, match="no such run"):
        run_facts(tmp_path, "cccc", workspace=tmp_path)


def test_a_sweep_that_cannot_be_read_is_no_reason_to_show_nothing(archived):
    folder = archived / "artifacts" / "sweeps" / ("5" * 16)
    (folder / "jobs").mkdir(parents=True)
    (folder / "jobs" / "000000.json").write_text(json.dumps({"run_id": RUN}))
    (folder / "manifest.json").write_text("{}")
    assert facts_of(archived).sweep is None


@pytest.mark.parametrize("threads", [1, 3])
def test_intervals_side_by_side_are_those_one_by_one(archived, threads):
    measured = measured_run(archived / "artifacts", RUN)
    found = side_by_side(measured, threads=threads)
    assert found
    assert (found, list(found)) == (measured.intervals(), list(measured.intervals()))


def test_what_a_comparison_needs_is_what_the_page_has(archived, monkeypatch):
    whole = facts_of(archived)
    monkeypatch.setattr(facts_module, "side_by_side", None)
    monkeypatch.setattr(facts_module, "verify_run", None)
    found = compared_facts(archived / "artifacts", "aaaa")
    for name in ("view", "judgement", "judged_at", "decision", "dataset", "problem", "verdict"):
        assert getattr(found, name) == getattr(whole, name), name
