from interlock.provenance.dotted import lookup, select

CONFIG = {"lane": {"kind": "toy", "data": {"count": 1}, "gates": {}}, "seed": 0}


def test_lookup():
    assert lookup(CONFIG, "lane.data.count") == 1
    assert lookup(CONFIG, "seed") == 0
    assert lookup(CONFIG, "lane.model.width") is None
    assert lookup(CONFIG, "seed.deeper") is None


def test_select_keeps_the_nesting_and_leaves_out_what_is_missing():
    assert select(CONFIG, ("lane.kind", "lane.data", "hardware")) == {"lane": {"kind": "toy", "data": {"count": 1}}}


def test_select_copies():
    select(CONFIG, ("lane.data",))["lane"]["data"]["count"] = 2
    assert CONFIG["lane"]["data"]["count"] == 1
