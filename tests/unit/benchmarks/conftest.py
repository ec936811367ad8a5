"""Benchmarks are scripts beside each other, not a package: their folder is put on the path for these tests alone."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[3] / "benchmarks"))
