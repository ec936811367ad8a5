"""What a job costs in a sweep beyond the stage functions that it calls.

    python benchmarks/sweep_overhead.py [--jobs 4] [--rounds 5]

Both in one warmed-up process, in turn, on the same composed configurations (the seed alone differs, so the work is the
same): the functions of all six stages called one after the other, and `interlock run -m` as a whole: planning,
manifest, Hydra, checks whether stages are current, archive, registry, ranking. Prepared data is shared by both. The
query tower as a smoke run says what that means for real work; the toy lane of the tests, whose stages take next to
nothing, says it in milliseconds.

Two answers. `compared`: the sweep beside the stage functions called elsewhere, round by round; on a machine that does
other work as well its noise is larger than what is measured. `accounted`: within the same sweep, the time outside the
stage functions over the time inside them, which no other work can tilt; the limit is held against this one. Processor
time is given beside wall time.
Results go to `benchmarks/results/sweep_overhead.json`.
"""

import argparse
import contextlib
import io
import json
import os
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from _machine import write_result

ROOT = Path(__file__).resolve().parents[1]
LANES = {"query_tower": ["lane=query_tower", "trainer=smoke"], "toy": ["lane=toy"]}
LIMIT = 0.20
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "tests" / "plugins")]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=4, help="jobs in each sweep")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    result = {lane: measure(lane, jobs=options.jobs, rounds=options.rounds) for lane in LANES}
    overhead = result["query_tower"]["accounted"]
    told: dict[str, Any] = {
        "what": "seconds per job, medians; compared = (sweep - stages) / stages; accounted = outside / inside",
        "jobs_per_sweep": options.jobs,
        "rounds": options.rounds,
        "lanes": result,
        "limit": LIMIT,
        "within_limit": overhead["share_median"] <= LIMIT,
    }
    path = write_result("sweep_overhead", told, packages=("hydra-core", "lightning", "torch"))
    print(json.dumps(result, indent=2), "->", path)


def measure(lane: str, *, jobs: int, rounds: int) -> dict[str, Any]:
    """Both ways in turn, each round in a home of its own; the first round is the warm-up."""
    stages, sweep, inside = [], [], []
    with tempfile.TemporaryDirectory(prefix="interlock-sweeps-") as name:
        for number in range(rounds + 1):
            seeds = range(1 + number * jobs, 1 + (number + 1) * jobs)
            for way, seconds in ((bare, stages), (swept, sweep)):
                home, before = Path(name) / f"{way.__name__}", sum(_INSIDE_S)
                os.environ["INTERLOCK_HOME"] = str(home)
                with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
                    seconds.append(timed(lambda way=way, home=home, seeds=seeds: way(lane, seeds, home)))
                if way is swept:
                    inside.append(sum(_INSIDE_S) - before)
    walls, processors = (
        {"stages": [found[kind] / jobs for found in stages[1:]], "sweep": [found[kind] / jobs for found in sweep[1:]]}
        for kind in (0, 1)
    )
    return {
        "wall_s": {way: round(statistics.median(found), 4) for way, found in walls.items()},
        "processor_s": {way: round(statistics.median(found), 4) for way, found in processors.items()},
        "compared": summary(walls, "wall") | summary(processors, "processor"),
        "accounted": accounted([wall for wall, _ in sweep[1:]], inside[1:], jobs=jobs),
    }


def accounted(wholes: list[float], insides: list[float], *, jobs: int) -> dict[str, float]:
    """What of a sweep's wall time lies outside its stage functions."""
    shares = [(whole - inside) / inside for whole, inside in zip(wholes, insides, strict=True)]
    outside = [(whole - inside) / jobs for whole, inside in zip(wholes, insides, strict=True)]
    return {
        "share_median": round(statistics.median(shares), 4),
        "share_largest": round(max(shares), 4),
        "ms_per_job": round(1000 * statistics.median(outside), 1),
    }


def summary(seconds: dict[str, list[float]], kind: str) -> dict[str, float]:
    """Median and range of the paired relative overhead."""
    shares = [more / bare for more, bare in zip(differences(seconds), seconds["stages"], strict=True)]
    return {
        f"{kind}_median": round(statistics.median(shares), 4),
        f"{kind}_smallest": round(min(shares), 4),
        f"{kind}_largest": round(max(shares), 4),
    }


def differences(seconds: dict[str, list[float]]) -> list[float]:
    """Sweep less stages, round by round."""
    return [sweep - bare for sweep, bare in zip(seconds["sweep"], seconds["stages"], strict=True)]


def timed(action: Callable[[], None]) -> tuple[float, float]:
    """Wall and processor seconds, child processes included."""
    started, used = time.perf_counter(), sum(_processor_s())
    action()
    return time.perf_counter() - started, sum(_processor_s()) - used


def _processor_s() -> Iterator[float]:
    for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN):
        usage = resource.getrusage(who)
        yield usage.ru_utime + usage.ru_stime


def bare(lane: str, seeds: range, home: Path) -> None:
    """The stage functions alone, on parameters composed beforehand; the first job ever prepares the data."""
    from interlock.stages import decide, evaluate, export, judge, prepare, train
    from interlock.stages.place import Place
    from interlock.stages.progress import Silent

    for seed in seeds:
        folder = home / "lanes" / f"{lane}-{seed}"
        folder.mkdir(parents=True)
        (folder / "params.yaml").write_text(_composed(lane, seed))
        shared = home / "prepared" / lane
        shared.mkdir(parents=True, exist_ok=True)
        (folder / "prepare").symlink_to(shared)
        place = Place(workspace=ROOT, folder=folder, params=folder / "params.yaml", lane=lane)
        for stage in (prepare, train, evaluate, export, judge, decide):
            if stage is not prepare or not (shared / "record.json").is_file():
                stage.run(place, progress=Silent())


def swept(lane: str, seeds: range, home: Path) -> None:
    """The whole command, in this process."""
    from interlock.commands.run import run_hydra
    from interlock.runs import runner

    for stage, function in runner._STAGES.items():
        if not isinstance(function, Timed):
            runner._STAGES[stage] = Timed(function)
    run_hydra(ROOT, ["-m", *LANES[lane], f"seed={','.join(map(str, seeds))}", f"hydra.sweep.dir={home / 'hydra'}"])


class Timed:
    """A stage function that adds up how long it takes."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        """Call it, and keep the seconds."""
        started = time.perf_counter()
        try:
            return self._function(*arguments, **options)
        finally:
            _INSIDE_S.append(time.perf_counter() - started)


def _composed(lane: str, seed: int) -> str:
    """Composed outside the measurement on the first request for a round's seeds; a template serves the others."""
    from interlock.config.compose import compose_lane
    from interlock.config.params import composed_text
    from interlock.config.validate import validate

    if lane not in _TEMPLATES:
        experiment = validate(compose_lane(ROOT / "conf", [*LANES[lane], "seed=1"]), subject=lane)
        _TEMPLATES[lane] = composed_text(experiment)
    return _TEMPLATES[lane].replace("\nseed: 1\n", f"\nseed: {seed}\n")


_TEMPLATES: dict[str, str] = {}
_INSIDE_S: list[float] = []
"""Seconds of every call of a stage function in a sweep."""


if __name__ == "__main__":
    main()
