"""Does DVC know all of a stage's code?

A new import can only come with a changed file, which makes the stage run; then the stage itself refuses to go on with
dependencies that DVC does not watch.
"""

import yaml

from interlock.contracts.stage import StageName
from interlock.errors import StageError
from interlock.lanes.catalog import find_lane
from interlock.stages.code import dependency_name, stage_code
from interlock.stages.place import Place, read_composed

DVC_FILE = "dvc.yaml"


def require_declared_code(stage: StageName, place: Place) -> None:
    """Raise StageError when `dvc.yaml` lacks files that the stage imports."""
    path, name = place.workspace / DVC_FILE, f"{place.lane}-{stage}"
    document = yaml.load(path.read_text(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    declared = set(document.get("stages", {}).get(name, {}).get("deps", []))
    spec = find_lane(str(read_composed(place.params).get("lane", {}).get("kind")))
    files = stage_code(stage, spec, place.workspace)
    unknown = sorted({dependency_name(file, place.workspace) for file in files} - declared)
    if unknown:
        raise StageError(
            f"the code imports files that are not its dependencies: {', '.join(unknown)}",
            path=DVC_FILE,
            key=name,
            hint="interlock pipeline render",
        )
