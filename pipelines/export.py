"""DVC stage `export`: `python pipelines/export.py LANE`. The work stands in `interlock.stages.export`."""

import sys
from pathlib import Path

WORKSPACE = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(WORKSPACE / "src"))  # this checkout's code, also inside a temporary experiment folder

from interlock.stages.entry import stage_main  # noqa: E402
from interlock.stages.export import run  # noqa: E402

if __name__ == "__main__":
    sys.exit(stage_main("export", run, workspace=WORKSPACE))
