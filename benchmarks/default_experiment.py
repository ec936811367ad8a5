"""How long the default experiment takes after installation, again with nothing changed, and as a smoke run.

    python benchmarks/default_experiment.py [--cores 2]

Three lanes (query tower, reranker, directional adapter) in a fresh copy of this checkout with its own DVC cache, on at
most two cores. The unchanged run is measured beside a bare `dvc status`, which is what DVC itself needs to see that
nothing changed. Results go to `benchmarks/results/default_experiment.json`.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from _machine import write_result

ROOT = Path(__file__).resolve().parents[1]
LIMITS_S = {"first": 360.0, "unchanged": 15.0, "smoke": 20.0}
COPIED = ("src", "pipelines", "conf", "params.yaml", "dvc.yaml", "requirements.lock", ".dvcignore", ".gitignore")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cores", type=int, default=2)
    cores = parser.parse_args().cores
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, set(sorted(os.sched_getaffinity(0))[:cores]))
    with tempfile.TemporaryDirectory(prefix="interlock-default-") as name:
        result = measure(Path(name))
    path = write_result("default_experiment", result, packages=("dvc", "lightning", "torch"))
    print(result["seconds"], result["verdict_code"], "->", path)


def measure(folder: Path) -> dict[str, Any]:
    """Run the three in a copy of the checkout."""
    for part in COPIED:
        source = ROOT / part
        copy = shutil.copytree if source.is_dir() else shutil.copy
        copy(source, folder / part)
    env = os.environ | {
        "PYTHONPATH": str(folder / "src"),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "INTERLOCK_HOME": str(folder / "artifacts"),
    }

    def timed(*command: str) -> tuple[float, int]:
        started = time.perf_counter()
        code = subprocess.run(command, cwd=folder, env=env, stdout=subprocess.DEVNULL, check=False).returncode
        return round(time.perf_counter() - started, 2), code

    timed("dvc", "init", "--no-scm", "--quiet")
    seconds, codes = {}, {}
    for key, command in {
        "first": ("dvc", "repro"),
        "sync": ("interlock", "sync"),
        "unchanged": ("dvc", "repro"),
        "bare dvc status": ("dvc", "status"),
        "status": ("interlock", "status"),
        "smoke": ("interlock", "run", "lane=query_tower", "trainer=smoke"),
    }.items():
        seconds[key], codes[key] = timed(*command)
    return {
        "what": "seconds of whole commands",
        "seconds": seconds,
        "exit_codes": codes,
        "verdict_code": codes["status"],
        "lanes": {lane.name: lane_facts(lane) for lane in sorted((folder / "artifacts" / "lanes").iterdir())},
        "limits_s": LIMITS_S,
        "within_limits": all(seconds[name] <= limit for name, limit in LIMITS_S.items()),
    }


def lane_facts(lane: Path) -> dict[str, Any]:
    """Seconds of each stage, the verdict, and each judged figure with its bound."""
    judgement = json.loads((lane / "judge" / "judgement.json").read_text())
    return {
        "seconds": {
            stage.name: json.loads((stage / "observations.json").read_text())["duration_s"]
            for stage in sorted(lane.iterdir())
        },
        "verdict": judgement["verdict"],
        "gates": {
            row["gate"]: {name: row[name] for name in ("verdict", "observed", "bound", "target", "n")}
            for row in judgement["rows"]
            if row["unit"] != "bool"
        },
    }


if __name__ == "__main__":
    main()
