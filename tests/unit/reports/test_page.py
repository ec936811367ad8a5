"""The page says everything that the facts hold, nothing that they do not, and no text of the data becomes markup."""

import html
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from page_facts import HOSTILE, MIXED, OTHER, RUN, bare, blocked, check, full, judgement, row, sweep, verification

from interlock.contracts.verdict import Cause
from interlock.reports.page import run_page, sections

EVERY_SECTION = [
    "verdict", "gates", "decision", "quality", "queries", "training", "sweep", "lineage", "measurements", "card",
    "attempts",
]  # fmt: skip
VOID = {"meta", "link", "br", "img", "input"}


class Read(HTMLParser):
    """Tags with their attributes, the text between them, and whether every tag is closed in its turn."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.words, self.open, self.unclosed = [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.unclosed.append(tag)

    def handle_data(self, data):
        self.words.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())


@pytest.fixture(scope="module")
def page():
    return run_page([full()], title=HOSTILE, subtitle=HOSTILE, version="1")


@pytest.fixture(scope="module")
def read(page):
    return Read(page)


def test_a_lane_that_states_confidences_shows_whether_they_come_true():
    bins = ({"confidence": 0.6, "accuracy": 0.7}, {"confidence": 0.9, "accuracy": 0.88})
    shown = Read(run_page([full(reliability=bins)], title="t", subtitle="", version="1"))
    assert "reliability" in [values.get("data-section") for _, values in shown.tags]
    assert "2 bins of stated confidence" in shown.text
    assert "Share of right answers by stated confidence, 0.60 to 0.90; at most 0.100 apart" in str(shown.tags)


def test_every_section_is_there_once_and_linked(read):
    found = [values["data-section"] for _, values in read.tags if "data-section" in values]
    assert found == EVERY_SECTION
    ids = [values["id"] for _, values in read.tags if values.get("id")]
    assert len(ids) == len(set(ids))
    links = [values["href"] for tag, values in read.tags if tag == "a"]
    assert {link[1:] for link in links} <= set(ids)


def test_the_page_is_well_formed_and_loads_nothing(page, read):
    assert (read.unclosed, read.open) == ([], [])
    assert {tag for tag, _ in read.tags} & {"script", "iframe", "object", "embed", "img", "base", "form"} == set()
    for tag, values in read.tags:
        assert not [name for name in values if name.startswith("on")], tag
        for name in ("src", "href", "action", "data", "srcset", "poster"):
            assert values.get(name, "#").startswith(("#", "data:")), (tag, values)
    style = page[page.index("<style>") : page.index("</style>")]
    assert not re.search(r"url\(|@import|https?:|//", style)
    assert "default-src 'none'" in page


def test_hostile_text_stays_text(page, read):
    assert "<script" not in page
    assert "onerror=alert(1)>" not in page
    assert html.escape(HOSTILE, quote=False).split("&#39;")[0][:20] in page
    shown = [" ".join(HOSTILE.split()) in " ".join(word.split()) for word in read.words]
    assert sum(shown) >= 8, "title, query, document, reason, error ... each shows it as it is"
    assert "49" not in re.findall(r"\b49\b", read.text), "a template inside the data is not run"


def test_every_gate_has_its_reason_its_verdict_and_its_drawing(read):
    for item in MIXED:
        assert item.reason in read.text
    labels = [values.get("aria-label", "") for tag, values in read.tags if tag == "svg"]
    for item in MIXED:
        assert any(label.startswith(f"{item.gate}:") for label in labels) == (item.comparison != "is")
    assert "missing: not judged" in " ".join(labels)
    assert "Of 7 deciding gates 2 failed (too_slow, loads); 1 could not be judged (missing)" in read.text
    assert "Mend missing." in read.text
    assert "Mend r_at_5." not in read.text, "no advice for what passed"


@pytest.mark.parametrize(
    ("rows", "word", "summary"),
    [
        ((row("a"), row("b", "fail", severity="advise")), "Pass", "All 1 deciding gate passed."),
        ((row("a", "inconclusive"),), "Inconclusive", "Of 1 deciding gate 1 undecided (a)."),
        ((check("a", "fail"),), "Fail", "Of 1 deciding gate 1 failed (a)."),
    ],
)
def test_the_headline_is_the_verdict(rows, word, summary):
    found = Read(run_page([full(judgement=judgement(rows), decision=None)], title="t"))
    assert f" {word} {summary}" in found.text


def test_equal_facts_give_equal_bytes(page):
    assert run_page([full()], title=HOSTILE, subtitle=HOSTILE, version="1") == page


def test_what_a_run_does_not_have_is_absent():
    assert [section.id for section in sections(bare())] == ["verdict", "attempts"]
    no_retrieval = full(recall=(), examples={}, flips=(), sweep=None, losses=(), measurements={}, intervals={}, log=())
    found = [section.id for section in sections(no_retrieval)]
    assert found == ["verdict", "gates", "decision", "lineage", "card", "attempts"]
    text = Read(run_page([bare()], title="t")).text
    assert "There is no result: train failed." in text
    assert "killed" in text


def test_an_archive_that_does_not_hold_shows_no_number():
    found = Read(run_page([full(problem=f"loss.csv: file differs {HOSTILE}")], title="t"))
    assert [values["data-section"] for _, values in found.tags if "data-section" in values] == ["verdict"]
    assert "This run cannot be trusted" in found.text
    assert "file differs" in found.text
    assert "0.660" not in found.text


def test_a_broken_chain_is_told_on_top_and_blocks_the_whole():
    broken = full(rows=(row("a"),), verification=verification(broken=True))
    text = Read(run_page([broken, full(OTHER, rows=(row("a"),))], title="t")).text
    assert text.index("The chain of digests is broken") < text.index("All 1 deciding gate passed")
    assert "2 runs, together ⊘ Blocked" in text
    assert "verified 1 link holds, 20 files (16.0 MiB) read" in Read(run_page([full()], title="t")).text


def test_several_runs_have_a_table_and_sections_of_their_own():
    read = Read(run_page([full(), bare(OTHER)], title="t"))
    links = [values["href"] for tag, values in read.tags if tag == "a"]
    assert {f"#run-{RUN}", f"#run-{OTHER}", f"#gates-{RUN}", f"#attempts-{OTHER}"} <= set(links)
    with pytest.raises(ValueError, match="at least one run"):
        run_page([], title="t")


def test_the_sweep_marks_ties_and_names_what_failed(read):
    assert "3 finished, 1 failed" in read.text
    assert "1 run cannot be told from the best: intervals overlap" in read.text
    assert "lane.optimizer.lr" in read.text
    unfinished = full(sweep=type(sweep())(manifest=sweep().manifest, ranking=None, jobs=()))
    text = Read(run_page([unfinished], title="t")).text
    assert "4 waiting" in text
    assert "No ranking yet" in text


def test_a_long_sweep_is_cut_but_shows_this_run():
    found = sweep()
    (lane,) = found.ranking.lanes
    runs = [lane.runs[0].model_copy(update={"rank": n, "run_id": f"{n:016x}"}) for n in range(1, 101)]
    runs[90] = runs[90].model_copy(update={"run_id": RUN})
    ranking = found.ranking.model_copy(update={"lanes": (lane.model_copy(update={"runs": tuple(runs)}),)})
    text = Read(run_page([full(sweep=replace(found, ranking=ranking))], title="t")).text
    assert "The best 61 of 100 are listed" in text
    assert "this run" in text
    assert "99 runs cannot be told from the best" in text


def test_small_numbers_are_not_written_as_zero(read):
    assert "7.7e-07" in read.text


def test_charts_and_tables_can_be_read_without_seeing(read):
    for tag, values in read.tags:
        if tag == "svg" and "stretched" not in values.get("class", ""):
            assert values.get("aria-label"), values
        if tag == "th":
            assert values.get("scope") in ("row", "col")


def test_what_was_never_exported_is_not_said_to_be_broken():
    waits = {"cause": Cause.NOT_EXPORTED}
    rows = (row("r_at_5", "fail"), blocked("loads", **waits), blocked("answers", **waits), blocked("r_at_1"))
    shown = Read(run_page([full(rows=rows)], title="t")).text
    assert "answers, loads : The run was not exported, because gates that come before it did not pass" in shown
    assert "Mend loads." not in shown
    assert "Mend answers." not in shown
    assert "r_at_5 : Mend r_at_5." in shown
    assert "r_at_1 : Mend r_at_1." in shown
    lost = (row("r_at_5"), blocked("loads"))
    exported = Read(run_page([full(rows=lost)], title="t")).text
    assert "loads : Mend loads." in exported
    assert "not exported" not in exported
