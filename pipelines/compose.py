"""DVC stage `compose`: conf/, params.yaml and the code -> params/. The only stage that composes; all others read."""

import sys
from pathlib import Path

WORKSPACE = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(WORKSPACE / "src"))  # this checkout's code, also inside a temporary experiment folder

from interlock.config.freshness import write_stamp  # noqa: E402
from interlock.config.params import compose_workspace, write_composed  # noqa: E402
from interlock.config.pipeline import require_rendered, write_declared  # noqa: E402
from interlock.stages.entry import guarded  # noqa: E402


def compose() -> None:
    """Validate every lane, then write; refuse when dvc.yaml no longer fits the configuration."""
    experiments = compose_workspace(WORKSPACE)
    require_rendered(WORKSPACE, experiments)
    changed = write_composed(WORKSPACE, experiments)
    write_declared(WORKSPACE, experiments)
    write_stamp(WORKSPACE)
    print(f"composed {', '.join(experiments)}; changed: {', '.join(changed) or 'none'}")


if __name__ == "__main__":
    sys.exit(guarded(compose))
