"""An input is named in one of two forms by the time a stage sees it; nothing else passes for one."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from interlock.contracts.input import InputUse, pinned, run_named, taken_apart
from interlock.contracts.lane import LaneBody

RUN, SHA256 = "0123456789abcdef", "a" * 64
hexadecimal = st.text("0123456789abcdef", min_size=16, max_size=16)


@pytest.mark.parametrize(
    "text",
    [
        "", "toy", "lane:", "lane:../toy", "lane:a/b", "lane:.hidden", "lane:toy\n", "Lane:toy", " lane:toy",
        "run:", f"run:{RUN}", f"run:{RUN}@sha256:", f"run:{RUN}@sha256:{SHA256[1:]}", f"run:{RUN[1:]}@sha256:{SHA256}",
        f"run:{RUN}@md5:{SHA256}", f"run:{RUN.upper()}@sha256:{SHA256}", f"run:../../x@sha256:{SHA256}",
        "registry:toy@production",
    ],
)  # fmt: skip
def test_other_forms_are_refused_wherever_they_are_read(text):
    with pytest.raises(ValueError, match="no composed input"):
        taken_apart(text)
    with pytest.raises(ValidationError):
        LaneBody(kind="toy", inputs={"base": text})
    with pytest.raises(ValidationError):
        InputUse(reference=text, run_id=RUN, sha256=SHA256)


@given(st.text(max_size=90))
def test_no_other_text_is_taken_apart(text):
    if not re.fullmatch(r"lane:\w[\w.-]*|run:[0-9a-f]{16}@sha256:[0-9a-f]{64}", text, flags=re.ASCII):
        with pytest.raises(ValueError, match="no composed input"):
            taken_apart(text)


@given(hexadecimal, st.text("0123456789abcdef", min_size=64, max_size=64))
def test_what_is_pinned_comes_apart_again(run_id, sha256):
    found = taken_apart(pinned(run_id, sha256))
    assert (found.lane, found.run_id, found.sha256) == (None, run_id, sha256)
    assert run_named(pinned(run_id, sha256)) == run_named(f"run:{run_id}") == run_id


@pytest.mark.parametrize("name", ["toy", "query_tower", "9", "a.b-c", "_x"])
def test_a_lane_comes_apart(name):
    assert taken_apart(f"lane:{name}").lane == name
