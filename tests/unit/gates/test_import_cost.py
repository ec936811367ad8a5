"""Judging starts fast: no heavy package is loaded by importing the judge."""

import subprocess
import sys

HEAVY = ("scipy", "pandas", "pyarrow", "torch", "lightning", "faiss", "sklearn", "hydra", "omegaconf", "wandb")


def test_importing_the_judge_loads_nothing_heavy():
    code = (
        "import sys, interlock.gates.judge, interlock.gates.judgement, interlock.decisions.rules.by_kind; "
        "print(*sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={"PYTHONPATH": ":".join(sys.path)}
    )
    assert not set(HEAVY) & {name.partition(".")[0] for name in done.stdout.split()}
