"""A run id covers everything the weights depend on, and cannot be given anything else."""

import copy
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.contracts.hardware import CpuTarget, CudaTarget
from interlock.contracts.lane import BODY_KEYS
from interlock.errors import ProvenanceError
from interlock.provenance.identity import RUN_ID_PATTERN, run_id

BASE = {
    "lane_body": {
        "kind": "tower",
        "data": {"kind": "docstrings", "limit": 10},
        "model": {"width": 8, "layers": [1, 2]},
        "optimizer": {"lr": 0.001},
        "trainer": {"epochs": 3},
        "inputs": {},
    },
    "seed": 1,
    "hardware": {"kind": "cpu", "threads": 1, "deterministic": True},
    "dataset_sha256": "a" * 64,
    "input_digests": {"first_stage": "b" * 64},
    "code_sha256": "c" * 64,
    "lock_sha256": "d" * 64,
}


def leaves(value, path=()):
    if isinstance(value, dict) and value:
        return [leaf for key in value for leaf in leaves(value[key], (*path, key))]
    return [path]


def changed(path):
    values = copy.deepcopy(BASE)
    *parents, last = path
    target = values
    for part in parents:
        target = target[part]
    old = target[last]
    if isinstance(old, bool):
        target[last] = not old
    elif isinstance(old, str) and len(old) == 64:
        target[last] = "0" * 64
    elif isinstance(old, str):
        target[last] = old + "x"
    elif isinstance(old, dict):
        target[last] = {"more": "x"}
    elif isinstance(old, list):
        target[last] = old[::-1]
    else:
        target[last] = old + 1
    return values


@pytest.mark.parametrize("path", leaves(BASE), ids=".".join)
def test_every_field_counts(path):
    assert run_id(**changed(path)) != run_id(**BASE)


@pytest.mark.parametrize(
    "key", ["gates", "search_space", "agents", "llm", "tracking", "budget", "control", "parent_run"]
)
def test_what_judges_and_steers_cannot_enter(key):
    with pytest.raises(ProvenanceError, match="only"):
        run_id(**{**BASE, "lane_body": {**BASE["lane_body"], key: {}}})
    with pytest.raises(TypeError):
        run_id(**{**BASE, key: {}})


@pytest.mark.parametrize("key", ["dataset_sha256", "code_sha256", "lock_sha256"])
@pytest.mark.parametrize("value", ["", "a" * 63, "A" * 64, "a" * 64 + "\n"])
def test_text_that_is_no_digest_is_refused(key, value):
    with pytest.raises(ProvenanceError, match="not a SHA-256"):
        run_id(**{**BASE, key: value})


def test_an_input_without_a_digest_is_refused():
    with pytest.raises(ProvenanceError, match=r"inputs\.first"):
        run_id(**{**BASE, "input_digests": {"first": "lane:query_tower"}})


def test_a_body_without_kind_and_hardware_without_threads_are_refused():
    with pytest.raises(ProvenanceError):
        run_id(**{**BASE, "lane_body": {}})
    with pytest.raises(ProvenanceError, match="hardware"):
        run_id(**{**BASE, "hardware": {"kind": "cpu"}})


def test_which_of_several_devices_does_not_count():
    ids = {run_id(**{**BASE, "hardware": CudaTarget(kind="cuda", device_index=index)}) for index in range(3)}
    assert len(ids) == 1


def test_a_contract_and_its_mapping_are_the_same_hardware():
    assert run_id(**{**BASE, "hardware": CpuTarget(kind="cpu")}) == run_id(**BASE)


def test_nan_is_refused():
    with pytest.raises(ValueError, match="JSON"):
        run_id(**{**BASE, "lane_body": {**BASE["lane_body"], "optimizer": {"lr": float("nan")}}})


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


def reordered(value):
    if isinstance(value, dict):
        return {key: reordered(value[key]) for key in reversed(value)}
    return [reordered(item) for item in value] if isinstance(value, list) else value


@given(st.dictionaries(st.sampled_from(BODY_KEYS), VALUES, min_size=1))
def test_the_order_of_keys_does_not_count(body):
    body = {"kind": "x", **body}
    first = run_id(**{**BASE, "lane_body": body})
    assert first == run_id(**{**BASE, "lane_body": reordered(body)})
    assert re.fullmatch(RUN_ID_PATTERN, first)


def test_the_scheme_is_pinned():
    """A change here makes every archived run a stranger to its own configuration."""
    assert run_id(**BASE) == "f8029eb1b20d0abe"
