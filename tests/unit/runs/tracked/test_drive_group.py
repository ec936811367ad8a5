"""Attempts of one drive stand in one group, and say which they are; a sweep's job stays in its sweep."""

import pytest

from interlock.runs.tracked.described import described

DRIVEN = {"experiment": {"name": "tower"}, "lineage": {"parent_run": None, "attempt": 2, "drive": "0123456789ab"}}
ALONE = {"experiment": {"name": "tower"}, "lineage": {"parent_run": None, "attempt": 1, "drive": None}}


@pytest.mark.parametrize(
    ("config", "labels", "group", "name", "job_type"),
    [
        (DRIVEN, {}, "tower-drive-0123456789ab", "tower-toy-attempt2-aaaaaaaa", "drive"),
        (ALONE, {}, "tower", "tower-toy-aaaaaaaa", "train"),
        ({"experiment": {"name": "tower"}}, {}, "tower", "tower-toy-aaaaaaaa", "train"),
        (DRIVEN, {"sweep": "s1"}, "s1", "tower-toy-attempt2-aaaaaaaa", "sweep"),
        (DRIVEN, {"purpose": "reproduce"}, "tower-drive-0123456789ab", "tower-toy-attempt2-aaaaaaaa", "reproduce"),
    ],
)
def test_the_group_of_a_run(config, labels, group, name, job_type):
    run = described("a" * 16, lane="toy", config=config, labels=labels, tags=(), identity={})
    assert (run.group, run.name, run.job_type) == (group, name, job_type)
