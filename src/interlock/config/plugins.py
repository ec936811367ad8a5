"""Let installed lane packages bring their own YAML: their `conf` joins Hydra's search path."""

from importlib.util import find_spec
from pathlib import Path

from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.plugins import Plugins
from hydra.plugins.search_path_plugin import SearchPathPlugin

from interlock.lanes.catalog import find_lane, plugin_kinds
from interlock.lanes.spec import LaneSpec


class LaneSearchPath(SearchPathPlugin):
    """Appends the search path that each installed lane names."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        """Called by Hydra before composing."""
        for kind in plugin_kinds():
            path = find_lane(kind).conf
            if path:
                search_path.append(provider=f"interlock-{kind}", path=path)


def conf_files(spec: LaneSpec) -> list[Path]:
    """The YAML files that a lane package brings, sorted; none for a built-in lane."""
    scheme, _, place = (spec.conf or "").partition("://")
    if scheme == "pkg":
        found = find_spec(place.replace("/", "."))
        folders = list(found.submodule_search_locations or ()) if found else []
    else:
        folders = [place] if place else []
    return sorted(file for folder in folders for file in Path(folder).rglob("*.yaml"))


def register() -> None:
    """Tell Hydra; safe to repeat."""
    if LaneSearchPath not in Plugins.instance().discover(SearchPathPlugin):
        Plugins.instance().register(LaneSearchPath)
