"""Reports say what the records say, and no text of a data set can break a page."""

import pytest

from interlock.contracts.measurement import Measurement
from interlock.contracts.verdict import Cause, GateResult, Judgement, Verdict
from interlock.reports.evaluation import evaluation_markdown
from interlock.reports.figures import figure, interval, markdown_table
from interlock.reports.verdicts import verdict_markdown, verdict_table


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (None, "ratio", "-"),
        (0.64249, "ratio", "0.642"),
        (0.2437, "ms", "0.244 ms"),
        (1234.5, "s", "1234.5 s"),
        (1.0, "bool", "yes"),
        (0.0, "bool", "no"),
        (12000.0, "count", "12,000"),
        (float("nan"), "ratio", "NaN"),
        (float("-inf"), "ratio", "none"),
    ],
)
def test_figures(value, unit, text):
    assert figure(value, unit) == text


def test_intervals():
    assert interval((0.5812, 0.64), "ms") == "0.581 .. 0.640 ms"
    assert interval(None) == ""


def test_cells_cannot_break_a_table():
    assert markdown_table(("a", "b"), [("x|y", "1\n2")], right=(1,)) == "| a | b |\n| --- | ---: |\n| x\\|y | 1 2 |"


def row(gate, verdict, severity="block", **fields):
    values = {
        "metric": gate,
        "observed": 0.6,
        "bound": 0.55,
        "other_bound": 0.65,
        "target": 0.7,
        "comparison": ">=",
        "unit": "ratio",
        "n": 1200,
        "method": "wilson",
        "reason": f"{gate} because",
        "evidence": "",
        **fields,
    }
    return GateResult(gate=gate, verdict=verdict, severity=severity, **values)


@pytest.fixture
def judgement():
    rows = (
        row("advice", Verdict.FAIL, "advise", on_failure="look closer"),
        row("recall", Verdict.FAIL, on_failure="train longer"),
        row("speed", Verdict.PASS),
        row("gone", Verdict.BLOCKED, observed=None, bound=None, other_bound=None, n=None, cause=Cause.MISSING),
    )
    return Judgement(
        judgement_id="ab" * 32,
        run_id="0123456789abcdef",
        lane="toy",
        verdict=Verdict.FAIL,
        rows=tuple(sorted(rows, key=lambda item: item.gate)),
        gates_sha256="0" * 64,
        measurements_sha256="1" * 64,
    )


def test_the_verdict_page(judgement):
    page = verdict_markdown(judgement)
    assert page.startswith("# Verdict: fail\n")
    assert "| recall | **fail** | 0.600 | 0.650 | >= 0.700 | 1,200 | recall because |" in page
    assert "| speed | **pass** | 0.600 | 0.550 |" in page
    assert "| gone | **blocked** | - | - | >= 0.700 | - |" in page
    assert page.index("| speed |") < page.index("| advice |"), "advice stands last"
    assert "- `recall`: train longer" in page


def printed(judgement, width):
    from io import StringIO

    from rich.console import Console

    console = Console(width=width, file=StringIO())
    console.print(verdict_table(judgement, width=width))
    return console.file.getvalue()


def test_a_wide_terminal_gets_columns_of_numbers(judgement):
    text = printed(judgement, 150)
    assert ">= 0.700" in text
    assert "1,200" in text


def test_a_narrow_terminal_keeps_whole_reasons(judgement):
    text = printed(judgement, 70)
    assert ">= 0.700" not in text
    assert "recall because" in text
    assert max(len(line) for line in text.splitlines()) <= 70


def measured(name, value=0.5, **fields):
    return Measurement(name=name, value=value, unit="ratio", n=10, estimator="value", evidence="x", **fields)


def test_the_evaluation_report():
    page = evaluation_markdown(
        lane="toy",
        run_id="r",
        facts={"documents": 12},
        intervals={"recall": (0.4, 0.6)},
        measurements=[measured("recall"), measured("bm25.recall", 0.25), measured("lonely", None, reason="no data")],
        examples={
            "hits": [{"answer": {"doc_id": "d|1", "text": "a <b> `c`"}, "query": "find *it*", "rank": 2}],
            "misses": [],
        },
    )
    assert "| recall | 0.500 | 0.400 .. 0.600 | 10 | ratio |  |" in page
    assert "| lonely | - |  | 10 | ratio | no data |" in page
    assert "| metric | this run | bm25 |" in page
    assert "| recall | 0.500 | 0.250 |" in page
    assert "- **query** find \\*it\\*\n  <br>**answer** `d|1` a \\<b\\> \\`c\\`\n  <br>**rank** 2" in page
    assert "## Misses" not in page
