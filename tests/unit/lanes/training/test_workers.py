import os
import subprocess
import sys
from pathlib import Path

import interlock

PROGRAM = "import time; from interlock.lanes.training.workers import end_with; end_with({}, 0); time.sleep({})"


def ended(parent, seconds):
    source = str(Path(interlock.__file__).parents[1])
    environment = {**os.environ, "PYTHONPATH": source}
    program = PROGRAM.format(parent, seconds)
    return subprocess.run([sys.executable, "-c", program], env=environment, timeout=30, check=False).returncode


def test_a_worker_whose_training_is_gone_already_ends():
    assert ended(parent=2**30, seconds=60) == 1


def test_a_worker_whose_training_goes_on_is_left_alone():
    assert ended(parent=os.getpid(), seconds=1.5) == 0
