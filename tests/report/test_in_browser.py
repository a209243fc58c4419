"""The page in headless Chromium: it opens from disk, works by mouse and keyboard, and fits wide and narrow windows."""

import json
import shutil
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright

from wsreid.cli import main

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
PATIENCE = 300_000  # milliseconds: on a machine whose cores are all taken a page of 5 MB has opened in 50 s
SIZES = {"wide": (1280, 900), "narrow": (400, 800)}
HOSTILE = 'z<img src=x onerror="gone=1">\'&'
READ = (Path(__file__).parent / "in_page.js").read_text(encoding="utf-8")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here; on Debian: apt-get install chromium")


@pytest.fixture(scope="module")
def file(trained, copy_run, tmp_path_factory):
    """A report of three runs: one with two bag sizes, one worse, one in a folder with a hostile name."""
    root = tmp_path_factory.mktemp("shown")
    copy_run(root / "a")
    copy_run(root / "b", ids_per_bag=3)
    hostile = copy_run(root / HOSTILE, class_path=f"wsreid.{HOSTILE}", worse=True)
    (hostile / "diagnostics.csv").write_text(
        f'epoch,group,raw\n0,all,0.5\n0,"{HOSTILE.replace(chr(34), chr(34) * 2)}",1\n'
    )
    out = root / "report.html"
    main(["report", str(root), "--out", str(out), "--bags", "2"])
    return out


@pytest.fixture(scope="module")
def browser():
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=CHROMIUM, timeout=PATIENCE)
        yield found
        found.close()


@pytest.fixture(scope="module")
def opened(browser, file):
    """The page in each size, and all that it said and asked for."""
    pages, said, asked = {}, [], []
    for name, (width, height) in SIZES.items():
        page = browser.new_page(viewport={"width": width, "height": height})
        page.set_default_timeout(PATIENCE)
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda request: asked.append(request.url.partition(":")[0]))
        page.goto(file.as_uri())
        page.evaluate(READ)
        pages[name] = page
    return pages, said, asked


@pytest.fixture
def page(opened):
    return opened[0]["wide"]


def texts(page, selector):
    return page.eval_on_selector_all(selector, "found => found.map((each) => each.textContent.trim())")


def test_it_opens_without_a_complaint_and_without_a_network(opened):
    pages, said, asked = opened
    assert said == []
    assert set(asked) <= {"file", "data", "blob"}
    for page in pages.values():
        assert page.locator(".plot svg.main-svg").count() >= 6
        assert page.locator("#list-shown img").count() > 5
        assert page.evaluate("Math.min(...[...document.images].map((image) => image.naturalWidth))") > 5


@pytest.mark.parametrize("size", SIZES)
def test_nothing_overflows(opened, size):
    page = opened[0][size]
    assert page.evaluate("document.documentElement.scrollWidth") <= page.evaluate("innerWidth")
    assert page.evaluate("overflowing()") == []


def test_names_are_text_and_nothing_else(page):
    assert page.evaluate("typeof gone") == "undefined"
    assert page.locator("img[src=x]").count() == 0
    assert any(HOSTILE in text for text in texts(page, "td.path"))
    assert any(HOSTILE in text for text in texts(page, "#list-run option"))
    assert any(HOSTILE in text for text in texts(page, "#cmc-legend li"))
    assert any(HOSTILE in text for text in texts(page, "#diagnostics optgroup option"))


def test_the_run_changes_what_is_shown(page):
    def shown():
        sources = page.eval_on_selector_all("#list-shown ol img", "found => found.map((each) => each.src)")
        return page.locator("#list-shown h3").inner_text(), sources

    page.select_option("#list-run", "0")
    page.select_option("#list-order", "test")
    before = shown()
    query = page.input_value("#list-query")
    worse = page.locator("#list-run option").count() - 1
    page.select_option("#list-run", str(worse))
    after = shown()
    assert page.input_value("#list-query") == query  # the same query, so that methods can be compared
    assert before[0] != after[0]
    assert before[1] == after[1][::-1]  # the copy has the lists turned round
    page.select_option("#list-run", "0")
    assert shown() == before


def test_two_runs_stand_beside_each_other_and_their_difference_orders(page):
    worse = str(page.locator("#list-run option").count() - 1)
    page.select_option("#list-run", worse)
    assert page.locator("#list-order option[value=loss]").is_disabled()
    page.select_option("#list-other", "0")
    page.select_option("#list-order", "loss")
    assert page.locator("#list-shown h3").count() == 2
    data = json.loads(page.locator("#data").text_content())
    (found,) = data["querySets"]
    own, other = (found["lists"][found["runs"].index(int(run))] for run in (worse, "0"))
    first = int(page.input_value("#list-query"))
    page.select_option("#list-query", index=0)
    first = int(page.input_value("#list-query"))
    losses = [mine["ap"] - theirs["ap"] for mine, theirs in zip(own, other, strict=True)]
    assert losses[first] == min(losses)
    page.select_option("#list-other", "")
    assert page.locator("#list-shown h3").count() == 1
    assert page.input_value("#list-order") == "worst"
    page.select_option("#list-run", "0")


def test_the_filters_choose_queries(page):
    def shown():
        return [text.split(", ") for text in texts(page, "#list-query option")]

    every = shown()
    assert len(every) == 8
    assert page.locator("#list-count").inner_text() == "8 of 8 queries"
    aps = [float(words[3].split()[1]) for words in every]
    assert aps == sorted(aps)
    page.select_option("#list-camera", "2")
    assert {words[2] for words in shown()} == {"camera 2"}
    assert len(shown()) == 4
    page.select_option("#list-camera", "")
    page.fill("#list-from", str(aps[4]))
    assert [float(words[3].split()[1]) for words in shown()] == [ap for ap in aps if ap >= aps[4]]
    page.fill("#list-to", str(aps[4]))
    assert {float(words[3].split()[1]) for words in shown()} == {aps[4]}
    page.fill("#list-from", "0")
    page.fill("#list-to", "100")
    ranks = dict.fromkeys(("missed", "hit"), 0)
    for kind in ranks:
        page.select_option("#list-filter", kind)
        firsts = [words[4].split()[-1] for words in shown()]
        assert all((first == "1") == (kind == "hit") for first in firsts)
        ranks[kind] = len(firsts)
    assert sum(ranks.values()) == 8
    page.select_option("#list-filter", "none")
    assert shown() == []
    assert "No query is like that" in page.locator("#list-shown").inner_text()
    page.select_option("#list-filter", "all")
    assert shown() == every


def test_marks_and_the_first_rank_agree(page):
    for query in page.eval_on_selector_all("#list-query option", "found => found.map((each) => each.value)"):
        page.select_option("#list-query", query)
        marks = texts(page, "#list-shown ol .mark")
        first = int(page.locator("#list-shown h3").inner_text().split()[-1])
        assert [mark.split()[0] for mark in marks] == [str(at + 1) for at in range(len(marks))]
        right = [at for at, mark in enumerate(marks, 1) if mark.endswith("right")]
        assert right[:1] == [first][: first <= len(marks)]


def test_a_chart_changes_its_figure_and_hides_experiments(page):
    title = page.locator("#curves .ytitle")
    assert title.text_content() == "val/mAP_step, %"
    page.select_option("#curves select", label="train/loss")
    assert title.text_content() == "train/loss"
    assert page.locator("#cmc .scatterlayer .trace").count() == 3
    assert page.locator("#cmc-legend").is_visible()
    assert not page.locator("#intervals-legend").is_visible()  # its lines have their names beside them
    page.locator("#shown input").nth(1).uncheck()
    assert page.locator("#cmc .scatterlayer .trace").count() == 2
    assert len(texts(page, "#cmc-legend li")) == 2
    page.locator("#shown input").nth(1).check()
    assert page.locator("#cmc .scatterlayer .trace").count() == 3


def test_bags_show_labels_or_why_not(page):
    page.select_option("#bag-run", "0")
    assert page.locator("#bag-shown h3").count() == 2
    assert page.locator("#bag-shown li.right").count() + page.locator("#bag-shown li.wrong").count() > 4
    page.select_option("#bag-run", "2")
    assert page.locator("#bag-shown h3").count() == 0
    assert "no bags: " in page.locator("#bag-shown").inner_text()
    page.select_option("#bag-run", "0")


@pytest.mark.parametrize("size", SIZES)
def test_text_stands_out_from_what_is_behind_it(opened, size):
    page = opened[0][size]
    found = page.evaluate("contrasts()")
    assert len(found) > 200
    assert {each["text"]: each for each in found if each["ratio"] < 4.5} == {}


@pytest.mark.parametrize("size", SIZES)
def test_the_tab_key_goes_through_all_controls_in_order_and_shows_where_it_is(opened, size):
    page = opened[0][size]
    page.reload()
    page.evaluate(READ)
    expected = page.evaluate("reachable()")
    assert len(expected) > 20
    met = []
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    for _ in range(len(expected)):
        met.append(page.evaluate("place(document.activeElement)"))
        assert page.evaluate("outlined(document.activeElement)"), page.evaluate("document.activeElement.outerHTML")
        page.keyboard.press("Tab")
    assert met == expected


def test_arrow_keys_choose(page):
    page.focus("#list-run")
    before = page.locator("#list-shown h3").inner_text()
    page.keyboard.press("ArrowDown")
    assert page.input_value("#list-run") == "1"
    assert page.locator("#list-shown h3").inner_text() != before
    page.keyboard.press("ArrowUp")
    page.focus("#list-query")
    page.keyboard.press("Home")
    page.keyboard.press("ArrowDown")
    second = page.eval_on_selector("#list-query", "select => select.options[1].value")
    assert page.input_value("#list-query") == second
    page.focus("#list-next")
    page.keyboard.press("Enter")
    assert page.eval_on_selector("#list-query", "select => select.selectedIndex") == 2
    page.focus("#list-before")
    page.keyboard.press("Space")
    assert page.input_value("#list-query") == second


def test_nothing_was_complained_about_to_the_end(opened):
    assert opened[1] == []
