"""Sweeps with real processes: planned first, killed anywhere, taken up again; no job repeated, none lost."""

import json
import os
import random
import signal
import subprocess
import time
from collections import Counter

import psutil
import pytest

from interlock.provenance.attempts import list_attempts

SLOW_TOY = "lane.trainer.sleep_s=0.005"
JOBLIB = ("hydra/launcher=joblib", "hydra.launcher.n_jobs=2")


def start(workspace, *overrides):
    return subprocess.Popen(
        ("interlock", "run", "-m", *overrides),
        cwd=workspace.path,
        env=workspace.env,
        stdin=subprocess.DEVNULL,
        start_new_session=True,
        # A background job of a shell ignores Ctrl-C, and so would everything that it starts.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def home(workspace):
    return workspace.path / "artifacts"


def only_sweep(workspace):
    (folder,) = (home(workspace) / "sweeps").iterdir()
    return folder


def manifest(workspace):
    return json.loads((only_sweep(workspace) / "manifest.json").read_text())


def results(workspace):
    return {int(path.stem): json.loads(path.read_text()) for path in (only_sweep(workspace) / "jobs").glob("*.json")}


def ranking(workspace):
    return json.loads((only_sweep(workspace) / "ranking.json").read_text())


def weights(workspace):
    """Digest of the weights by run id, from the archive."""
    cards = (home(workspace) / "runs").glob("*/models/records/train.json")
    return {
        record["run_id"]: record["artifacts"]["model.safetensors"]["sha256"]
        for record in (json.loads(path.read_text()) for path in cards)
    }


def trainings(workspace, *, exit=None):
    """How often each run was trained, by attempts; `exit` counts those that ended so."""
    found = list_attempts(home(workspace), stage="train")
    return Counter(files.start.run_id for files in found if exit is None or (files.end and files.end.exit == exit))


def wait_for(condition, process, *, seconds=60.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline, "it took too long"
        time.sleep(0.02)


def left_behind(group):
    """Living processes of a process group."""
    alive = []
    for process in psutil.process_iter():
        try:
            if os.getpgid(process.pid) == group and process.status() != psutil.STATUS_ZOMBIE:
                alive.append(process)
        except (ProcessLookupError, psutil.NoSuchProcess):
            continue
    return alive


def killed_and_taken_up(workspace, command, *, jobs, kills, seed):
    """Kill the sweep's whole process group at random moments; then let it end. Returns its last output."""
    moments, done_before = random.Random(seed), {}
    for _ in range(kills):
        process = start(workspace, *command)
        wanted = min(len(done_before) + moments.randint(0, 2 * jobs // kills), jobs - 1)
        wait_for(lambda wanted=wanted: len(_finished(workspace)) >= wanted, process)
        time.sleep(moments.uniform(0.0, 1.0))
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        done_before |= _finished(workspace)
    output = workspace.interlock("run", "-m", *command)
    assert done_before, "no kill came after a finished job: this run has shown nothing"
    assert set(results(workspace)) == set(range(jobs))
    assert {result["status"] for result in results(workspace).values()} == {"finished"}
    for number, (text, attempts) in done_before.items():
        assert _result_text(workspace, number) == text, f"job {number} ran again"
        assert trainings(workspace)[json.loads(text)["run_id"]] == attempts, f"job {number} trained again"
    assert max(trainings(workspace, exit="completed").values()) == 1
    assert len(weights(workspace)) == jobs
    return output


def _result_text(workspace, number):
    return (only_sweep(workspace) / "jobs" / f"{number:06d}.json").read_text()


def _finished(workspace):
    """Results and numbers of trainings of the jobs that have ended."""
    if not list((home(workspace) / "sweeps").glob("*")):
        return {}
    counts = trainings(workspace)
    return {
        number: (_result_text(workspace, number), counts[result["run_id"]])
        for number, result in results(workspace).items()
    }


def test_all_is_planned_before_anything_runs(workspace):
    process = start(workspace, "lane=toy", "seed=1,2,1", "lane.trainer.sleep_s=0.5")
    wait_for(lambda: list(home(workspace).glob("sweeps/*/manifest.json")), process)
    planned = manifest(workspace)
    assert results(workspace) == {}
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert [job["number"] for job in planned["jobs"]] == [0, 1, 2]
    assert [job["varies"] for job in planned["jobs"]] == [["seed=1"], ["seed=2"], ["seed=1"]]
    assert [job["duplicate_of"] for job in planned["jobs"]] == [None, None, 0]
    assert planned["ranked_by"]["toy"]["metric"] == "accuracy"


def test_one_wrong_job_refuses_the_whole_sweep(workspace):
    output = workspace.interlock("run", "-m", "lane=toy", "seed=1,2", "lane.optimizer.lr=0.5,7", code=2)
    assert "less than or equal to 1 (got 7)" in output
    assert "jobs 1, 3" in output
    assert not (home(workspace) / "sweeps").exists()
    assert not (home(workspace) / "work").exists()


def test_a_failed_job_is_named_and_the_others_run(workspace):
    workspace.edit(
        "src/interlock/stages/train.py",
        '    """Train the lane\'s model."""\n',
        '    """Train the lane\'s model."""\n'
        "    from interlock.errors import StageError\n\n"
        '    if "seed: 2\\n" in place.params.read_text():\n'
        '        raise StageError("the disk is gone", hint="put it back")\n',
    )
    output = workspace.interlock("run", "-m", "lane=toy", "seed=1,2,3", code=1)
    assert "ERROR: job 1 (seed=2): the disk is gone" in output
    assert {n: result["status"] for n, result in results(workspace).items()} == {
        0: "finished",
        1: "failed",
        2: "finished",
    }
    assert results(workspace)[1]["error"] == "the disk is gone"
    assert [other["number"] for other in ranking(workspace)["others"]] == [1]
    # The same command tries what failed again, and nothing else.
    before = trainings(workspace)
    assert "the disk is gone" in workspace.interlock("run", "-m", "lane=toy", "seed=1,2,3", code=1)
    assert trainings(workspace) == before


def test_a_ranked_table_with_ties_and_seeds(workspace):
    workspace.edit(
        "src/interlock/stages/train.py",
        '    """Train the lane\'s model."""\n',
        '    """Train the lane\'s model."""\n'
        "    import os\n\n"
        "    progress.message(f\"IN {os.environ['INTERLOCK_SWEEP']}\")\n",
    )
    output = workspace.interlock("run", "-m", "lane=toy", "seed=1,2", "lane.optimizer.lr=0.5,0.00001", code=3)
    (lane,) = ranking(workspace)["lanes"]
    assert [run["ties_with_best"] for run in lane["runs"]] == [True, True, False, False]
    best = lane["runs"][0]
    assert best["low"] < best["value"] == 0.9 < best["high"]
    assert [group["label"] for group in lane["groups"]] == ["lane.optimizer.lr=0.5", "lane.optimizer.lr=1e-05"]
    assert "1 run of toy cannot be told from the first" in output
    assert output.count(f"IN {only_sweep(workspace).name}") == 4
    (listed,) = json.loads(workspace.interlock("sweep", "list", "--json"))
    assert (listed["jobs"], listed["ended"]) == (4, 4)
    shown = json.loads(workspace.interlock("sweep", "show", listed["sweep_id"][:6], "--json"))
    assert shown == ranking(workspace)


@pytest.mark.parametrize("launcher", [(), pytest.param(JOBLIB, marks=pytest.mark.slow)], ids=["basic", "joblib"])
def test_killed_at_random_moments_it_repeats_and_loses_nothing(workspace, launcher):
    command = ("lane=toy", "seed=range(1,9)", SLOW_TOY, *launcher)
    output = killed_and_taken_up(workspace, command, jobs=8, kills=2, seed=len(launcher))
    assert "done before" in output
    again = workspace.interlock("run", "-m", *command)
    assert "8 jobs, 8 of them done before" in again
    # Jobs that were done before are not announced, and Hydra's launcher says nothing of its own.
    assert not [line for line in again.splitlines() if line.startswith("job ") or "HYDRA" in line or "#0" in line]


@pytest.mark.slow
@pytest.mark.parametrize("launcher", [(), JOBLIB], ids=["basic", "joblib"])
def test_fifty_jobs_killed_ten_times(workspace, launcher):
    command = ("lane=toy", "seed=range(1,51)", SLOW_TOY, *launcher)
    killed_and_taken_up(workspace, command, jobs=50, kills=10, seed=7 + len(launcher))


@pytest.mark.slow
def test_a_killed_worker_does_not_end_the_sweep(workspace):
    process = start(workspace, "lane=toy", "seed=range(1,9)", "lane.trainer.sleep_s=0.05", *JOBLIB)
    wait_for(lambda: list(home(workspace).glob("sweeps/*/jobs/*.json")), process)
    workers = [
        child for child in psutil.Process(process.pid).children(recursive=True) if "LokyProcess" in str(child.cmdline())
    ]
    workers[0].kill()
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 0, output
    assert "the launcher stopped before all jobs had run" in output
    assert {result["status"] for result in results(workspace).values()} == {"finished"}
    assert len(results(workspace)) == 8
    assert max(trainings(workspace, exit="completed").values()) == 1


@pytest.mark.parametrize("launcher", [pytest.param((), marks=pytest.mark.slow), JOBLIB], ids=["basic", "joblib"])
def test_ctrl_c_stops_all_and_the_same_command_goes_on(workspace, launcher):
    command = ("lane=toy", "seed=1,2,3,4", "lane.trainer.sleep_s=0.1", *launcher)
    process = start(workspace, *command)
    wait_for(lambda: list((home(workspace) / "state").rglob("toy.json")), process)
    os.killpg(process.pid, signal.SIGINT)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 130, output
    assert "the same command goes on with what is left" in output
    deadline = time.monotonic() + 10
    while left_behind(process.pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert left_behind(process.pid) == []
    shown = workspace.interlock("sweep", "show", only_sweep(workspace).name)
    assert "interrupted; the same command goes on" in shown
    assert "has not run; the same command runs it" in shown
    workspace.interlock("run", "-m", *command)
    assert len(results(workspace)) == 4


def test_both_launchers_give_the_same_bits_and_run_duplicates_once(make_workspace):
    command = ("lane=toy", "lane.optimizer.lr=0.5,0.3", "seed=1,1")
    one, other = make_workspace("one"), make_workspace("other")
    one.interlock("run", "-m", *command)
    output = other.interlock("run", "-m", *command, *JOBLIB)
    assert weights(one) == weights(other)
    assert len(weights(one)) == 2
    assert only_sweep(one).name == only_sweep(other).name  # how jobs are launched is no part of what is swept
    assert "job 1 (lane.optimizer.lr=0.5): has the parameters of job 0; nothing is run twice" in output
    assert "HYDRA" not in output  # the launcher's own list of jobs
    for workspace in (one, other):
        assert Counter(result["status"] for result in results(workspace).values()) == {"finished": 2, "duplicate": 2}
        assert set(trainings(workspace).values()) == {1}
        assert [other["number"] for other in ranking(workspace)["others"]] == [1, 3]


@pytest.mark.slow
def test_lines_of_parallel_jobs_stay_whole(workspace):
    output = workspace.interlock("run", "-m", "lane=toy", "seed=range(1,7)", *JOBLIB)
    lines = [line for line in output.splitlines() if line.endswith("train: running")]
    assert sorted(lines) == [f"job {number}: train: running" for number in range(6)]


@pytest.mark.slow
def test_an_edit_of_the_code_is_another_sweep(workspace):
    workspace.interlock("run", "-m", "lane=toy", "seed=1,2")
    code = workspace.path / "src/interlock/stages/train.py"
    code.write_text(code.read_text() + "# a remark\n")
    assert "done before" not in workspace.interlock("run", "-m", "lane=toy", "seed=1,2")
    assert len(list((home(workspace) / "sweeps").iterdir())) == 2


@pytest.mark.slow
def test_two_of_the_same_sweep_exclude_each_other(workspace):
    command = ("lane=toy", "seed=1,2", "lane.trainer.sleep_s=0.2")
    process = start(workspace, *command)
    wait_for(lambda: list((home(workspace) / "state").rglob("toy.json")), process)
    assert "is at work here" in workspace.interlock("run", "-m", *command, code=1)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0, output


OPTUNA = (
    "hydra/sweeper=optuna", "hydra.sweeper.n_trials=7", "hydra.sweeper.sampler=random",
    "hydra.sweeper.pruner_options={n_startup_trials: 1, n_warmup_steps: 2}", "lane=toy",
    "lane.optimizer.lr=tag(log,interval(0.001,1.0))", SLOW_TOY,
)  # fmt: skip


def told(workspace):
    return {
        number: (result["status"], result["run_id"], result["overrides"], result["objective"])
        for number, result in results(workspace).items()
    }


@pytest.mark.slow
def test_an_optimising_sweep_goes_on_with_the_same_trials_after_kills(make_workspace):
    plain, killed = make_workspace("plain"), make_workspace("killed")
    output = plain.interlock("run", "-m", *OPTUNA, code=3)
    _check_pruned(plain, trials=7)
    assert "given up at epoch" in output
    assert [job["overrides"] for job in manifest(plain)["jobs"]] == [told(plain)[n][2] for n in range(7)]
    best = ranking(plain)["best_number"]
    assert told(plain)[best][3] == min(objective for *_, objective in told(plain).values() if objective is not None)
    moments = random.Random(1)
    for wanted in (0, 2, 4):
        process = start(killed, *OPTUNA)
        wait_for(lambda wanted=wanted: len(_finished(killed)) >= wanted, process)
        time.sleep(moments.uniform(0.0, 1.0))
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    killed.interlock("run", "-m", *OPTUNA, code=3)
    assert told(killed) == told(plain)
    assert max(trainings(killed, exit="completed").values()) == 1
    assert "7 of them done before" in killed.interlock("run", "-m", *OPTUNA, code=3)


def _check_pruned(workspace, *, trials):
    """A pruned training has no result, is no failure, and can be resumed."""
    pruned = [result for result in results(workspace).values() if result["status"] == "pruned"]
    exits = Counter(files.end.exit for files in list_attempts(home(workspace), stage="train"))
    assert exits == {"completed": trials - len(pruned), "pruned": len(pruned)}
    kept = list((home(workspace) / "state" / "runs").glob("*/toy.json"))
    assert 0 < len(kept) == len(pruned) < trials
    assert set(weights(workspace)).isdisjoint(path.parent.name for path in kept)


def test_an_optimising_sweep_runs_batches_side_by_side(workspace):
    choices = (
        "lane.trainer.steps=5,20",
        "hydra.sweeper.n_trials=6",
        "hydra.sweeper.batch=3",
        "hydra.sweeper.pruner=none",
    )
    command = ("hydra/sweeper=optuna", "lane=toy", "hydra.sweeper.metric=accuracy", *choices, *JOBLIB)
    output = workspace.interlock("run", "-m", *command, code=3)
    assert Counter(result["status"] for result in results(workspace).values()) == {"finished": 2, "duplicate": 4}
    assert "The search chose by it" in output
    assert manifest(workspace)["search"]["objective"] == {"metric": "accuracy", "goal": "maximize"}


def test_an_objective_that_no_run_has_is_named(workspace):
    command = ("hydra/sweeper=optuna", "hydra.sweeper.n_trials=1", "lane=toy", "seed=1,2")
    output = workspace.interlock(
        "run", "-m", *command, "hydra.sweeper.metric=acuracy", "hydra.sweeper.direction=maximize", code=1
    )
    assert "no number under this name to optimise" in output
    assert "accuracy" in output


@pytest.mark.slow
def test_the_query_tower_in_sweeps(make_workspace, data_dir):
    """Killed once, under both launchers: the same runs and the same bits as one after the other."""
    command = ("lane=query_tower", "trainer=smoke", "seed=1,2", "lane.optimizer.lr=0.001,0.002")
    one, other = make_workspace("one", lanes=("query_tower",)), make_workspace("other", lanes=("query_tower",))
    one.interlock("run", "-m", *command, code=3)
    process = start(other, *command, *JOBLIB)
    wait_for(lambda: trainings(other), process, seconds=120)
    time.sleep(2.0)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    other.interlock("run", "-m", *command, *JOBLIB, code=3)
    assert len(weights(one)) == 4
    assert weights(one) == weights(other)
    assert max(trainings(other, exit="completed").values()) == 1
