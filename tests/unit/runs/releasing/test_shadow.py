"""The evidence of a shadow: what is refused, and what each observation means for its level."""

import json
import re

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from release_homes import LEVELS, OBSERVED

from interlock.contracts.release import Observation, ServiceLevel, ShadowReport
from interlock.contracts.verdict import Cause, Verdict
from interlock.errors import ProvenanceError, UsageError
from interlock.runs.releasing.shadow import level_rows, read_shadow
from interlock.runs.releasing.situation import Shadow


def read(home, path, run):
    candidate, production = home.versions(run)
    return read_shadow(path, candidate, production=production, lane="query_tower")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"lane": "reranker"}, "its lane is not query_tower"),
        ({"candidate_run": "0" * 16}, "its candidate_run is not"),
        ({"candidate_sha256": "0" * 64}, "its candidate_sha256 is not"),
        ({"production_run": None}, "its production_run is not"),
        ({"verdict": "pass"}, "verdict: Extra inputs are not permitted"),
        ({"requests": 0}, "requests: Input should be greater than or equal to 1"),
        ({"report_version": 2}, "report_version: Input should be 1"),
        ({"files": {}}, "observations come from"),
        ({"observations": {}}, "observations: Dictionary should have at least 1 item"),
    ],
)
def test_evidence_of_anything_else_is_refused(made, change, told):
    home, production, candidate = made
    with pytest.raises(UsageError, match="--evidence") as refused:
        read(home, home.shadow(candidate, production=production, **change), candidate)
    assert told in str(refused.value)
    assert refused.value.hint


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"lane": NaN}'])
def test_what_is_no_report_is_refused(made, tmp_path, text):
    (tmp_path / "shadow.json").write_text(text)
    with pytest.raises(UsageError, match="is no shadow report"):
        read(made[0], tmp_path / "shadow.json", made[2])


def test_a_name_that_is_given_twice_is_refused(made):
    """JSON readers take the last one: a bad number could hide behind a good one."""
    home, production, candidate = made
    path = home.shadow(candidate, production=production)
    text = path.read_text()
    path.write_text(text.replace('"observations": {', '"observations": {"error_rate": {}, ', 1))
    with pytest.raises(UsageError, match="contradicts itself: a name is given twice") as refused:
        read(home, path, candidate)
    assert refused.value.value == "error_rate"


def test_a_missing_file_and_a_folder_are_refused(made, tmp_path):
    for path in (tmp_path / "none.json", tmp_path):
        with pytest.raises(UsageError, match="cannot be read"):
            read(made[0], path, made[2])


def test_an_observation_that_contradicts_itself_is_refused(made):
    home, production, candidate = made
    for field, value in (("lower", 0.5), ("upper", 0.0), ("confidence", None)):
        observed = {**OBSERVED, "error_rate": {**OBSERVED["error_rate"], field: value}}
        with pytest.raises(UsageError, match=r"contradicts itself|belong together"):
            read(home, home.shadow(candidate, production=production, observed=observed), candidate)


def test_a_raw_record_that_changed_is_missing_or_lies_outside_is_refused(made):
    home, production, candidate = made
    path = home.shadow(candidate, production=production)
    (path.parent / "metrics.log").write_text("other")
    with pytest.raises(ProvenanceError, match="differs from its digest"):
        read(home, path, candidate)
    (path.parent / "metrics.log").unlink()
    with pytest.raises(ProvenanceError, match="is missing"):
        read(home, path, candidate)
    values = json.loads(path.read_text())
    values["files"] = {"metrics.log": "0" * 64, "../../outside": "0" * 64}
    path.write_text(json.dumps(values))
    with pytest.raises(ProvenanceError):
        read(home, path, candidate)


def rows(observations, levels=LEVELS, *, kind="tower", is_first=False):
    report = ShadowReport(
        lane="l", candidate_run="0" * 16, candidate_sha256="0" * 64, production_run=None, requests=1, duration_s=1.0,
        observations=observations or {"other": Observation(observed=1.0, n=1, unit="x", source="f")},
        files={"f": "0" * 64},
    )  # fmt: skip
    shadow = Shadow(text="", sha256="0" * 64, report=report)
    return {row.gate: row for row in level_rows(levels, shadow, kind=kind, is_first=is_first)}


def seen(**changes):
    fields = {"observed": 0.002, "lower": 0.001, "upper": 0.006, "confidence": 0.95, "n": 2000, "unit": "ratio"}
    return Observation(**(fields | changes), source="f")


@pytest.mark.parametrize(
    ("observation", "verdict", "told"),
    [
        (seen(), Verdict.PASS, "error_rate 0.002 (0.001 .. 0.006) ratio, asked <= 0.01, n=2000"),
        (seen(upper=0.02), Verdict.INCONCLUSIVE, "asked <= 0.01"),
        (seen(observed=0.05, lower=0.04, upper=0.06), Verdict.FAIL, "asked <= 0.01"),
        (seen(n=999), Verdict.INCONCLUSIVE, "under the 1000 that it takes, so it is held"),
        (seen(unit="percent"), Verdict.BLOCKED, "error_rate is in percent, the level in ratio"),
        (seen(confidence=0.9), Verdict.BLOCKED, "error_rate has bounds of 90 %, 95 % asked"),
        (seen(lower=None, upper=None, confidence=None), Verdict.BLOCKED, "error_rate has no bounds, 95 % asked"),
        (seen(upper=None), Verdict.INCONCLUSIVE, "unknown"),
    ],
)
def test_what_an_observation_means(observation, verdict, told):
    row = rows({"error_rate": observation})["slo.error_rate"]
    assert row.verdict is verdict
    assert told in row.reason
    assert (row.cause is not None) is (verdict is Verdict.BLOCKED)


@given(
    st.floats(-1, 1), st.floats(0, 1), st.floats(0, 1), st.integers(0, 3000), st.sampled_from([None, 0.9, 0.95, 0.99])
)
def test_only_bounds_that_reach_the_target_with_enough_requests_pass(observed, below, above, n, confidence):
    has = confidence is not None
    observation = seen(
        observed=observed, lower=observed - below if has else None, upper=observed + above if has else None,
        confidence=confidence, n=n,
    )  # fmt: skip
    row = rows({"error_rate": observation})["slo.error_rate"]
    reaches = has and confidence >= 0.95 and n >= 1000 and observed + above <= 0.01
    assert (row.verdict is Verdict.PASS) is reaches


def test_what_nobody_observed_stays_open():
    without = {row.gate: row for row in level_rows(LEVELS, None, kind="tower", is_first=False)}
    assert {row.verdict for row in without.values()} == {Verdict.INCONCLUSIVE}
    assert without["slo.drift"].reason == "not measured: drift_ms was observed in no shadow"
    assert rows({})["slo.drift"].reason == "not measured: the shadow report lacks drift_ms"


def test_the_example_in_the_documentation_is_a_report(repository):
    text = (repository / "docs" / "releases.md").read_text().partition("```json")[2].partition("```")[0]
    report = ShadowReport.model_validate_json(re.sub(r'"<[^>]*>"', f'"{"0" * 64}"', text))
    configured = yaml.safe_load((repository / "conf/executives/ops.yaml").read_text())["release"]["service_levels"]
    assert set(report.observations) <= {level["metric"] for level in configured.values()}


def test_levels_apply_to_lanes_and_to_first_or_later_releases():
    level = ServiceLevel(metric="m", direction="at_least", target=1.0, unit="x")
    levels = {
        "all": level,
        "tower": level.model_copy(update={"lanes": ("tower",)}),
        "other": level.model_copy(update={"lanes": ("lvm",)}),
        "first": level.model_copy(update={"when": "first_release"}),
        "later": level.model_copy(update={"when": "beside_production"}),
    }
    assert set(rows({}, levels, is_first=True)) == {"slo.all", "slo.tower", "slo.first"}
    assert set(rows({}, levels)) == {"slo.all", "slo.tower", "slo.later"}


def test_advice_stays_advice_when_it_is_blocked():
    level = {"correlation": LEVELS["correlation"]}
    row = rows({"score_correlation": seen(unit="other")}, level)["slo.correlation"]
    assert (row.severity, row.cause, row.unit) == ("advise", Cause.UNIT, "ratio")
