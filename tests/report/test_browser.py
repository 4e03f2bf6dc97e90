"""The page in a real browser, as people use it."""

from __future__ import annotations

import csv
import io
import shutil
from dataclasses import replace

import pytest

from lkcfuse.report import write_report

pytestmark = pytest.mark.slow

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    path = shutil.which("chromium") or shutil.which("chromium-browser")
    assert path, "these tests drive Chromium: apt-get install chromium"
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture
def address(scene, tmp_path):
    for index in range(6):
        scene.add(f"street {index}" if index else "<i>night</i>", seed=index + 1)
    scene.add("broken", scores={}, error="broken.png is cut off")
    path = tmp_path / "report.html"
    write_report(scene.report(), path)
    return path.as_uri()


@pytest.fixture
def open_page(browser, address):
    """Open the report; at the end, nothing may have gone wrong, nor out to any network."""
    said, asked, contexts = [], [], []

    def call(**options):
        context = browser.new_context(viewport={"width": 1200, "height": 800}, **options)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(address)
        return page

    yield call
    for context in contexts:
        context.close()
    assert said == []
    assert {url for url in asked if not url.startswith("data:")} == {address}


def open_pair(page, name):
    page.get_by_role("button", name=name).first.click()
    page.locator("#viewer[open]").wait_for()


def place(page):
    return int(page.get_by_role("slider", name="Divider").get_attribute("aria-valuenow"))


def test_pairs_are_shown_with_the_worst_and_the_best_first(open_page):
    page = open_page()
    assert page.title() == "Infrared and visible: fused"
    assert page.locator(".card").count() == 7
    page.wait_for_function(
        "[...document.querySelectorAll('.card img')].every((i) => i.complete && i.naturalWidth)"
    )
    headings = page.locator("#gallery h3").all_inner_texts()
    assert [heading.split()[0] for heading in headings] == ["Worst", "Best", "The"]
    assert "cut off" in page.locator("#notes").inner_text()
    # A name is text and never an element.
    assert page.locator("#gallery i").count() == 0
    page.fill("#gallery-filter", "NIGHT")
    assert page.locator(".card-name").all_inner_texts() == ["<i>night</i>"]
    # What rises with noise is told apart, not ranked.
    page.fill("#gallery-filter", "")
    page.select_option("#gallery-metric", index=0)
    assert page.locator("#gallery h3").first.inner_text().startswith("Lowest")


def test_a_card_tells_of_the_method_chosen(scene, browser, tmp_path):
    pair = scene.add("both")
    scores = {"theirs": pair.scores["fused"], **pair.scores}
    wrong = "theirs/wrong.png is 9x9"
    pairs = (
        replace(pair, scores=scores),
        replace(pair, name="absent", scores={"fused": scores["fused"]}),
        replace(pair, name="wrong", scores={"fused": scores["fused"]}, error=wrong),
    )
    report = replace(scene.report(), methods=("fused", "theirs"), pairs=pairs)
    write_report(report, tmp_path / "methods.html")
    page = browser.new_page()
    page.goto((tmp_path / "methods.html").as_uri())

    def cards():
        names = page.locator(".card-name").all_inner_texts()
        texts = page.locator(".card-score").all_inner_texts()
        return dict(zip(names, texts, strict=True))

    assert all("VIF 0." in text or "VIF 1." in text for text in cards().values())
    page.select_option("#gallery-method", label="theirs")
    assert cards()["absent"] == "no image of this method"
    assert cards()["wrong"] == wrong
    page.close()


def test_the_divider_is_dragged_and_moved_by_keys(open_page):
    page = open_page()
    open_pair(page, "street 1")
    handle = page.get_by_role("slider", name="Divider")
    assert place(page) == 50
    box, stage = handle.bounding_box(), page.locator("#stage").bounding_box()
    middle = (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.move(*middle)
    page.mouse.down()
    page.mouse.move(stage["x"] + stage["width"] / 4, middle[1], steps=5)
    page.mouse.up()
    assert abs(place(page) - 25) <= 1
    handle.press("ArrowRight")
    assert abs(place(page) - 27) <= 1
    handle.press("End")
    assert place(page) == 100
    assert "inset(0px 0px 0px 100%)" in page.locator(".layer").nth(1).evaluate(
        "(layer) => layer.style.clipPath"
    )


def test_pictures_zoom_and_pan_in_step(open_page):
    page = open_page()
    open_pair(page, "street 2")
    page.get_by_text("Side by side", exact=True).click()
    planes = page.locator(".plane:not([hidden])")
    assert planes.count() == 3

    def transforms():
        found = {planes.nth(index).evaluate("(e) => e.style.transform") for index in range(3)}
        assert len(found) == 1
        return found.pop()

    fitted = transforms()
    page.locator("#stage .pane").nth(1).hover()
    page.mouse.wheel(0, -400)
    zoomed = transforms()
    assert zoomed != fitted
    box = page.locator("#stage .pane").nth(1).bounding_box()
    page.mouse.move(box["x"] + 60, box["y"] + 60)
    page.mouse.down()
    page.mouse.move(box["x"] + 30, box["y"] + 40, steps=3)
    page.mouse.up()
    assert transforms() != zoomed
    page.keyboard.press("0")
    assert transforms() == fitted


def test_blinking_turns_from_one_picture_to_the_other_by_itself_and_by_hand(open_page):
    page = open_page()
    open_pair(page, "street 3")
    page.keyboard.press("b")
    top = page.locator(".layer").nth(1)
    hidden = "(layer) => layer.classList.contains('away')"
    first = top.evaluate(hidden)
    page.wait_for_function(
        "(first) => document.querySelectorAll('.layer')[1].classList.contains('away') !== first",
        arg=first,
    )
    page.keyboard.press("Space")
    stopped = top.evaluate(hidden)
    page.wait_for_timeout(1200)
    assert top.evaluate(hidden) == stopped
    page.keyboard.press("Space")
    assert top.evaluate(hidden) != stopped


def test_strength_mixes_results_with_the_second_source(open_page):
    page = open_page()
    open_pair(page, "street 3")
    slider = page.get_by_role("slider", name="Strength")
    result = page.locator(".plane.result").last
    under = page.locator(".plane.result").last.evaluate_handle("(e) => e.previousSibling")
    assert under.evaluate("(e) => e.hidden")
    assert slider.input_value() == "1"
    slider.fill("0.5")
    assert result.evaluate("(e) => getComputedStyle(e).opacity") == "0.5"
    assert not under.evaluate("(e) => e.hidden")
    assert under.evaluate("(e) => e.getBoundingClientRect().x") == result.evaluate(
        "(e) => e.getBoundingClientRect().x"
    )
    # What is seen is halfway between the two pictures.
    read = """async ([top, below]) => {
      const canvas = new OffscreenCanvas(8, 8).getContext("2d", { willReadFrequently: true });
      const mean = () => canvas.getImageData(0, 0, 8, 8).data.reduce((sum, v) => sum + v) / 256;
      const of = (image) => { canvas.drawImage(image, 0, 0, 8, 8); return mean(); };
      return [of(top), of(below)];
    }"""
    fused, second = page.evaluate(read, [result.element_handle(), under])
    assert fused != pytest.approx(second, abs=1), "or the test shows nothing"
    page.locator("#stage").focus()
    page.keyboard.press("s")
    page.keyboard.press("n")
    assert page.locator(".plane.result").first.evaluate("(e) => e.style.opacity") == "0.5"
    slider.fill("1")
    assert page.locator(".plane.result").first.evaluate("(e) => e.style.opacity") == "1"


def test_who_wants_no_motion_gets_none_unasked(open_page):
    page = open_page(reduced_motion="reduce")
    open_pair(page, "street 3")
    page.keyboard.press("b")
    hidden = "() => document.querySelectorAll('.layer')[1].classList.contains('away')"
    before = page.evaluate(hidden)
    page.wait_for_timeout(1500)
    assert page.evaluate(hidden) == before


def test_one_goes_through_the_pairs_by_keys_and_back_to_where_one_was(open_page):
    page = open_page()
    card = page.locator(".card").first
    card.focus()
    page.keyboard.press("Enter")
    names = [page.locator("#viewer-name").inner_text()]
    for _ in range(2):
        page.keyboard.press("n")
        names.append(page.locator("#viewer-name").inner_text())
    assert len(set(names)) == 3
    page.keyboard.press("p")
    assert page.locator("#viewer-name").inner_text() == names[1]
    page.keyboard.press("Escape")
    assert page.locator("#viewer[open]").count() == 0
    assert page.evaluate("document.activeElement.className") == "card"


def test_the_table_is_sorted_filtered_and_saved_as_shown(open_page):
    page = open_page()
    rows = page.locator("#rows tbody tr")
    assert rows.count() == 7
    page.locator("#rows thead").get_by_role("button", name="MSE").click()
    header = page.locator("#rows th[aria-sort]")
    assert header.get_attribute("aria-sort") == "ascending"
    column = [float(text) for text in page.locator("#rows tbody td:nth-child(5)").all_inner_texts()]
    assert column == sorted(column)
    page.locator("#rows thead").get_by_role("button", name="MSE").click()
    assert header.get_attribute("aria-sort") == "descending"
    page.fill("#table-filter", "street")
    page.locator("#table-methods").get_by_label("mean", exact=True).check()
    assert rows.count() == 10
    with page.expect_download() as download:
        page.get_by_role("button", name="Save CSV").click()
    saved = list(csv.DictReader(io.StringIO(download.value.path().read_text())))
    assert len(saved) == 10
    assert set(saved[0]) == {"name", "method", "EN", "SCD", "MSE", "VIF"}
    page.select_option("#table-metric", label="MSE")
    page.select_option("#table-operator", value="le")
    page.fill("#table-value", "0")
    assert rows.count() == 0


def test_it_is_light_dark_and_narrow(open_page):
    shades = {}
    for scheme in ("light", "dark"):
        page = open_page(color_scheme=scheme)
        shades[scheme] = page.evaluate("getComputedStyle(document.body).backgroundColor")
        page.set_viewport_size({"width": 390, "height": 800})
        wide = page.evaluate("document.documentElement.scrollWidth")
        assert wide <= 390
        page.locator("#theme").click()
    assert shades["light"] != shades["dark"]


def test_ranks_and_remarks_stand_beside_the_distributions(open_page):
    page = open_page()
    panel = page.locator("article.panel", has_text="VIF")
    ranks = panel.locator(".rank").all_inner_texts()
    assert len(ranks) == 3
    assert sum(", p " in text for text in ranks) == 2  # the best mean has no p
    assert all(text.startswith("rank ") for text in ranks)
    assert page.get_by_text("Wilcoxon signed-rank test").is_visible()
