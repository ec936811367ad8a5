"""Which files are the code of a stage: one function gives both its DVC dependencies and its code digest."""

from pathlib import Path

from interlock.contracts.stage import StageName
from interlock.lanes.spec import LaneSpec
from interlock.provenance.closure import import_closure


def stage_code(stage: StageName, spec: LaneSpec, workspace: Path) -> tuple[Path, ...]:
    """Every file of this project (and of a plug-in lane's package) that can run in the stage, sorted.

    The roots are the stage's script and, for the stages that are the lane's own, the lane's function and its
    configuration model; imports are followed from there.
    """
    roots = [str(workspace / "pipelines" / f"{stage}.py"), _module(spec.config)]
    if stage in ("prepare", "train", "evaluate", "export"):
        roots.append(_module(getattr(spec, stage)))
    packages = dict.fromkeys(("interlock", spec.top_package))
    return import_closure(roots, source_root=workspace / "src", packages=tuple(packages))


def dependency_name(file: Path, workspace: Path) -> str:
    """Relative inside the project; absolute outside, since a temporary workspace lies elsewhere."""
    return file.relative_to(workspace).as_posix() if file.is_relative_to(workspace) else str(file)


def _module(dotted: str) -> str:
    return dotted.partition(":")[0]
