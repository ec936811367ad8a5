"""Run one stage, or say what its code and data are, from inside another checkout: the child of `interlock reproduce`.

    PYTHONPATH=<root>/src python -P rerun.py keys <root> <lane folder> <params.yaml> <lane>
    PYTHONPATH=<root>/src python -P rerun.py run  <root> <lane folder> <params.yaml> <lane> <stage>

This file is run by path, so that it comes from the present code while everything it imports comes from `<root>`, which
may be an older commit. It therefore uses only what every version of the stages has.
"""

import importlib
import json
import sys
from pathlib import Path

from interlock.contracts.stage import STAGE_PARAMS
from interlock.lanes.catalog import find_lane
from interlock.stages.current import stage_key
from interlock.stages.entry import guarded
from interlock.stages.place import Place, read_composed
from interlock.stages.progress import Lines

_STAGES = ("prepare", "train", "evaluate", "export")


def main(action: str, root: str, folder: str, params: str, lane: str, *stage: str) -> int:
    """Print the keys of all stages as JSON, or run one stage; returns the exit code."""
    place = Place(workspace=Path(root), folder=Path(folder), params=Path(params), lane=lane)
    if action == "keys":
        return guarded(lambda: print(json.dumps(_keys(place))))
    (name,) = stage
    return guarded(lambda: importlib.import_module(f"interlock.stages.{name}").run(place, progress=Lines()))


def _keys(place: Place) -> dict[str, dict[str, str | None]]:
    config = read_composed(place.params)
    spec = find_lane(str(config.get("lane", {}).get("kind")))
    return {stage: vars(stage_key(stage, place, spec, config)) for stage in STAGE_PARAMS if stage in _STAGES}


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
