"""The pages in a real browser: nothing is fetched, nothing complains, nothing sticks out, everything can be read."""

import pytest
from chromium_pipe import find_chromium
from page_facts import MIXED, OTHER, bare, full, row

from interlock.reports.page import run_page

pytestmark = pytest.mark.skipif(find_chromium() is None, reason="no Chromium here")

SECTIONS = [
    "verdict",
    "gates",
    "decision",
    "quality",
    "queries",
    "training",
    "sweep",
    "lineage",
    "measurements",
    "card",
    "attempts",
]
TEXTS = (
    "h1",
    ".top .subtitle",
    ".theme input:checked + label",
    ".contents a",
    ".hero h2",
    ".hero .summary",
    ".hero .context b",
    ".figures dt",
    ".figures .value",
    ".figures .detail",
    ".lead",
    ".gate .name",
    ".gate .reason",
    ".pill",
    ".tag",
    ".legend li",
    "table td",
    "thead th",
    ".query",
    ".rank",
    ".document",
    ".flipcount .gained",
    ".flipcount .lost",
    ".lineage .kind",
    ".lineage .detail",
    "summary .muted",
    ".pairs th",
    "footer",
)
CONTRAST = """
(selector => {
  const parse = text => { const n = text.match(/[\\d.]+/g).map(Number); return text.startsWith('color(srgb')
      ? [n[0] * 255, n[1] * 255, n[2] * 255, n[3] ?? 1] : [n[0], n[1], n[2], n[3] ?? 1]; };
  const over = (top, below) => top.slice(0, 3).map((c, i) => c * top[3] + below[i] * (1 - top[3]));
  const linear = c => (c /= 255) <= .03928 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4;
  const light = rgb => { const l = rgb.map(linear);
      return .2126 * l[0] + .7152 * l[1] + .0722 * l[2]; };
  const behind = element => { const layers = []; for (let e = element; e; e = e.parentElement)
      layers.push(parse(getComputedStyle(e).backgroundColor));
      return layers.reverse().reduce((below, layer) => over(layer, below), [255, 255, 255]); };
  const opacity = element => { let all = 1; for (let e = element; e; e = e.parentElement)
      all *= getComputedStyle(e).opacity;
      return all; };
  return [...document.querySelectorAll(selector)].map(element => {
    const back = behind(element), ink = parse(getComputedStyle(element).color);
    const a = light(over([...ink.slice(0, 3), ink[3] * opacity(element)], back)), b = light(back);
    return (Math.max(a, b) + .05) / (Math.min(a, b) + .05); });
})(%s)
"""


@pytest.fixture(scope="module")
def page_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(run_page([full()], title="default", subtitle="Does it work?"))
    return path


def test_nothing_is_fetched_nothing_complains_and_hostile_text_does_nothing(browser, page_file):
    page = browser.open(page_file)
    assert (page.requests, page.complaints) == ([], [])
    assert page.evaluate("[...document.querySelectorAll('[data-section]')].map(e => e.dataset.section)") == SECTIONS
    assert page.evaluate("document.title") == "default · Interlock"
    assert page.evaluate("document.images.length + document.scripts.length") == 0


@pytest.mark.parametrize("width", [360, 768, 1280, 1600])
def test_the_page_never_scrolls_sideways(browser, page_file, width):
    page = browser.open(page_file, width=width)
    page.evaluate("document.querySelectorAll('details').forEach(details => { details.open = true; })")
    assert page.evaluate("[document.documentElement.scrollWidth, document.body.scrollWidth]") == [width, width]
    outside = """[...document.querySelectorAll('main *')].filter(e => !e.closest('.scroll, svg') &&
        e.getBoundingClientRect().right > innerWidth + 1).map(e => e.outerHTML.slice(0, 90))"""
    assert page.evaluate(outside) == []


@pytest.mark.parametrize("width", [360, 1280])
def test_no_text_of_a_strip_lies_on_another(browser, tmp_path, width):
    close = [row(f"g{n}", observed=0.5 + n / 1e4, bound=0.499, other_bound=0.55, target=0.5) for n in range(5)]
    close.append(row("large", unit="ms", observed=123_456.7, bound=120_000.1, other_bound=130_000.9, target=100_000.5))
    path = tmp_path / "close.html"
    path.write_text(run_page([full(rows=[*MIXED, *close])], title="t"))
    overlapping = """[...document.querySelectorAll('.strip')].filter(svg => {
        const [a, b] = [...svg.querySelectorAll('text')].map(t => t.getBoundingClientRect());
        const box = svg.parentElement.getBoundingClientRect();
        const out = [a, b].some(r => r && (r.left < box.left - 16 || r.right > box.right + 16));
        const crossed = a && b && a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
        return out || crossed; }).length"""
    assert browser.open(path, width=width).evaluate(overlapping) == 0


@pytest.mark.parametrize("dark", [False, True])
def test_text_stands_out_in_both_schemes(browser, page_file, dark):
    page = browser.open(page_file, dark=dark)
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (background == "rgb(18, 21, 24)") == dark
    for selector in TEXTS:
        ratios = page.evaluate(CONTRAST % repr(selector))
        assert ratios, f"{selector} is not on the page"
        assert min(ratios) >= 4.5, (selector, min(ratios))


def test_the_colours_can_be_chosen_without_a_script(browser, page_file):
    page = browser.open(page_file, dark=False)
    color = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(color)
    page.evaluate("document.getElementById('theme-dark').click()")
    assert page.evaluate(color) != light
    page.evaluate("document.getElementById('theme-light').click()")
    assert page.evaluate(color) == light


def test_runs_without_results_fit_as_well(browser, tmp_path):
    path = tmp_path / "few.html"
    path.write_text(run_page([bare(), full(OTHER, problem="loss.csv: file differs " + "x" * 300)], title="t"))
    page = browser.open(path, width=360)
    assert page.complaints == []
    assert page.evaluate("document.body.scrollWidth") == 360
