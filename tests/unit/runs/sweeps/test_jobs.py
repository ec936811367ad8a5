"""A sweep's files: the same command finds them, nothing half-done counts, damage is named."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from interlock.config.sweep_plan import compose_jobs
from interlock.contracts.gate import PredicateGate, ThresholdGate
from interlock.contracts.sweep import SweepJob, SweepManifest
from interlock.errors import ProvenanceError, UsageError
from interlock.runs.sweeps.jobs import (
    Sweep,
    find_sweep,
    is_done,
    list_sweeps,
    named,
    numbered,
    open_sweep,
    ranked_by,
    sweep_identity,
)

ROOT = Path(__file__).resolve().parents[4]
RUN = "0123456789abcdef"


@pytest.fixture(scope="module")
def composed():
    jobs = [["lane=toy", "seed=1"], ["lane=toy", "seed=2"], ["lane=toy", "seed=1", "lane.trainer.steps=20"]]
    return compose_jobs(ROOT / "conf", jobs)


def manifest_of(jobs, *, identity="ab" * 8):
    return SweepManifest(
        sweep_id=identity,
        experiment="default",
        command=("seed=1,2",),
        sweeper="basic",
        context_sha256="0" * 64,
        ranked_by={},
        jobs=jobs,
    )


def result(number=0, **changes):
    said = {"status": "finished", "run_id": RUN, "verdict": "pass", **changes}
    text = SweepJob.model_construct(
        number=number, overrides=(), lane="toy", params_sha256="0" * 64, duration_s=1.0, **said
    ).model_dump_json(warnings=False)
    return SweepJob.model_validate_json(text)


def test_equal_parameters_are_one_job(composed):
    jobs = numbered(composed)
    assert [job.duplicate_of for job in jobs] == [None, None, 0]
    assert jobs[0].unseeded_sha256 == jobs[1].unseeded_sha256 != jobs[0].params_sha256
    later = numbered(composed[1:2], before=jobs)
    assert (later[0].number, later[0].duplicate_of) == (3, 1)


def test_jobs_are_named_by_what_tells_them_apart(composed):
    assert [job.varies for job in named(numbered(composed))] == [
        ("seed=1",),
        ("seed=2",),
        ("seed=1", "lane.trainer.steps=20"),
    ]


def test_a_sweep_is_its_parameters_not_its_spelling(composed):
    def identity(jobs, *, sweeper="basic", context="c"):
        return sweep_identity(numbered(jobs), sweeper=sweeper, search=None, context=context)

    same = identity(composed)
    spelled = [type(job)(**{**vars(job), "overrides": ("other", "words")}) for job in composed]
    assert identity(spelled) == same
    others = [
        identity(composed[:2]),
        identity([composed[1], composed[0], composed[2]]),
        identity(composed, sweeper="optuna"),
        identity(composed, context="d"),
    ]
    assert same not in others


def test_the_same_command_finds_its_sweep(tmp_path, composed):
    jobs = named(numbered(composed))
    first = open_sweep(tmp_path, manifest_of(jobs))
    first.write_job(result())
    again = open_sweep(tmp_path, manifest_of(()))
    assert again.manifest().jobs == jobs
    assert again.jobs() == {0: result()}
    assert again.read_job(1) is None


@pytest.mark.parametrize(
    ("changes", "archived", "done"),
    [
        ({}, True, True),
        ({}, False, False),
        ({"status": "failed", "run_id": None, "verdict": None}, True, False),
        ({"status": "pruned", "run_id": None, "verdict": None}, False, True),
        ({"status": "duplicate", "run_id": None, "verdict": None}, False, True),
    ],
)
def test_a_job_is_done_when_its_run_is_archived(tmp_path, changes, archived, done):
    if archived:
        card = tmp_path / "runs" / RUN / "models" / "run_card.json"
        card.parent.mkdir(parents=True)
        card.write_text("{}")
    assert is_done(result(**changes), tmp_path) is done


def test_nothing_is_not_done(tmp_path):
    assert not is_done(None, tmp_path)


def test_a_damaged_record_is_named(tmp_path, composed):
    sweep = open_sweep(tmp_path, manifest_of(()))
    (sweep.folder / "manifest.json").write_text("{}")
    with pytest.raises(ProvenanceError, match=r"manifest\.json: the sweep's record cannot be read"):
        sweep.manifest()


def test_sweeps_are_found_by_a_beginning(tmp_path):
    with pytest.raises(UsageError, match="none yet"):
        find_sweep(tmp_path, "ab")
    for identity in ("ab" * 8, "ac" * 8):
        open_sweep(tmp_path, manifest_of((), identity=identity))
    assert find_sweep(tmp_path, "ab").id == "ab" * 8
    assert {sweep.id for sweep in list_sweeps(tmp_path)} == {"ab" * 8, "ac" * 8}
    for text in ("a", "ff", ""):
        with pytest.raises(UsageError, match="abab"):
            find_sweep(tmp_path, text)


def test_the_first_release_metric_ranks(composed):
    by = ranked_by(composed[0].experiment.lane.gates)
    assert by
    assert (by.metric, by.direction, by.gate) == ("accuracy", "at_least", "over_base")
    advice = ThresholdGate(kind="threshold", metric="x", direction="at_most", target=1.0, severity="advise")
    check = PredicateGate(kind="predicate", check="y")
    assert ranked_by({"a": advice, "b": check}) is None
    blocking = ThresholdGate(kind="threshold", metric="z", direction="at_most", target=1.0)
    found = ranked_by({"a": advice, "c": blocking})
    assert found
    assert (found.metric, found.direction) == ("z", "at_most")


def test_an_id_is_sixteen_digits(tmp_path):
    with pytest.raises(ValidationError):
        manifest_of((), identity="../../up")
    assert Sweep(tmp_path / "ab").id == "ab"
