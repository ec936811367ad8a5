"""Which lanes exist: the built-in ones by name, then those that installed packages offer."""

import difflib
import sys
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points

from interlock.errors import UsageError
from interlock.lanes.spec import LaneSpec, load_object

ENTRY_POINT_GROUP = "interlock.lanes"

BUILT_IN = {
    "directional_adapter": "interlock.lanes.directional_adapter.spec:LANE",
    "lvm": "interlock.lanes.lvm.spec:LANE",
    "query_tower": "interlock.lanes.query_tower.spec:LANE",
    "reranker": "interlock.lanes.reranker.spec:LANE",
}


def lane_kinds() -> tuple[str, ...]:
    """Names of all lanes that can be used here, sorted."""
    return tuple(sorted({*BUILT_IN, *(point.name for point in _offered(tuple(sys.path)))}))


def plugin_kinds() -> tuple[str, ...]:
    """Names of the lanes that other installed packages offer, sorted."""
    return tuple(kind for kind in lane_kinds() if kind not in BUILT_IN)


def find_lane(kind: str) -> LaneSpec:
    """The lane of that name; built-in names cannot be taken over. Raises UsageError with the nearest name."""
    if kind in BUILT_IN:
        return _checked(load_object(BUILT_IN[kind]), kind)
    for point in _offered(tuple(sys.path)):
        if point.name == kind:
            return _checked(point.load(), kind)
    near = difflib.get_close_matches(kind, lane_kinds(), n=1)
    raise UsageError(
        "no such lane",
        key="lane.kind",
        value=kind,
        hint=f"{f'did you mean {near[0]}? ' if near else ''}known lanes: {', '.join(lane_kinds())}",
    )


@lru_cache(maxsize=4)
def _offered(search_path: tuple[str, ...]) -> tuple[EntryPoint, ...]:
    """What installed packages offer; looking takes 10 ms, and every stage asks several times."""
    return tuple(entry_points(group=ENTRY_POINT_GROUP))


def _checked(spec: object, kind: str) -> LaneSpec:
    if not isinstance(spec, LaneSpec) or spec.kind != kind:
        raise UsageError(
            "its entry point is not a LaneSpec of that name",
            key="lane.kind",
            value=kind,
            hint=f"the entry point in group {ENTRY_POINT_GROUP} must name a LaneSpec with kind={kind!r}",
        )
    return spec
