"""`dvc repro` with nothing to do: Interlock's pipeline beside a bare one of the same shape, at 6, 48 and 192 stages.

    python benchmarks/dvc_noop.py [--lanes 1 8 32] [--runs 7]

Both are one `dvc.yaml` with a compose stage and six stages per lane, each with an output folder, an edge to the stages
before it and parameters from a small file of its lane. The bare one is what a person would write by hand: its stages
copy a file, each depends on one script, its parameter files hold four values. Interlock's is the real thing: composed
configurations, digests of code, the records of a lane that runs in milliseconds (`tests/plugins/toy_lane`). Whole
processes, in turn, medians. Results go to `benchmarks/results/dvc_noop.json`.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml
from _machine import write_result

ROOT = Path(__file__).resolve().parents[1]
STAGES = ("prepare", "train", "evaluate", "export", "judge", "decide")
LIMIT = 1.5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lanes", type=int, nargs="+", default=[1, 8, 32])
    parser.add_argument("--runs", type=int, default=7)
    arguments = parser.parse_args()
    rows = []
    for lanes in arguments.lanes:
        with tempfile.TemporaryDirectory(prefix="interlock-noop-") as folder:
            rows.append(measured(Path(folder), lanes, runs=arguments.runs))
            print(rows[-1], flush=True)
    result = {
        "what": "seconds of a `dvc repro` that has nothing to do, whole processes, medians in turn",
        "runs": arguments.runs,
        "limit_ratio": LIMIT,
        "within_limit": all(row["ratio"] <= LIMIT for row in rows),
        "rows": rows,
    }
    print(write_result("dvc_noop", result, packages=("dvc", "ruamel.yaml")))


def measured(folder: Path, lanes: int, *, runs: int) -> dict[str, float]:
    names = [f"toy{number:02d}" for number in range(lanes)]
    workspaces = {"interlock": folder / "interlock", "bare": folder / "bare"}
    write_interlock(workspaces["interlock"], names)
    write_bare(workspaces["bare"], names)
    for path in workspaces.values():
        repro(path)
    seconds: dict[str, list[float]] = {name: [] for name in workspaces}
    for _ in range(runs + 1):
        for name, path in workspaces.items():
            started = time.perf_counter()
            output = repro(path)
            seconds[name].append(time.perf_counter() - started)
            assert "Running stage" not in output, f"{name} had something to do:\n{output}"
    ours, bare = (statistics.median(seconds[name][1:]) for name in ("interlock", "bare"))  # the first warms up
    return {
        "stages": lanes * len(STAGES),
        "interlock_s": round(ours, 3),
        "bare_dvc_s": round(bare, 3),
        "ratio": round(ours / bare, 3),
    }


def write_interlock(path: Path, names: list[str]) -> None:
    for part in ("src/interlock", "pipelines", "conf"):
        shutil.copytree(ROOT / part, path / part, ignore=shutil.ignore_patterns("__pycache__"))
    for part in ("requirements.lock", ".dvcignore", ".gitignore"):
        shutil.copy(ROOT / part, path / part)
    for name in names:
        shutil.copy(ROOT / "tests/plugins/toy_lane/conf/lane/toy.yaml", path / "conf/lane" / f"{name}.yaml")
    params = {"experiment": "default", "lanes": names, "overrides": {}, "lane_overrides": {}}
    (path / "params.yaml").write_text(yaml.safe_dump(params))
    start(path)
    run(path, "interlock", "pipeline", "render")


def write_bare(path: Path, names: list[str]) -> None:
    (path / "params").mkdir(parents=True)
    (path / "stage.py").write_text("import sys, pathlib\nfolder = pathlib.Path(sys.argv[1])\n" + BARE_WORK)
    stages: dict[str, object] = {}
    for name in names:
        values = {"lr": 0.1, "epochs": 3, "seed": 1, "width": 8}
        (path / "params" / f"{name}.yaml").write_text(yaml.safe_dump(values))
        before: list[str] = []
        for stage in STAGES:
            out = f"artifacts/lanes/{name}/{stage}"
            stages[f"{name}-{stage}"] = {
                "cmd": f"python stage.py {out}",
                "deps": ["stage.py", *before],
                "params": [{f"params/{name}.yaml": ["lr", "epochs"]}],
                "outs": [out],
            }
            before = [*before, f"{out}/outputs.json"][-3:]
    stages["compose"] = {"cmd": "cp stage.py composed", "deps": ["stage.py"], "outs": ["composed"]}
    (path / "dvc.yaml").write_text(yaml.safe_dump({"stages": stages}, sort_keys=False))
    start(path)


BARE_WORK = """\
folder.mkdir(parents=True, exist_ok=True)
for name in ("outputs.json", "record.json", "result.json", "observations.json"):
    (folder / name).write_text(f"{folder}/{name}")
"""


def start(path: Path) -> None:
    run(path, "git", "init", "--quiet")
    run(path, "dvc", "init", "--quiet")
    run(path, "dvc", "config", "core.analytics", "false")


def repro(path: Path) -> str:
    return run(path, "dvc", "repro")


def run(path: Path, *command: str) -> str:
    source = f"{path / 'src'}{os.pathsep}{ROOT / 'tests' / 'plugins'}"
    env = os.environ | {"PYTHONPATH": source, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(command, cwd=path, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command)} ended with {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


if __name__ == "__main__":
    main()
