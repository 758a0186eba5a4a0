"""The report in a real Chromium, as a reader uses it: mouse, finger and keyboard."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from desra.options.loading import parse
from desra.options.report import ReportOptions
from desra.report import report
from helpers.chromium import DESKTOP, PHONE, Visit, needs_chromium, started
from helpers.report_results import HOSTILE, make_results, write_scores, write_table

pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

pytestmark = needs_chromium


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The report as a single file, with its pictures beside it, and of one network alone."""
    root = tmp_path_factory.mktemp("report")
    before, after = make_results(root)
    common = {
        "before": str(before),
        "settings": ["options/detect.yml"],
        "title": "<b>Title</b>",
    }
    both = {
        **common,
        "after": str(after),
        "scores": str(write_scores(root / "scores.json")),
        "tables": [str(write_table(root / "table.json"))],
    }
    kinds: dict[str, dict[str, Any]] = {
        "single": both,
        "beside": {**both, "max_embedded": 0},
        "alone": common,
    }
    return {
        kind: report(parse(ReportOptions, {**content, "output": str(root / kind)}, "test"))
        for kind, content in kinds.items()
    }


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with started() as chromium:
        yield chromium


class Reader(Visit):
    """The report."""

    def card(self, name: str) -> Any:
        return self.page.locator(f'article[aria-label="{name}"]')

    def viewer(self, name: str, number: int = 0) -> Any:
        return self.card(name).locator(".viewer").nth(number)

    def clip(self, viewer: Any) -> float:
        """Percent of the picture that is cut from the left of the second side, as drawn."""
        style = viewer.locator(".side").nth(1).evaluate("node => getComputedStyle(node).clipPath")
        match = re.fullmatch(r"inset\(0px 0px 0px ([\d.]+)%\)", style)
        assert match, style
        return float(match[1])

    def names(self) -> list[str]:
        return self.page.locator("article").evaluate_all("nodes => nodes.map(n => n.ariaLabel)")

    def focused(self) -> str:
        return self.page.evaluate("document.activeElement.ariaLabel")

    def drawn(self, name: str, what: str) -> bool:
        return self.viewer(name).locator(what).first.is_visible()


@pytest.fixture
def open_page(browser: Any, pages: dict[str, Path]) -> Iterator[Any]:
    """Opens a report; at the end nothing must have been complained of, nor asked of a network."""
    readers: list[Reader] = []

    def opened(kind: str = "single", settings: dict[str, Any] = DESKTOP) -> Reader:
        readers.append(Reader(browser, pages[kind].as_uri(), settings))
        return readers[-1]

    yield opened
    for reader in readers:
        reader.close("file://", "data:")


@pytest.mark.parametrize("kind", ["single", "beside"])
def test_pictures_are_there_and_nothing_else_is_fetched(open_page: Any, kind: str) -> None:
    reader = open_page(kind)
    for name in reader.names():
        reader.card(name).scroll_into_view_if_needed()
    reader.page.keyboard.press("d")
    images = reader.page.locator("article img")
    assert images.count() == 5 * 2 * 4  # images, viewers, pictures and maps of two sides
    for i in range(images.count()):
        images.nth(i).scroll_into_view_if_needed()
        images.nth(i).evaluate("image => image.decode()")
        assert images.nth(i).evaluate("image => image.naturalWidth") > 0
    files = [u for u in reader.requests if u.startswith("file://")]
    assert len(files) == (1 if kind == "single" else 1 + 5 * 5)


def test_pictures_out_of_sight_are_not_loaded(open_page: Any) -> None:
    reader = open_page("beside", {"viewport": {"width": 1280, "height": 300}})
    reader.page.wait_for_function("document.images.length > 0")
    assert reader.page.locator("article img").count() < 5 * 2 * 4
    assert reader.card(reader.names()[-1]).locator("img").count() == 0


def test_names_and_texts_are_never_html(open_page: Any) -> None:
    reader = open_page()
    heads = reader.page.locator("h3").all_text_contents()
    assert any(HOSTILE in head for head in heads)
    assert reader.page.locator("h1").inner_text() == "<b>Title</b>"
    assert reader.page.title() == "<b>Title</b>"
    assert reader.page.locator("h3 img, h1 b").count() == 0
    reader.page.click("[data-tab=Scores]")
    assert reader.page.get_by_text("<b>note</b>", exact=True).is_visible()


def test_slider_by_mouse(open_page: Any) -> None:
    reader = open_page()
    first, second = reader.viewer("a"), reader.viewer("a", 1)
    assert reader.clip(first) == 50
    first.scroll_into_view_if_needed()
    box = first.bounding_box()
    x, y = box["x"] + 0.5 * box["width"], box["y"] + 0.5 * box["height"]
    reader.page.mouse.move(x, y)
    reader.page.mouse.down()
    reader.page.mouse.move(box["x"] + 0.25 * box["width"], y, steps=4)
    assert reader.clip(first) == pytest.approx(25, abs=0.5)
    reader.page.mouse.move(box["x"] - 500, y, steps=4)  # past the border
    assert reader.clip(first) == 0
    reader.page.mouse.move(box["x"] + 0.8 * box["width"], y, steps=4)
    reader.page.mouse.up()
    reader.page.mouse.move(x, y)
    assert reader.clip(first) == pytest.approx(80, abs=0.5)
    assert reader.clip(second) == 50
    handle = first.locator(".wipe").bounding_box()
    assert handle["x"] + handle["width"] / 2 == pytest.approx(box["x"] + 0.8 * box["width"], abs=3)
    assert not reader.card("a").evaluate("node => node.classList.contains('zoomed')")


def test_slider_by_finger(open_page: Any) -> None:
    reader = open_page(settings=PHONE)
    viewer = reader.viewer("a")
    touch = reader.context.new_cdp_session(reader.page)

    def swipe(*places: float) -> None:
        viewer.scroll_into_view_if_needed()
        box = viewer.bounding_box()
        y = box["y"] + box["height"] / 2
        kinds = ["touchStart", *["touchMove"] * (len(places) - 1)]
        for kind, place in zip(kinds, places, strict=True):
            points = [{"x": box["x"] + place * box["width"], "y": y}]
            touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
        touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})

    # A busy machine may still move the page when the finger comes down, or drop its last moves.
    for _ in range(10):
        swipe(0.5, 0.55, 0.6, 0.7)
        reader.page.wait_for_timeout(200)
        if abs(reader.clip(viewer) - 70) <= 1:
            break
    assert reader.clip(viewer) == pytest.approx(70, abs=1)


def test_slider_by_keyboard(open_page: Any) -> None:
    reader = open_page()
    first, second = reader.viewer("a"), reader.viewer("a", 1)
    slider = first.locator("input[type=range]")
    slider.focus()
    reader.page.keyboard.press("ArrowLeft")
    reader.page.keyboard.press("ArrowLeft")
    assert (reader.clip(first), reader.clip(second)) == (40, 50)
    assert slider.get_attribute("aria-valuetext") == "40 % Before"
    reader.page.keyboard.press("End")
    assert reader.clip(first) == 100
    reader.card("a").focus()
    reader.page.keyboard.press("ArrowLeft")
    assert (reader.clip(first), reader.clip(second)) == (95, 45)


def test_next_and_previous_image(open_page: Any) -> None:
    reader = open_page()
    names = reader.names()
    keys = reader.page.keyboard
    keys.press("j")
    assert reader.focused() == names[0]
    keys.press("j")
    keys.press("j")
    assert reader.focused() == names[2]
    keys.press("k")
    assert reader.focused() == names[1]
    box = reader.card(names[1]).bounding_box()
    assert 0 <= box["y"] < 120
    outline = reader.card(names[1]).evaluate("node => getComputedStyle(node).outlineStyle")
    assert outline == "solid"
    for _ in range(9):
        keys.press("j")
    assert reader.focused() == names[-1]
    reader.page.click("[aria-label='Previous image']")
    assert reader.focused() == names[-2]


def test_filters(open_page: Any) -> None:
    reader = open_page()
    kept = {
        "All": ["a", "sub/b", HOSTILE, "same", "tiny"],
        "With artifacts": ["a", "sub/b", HOSTILE, "same"],
        "Removed": ["a", HOSTILE],
        "Still there": ["a", "same"],
        "Added": ["sub/b"],
        "Unchanged": ["same"],
        "Without artifacts": ["tiny"],
    }
    for name, images in kept.items():
        button = reader.page.locator(f"[data-filter='{name}']")
        assert button.inner_text() == f"{name} ({len(images)})"
        button.click()
        assert sorted(reader.names()) == sorted(images)
        assert button.get_attribute("aria-pressed") == "true"
        assert reader.page.locator("[role=status]").inner_text() == f"{len(images)} of 5 images"
    reader.page.click("[data-filter=All]")
    reader.page.keyboard.press("/")
    reader.page.keyboard.type("SUB/")
    assert reader.names() == ["sub/b"]
    reader.page.keyboard.type("djm")  # letters here, not keys
    assert reader.names() == [] and reader.page.get_by_text("No image fits.").is_visible()


def test_what_became_of_the_regions(open_page: Any) -> None:
    reader = open_page()
    words = {
        "a": ["1 of 2 removed", "1 still there"],
        "sub/b": ["1 new"],
        HOSTILE: ["1 of 1 removed", "1 remnant"],
        "same": ["1 still there"],
        "tiny": ["nothing found"],
    }
    for name, badges in words.items():
        assert reader.card(name).locator(".badge").all_text_contents() == badges


def test_sorting(open_page: Any) -> None:
    reader = open_page()
    shares = {"a": 60**2 + 40**2, HOSTILE: 48**2, "same": 44**2}
    sizes = {"a": 192 * 256, HOSTILE: 128 * 192, "same": 160 * 96}
    worst = sorted(shares, key=lambda name: -shares[name] / sizes[name])
    assert reader.names() == [*worst, "sub/b", "tiny"]
    select = reader.page.locator("select")
    select.select_option("name")
    assert reader.names() == [HOSTILE, "a", "same", "sub/b", "tiny"]
    reader.page.get_by_role("button", name="Reverse").click()
    assert reader.names() == ["tiny", "sub/b", "same", "a", HOSTILE]
    reader.page.get_by_role("button", name="Reverse").click()
    select.select_option("most changed outside (PSNR)")  # those without a value are last
    assert reader.names()[:3] == ["a", HOSTILE, "same"]
    select.select_option("most added")
    assert reader.names()[0] == "sub/b"
    select.select_option("most regions")
    assert reader.names()[0] == "a"
    assert select.locator("option").count() == 8


def test_mask_and_map(open_page: Any) -> None:
    reader = open_page()
    mask, map_ = (reader.page.get_by_role("button", name=n, exact=True) for n in ("Mask", "Map D"))
    reader.card("a").scroll_into_view_if_needed()
    assert reader.drawn("a", ".outline") and not reader.drawn("a", ".map")
    mask.click()
    assert not reader.drawn("a", ".outline")
    assert mask.get_attribute("aria-pressed") == "false"
    reader.page.keyboard.press("m")
    reader.page.keyboard.press("d")
    assert reader.drawn("a", ".outline") and reader.drawn("a", ".map")
    assert map_.get_attribute("aria-pressed") == "true"
    map_.click()
    assert not reader.drawn("a", ".map")


def test_zoom_to_a_region(open_page: Any) -> None:
    reader = open_page()
    card, viewer = reader.card("a"), reader.viewer("a")
    card.scroll_into_view_if_needed()
    button = card.locator(".regions button").first
    # The square of 60 x 60, and what the window of the map adds around it.
    assert re.fullmatch(r"1: [45],\d{3} px 7\d . 7\d removed", button.inner_text())
    fitted = viewer.bounding_box()["width"] / 256
    level = next(n for n in (1, 2, 4, 8) if n > 1.2 * fitted)
    button.click()
    picture = viewer.locator(".picture").first
    box, place = picture.bounding_box(), viewer.bounding_box()
    assert box["width"] == pytest.approx(256 * level, rel=0.01)
    # The region's centre (50, 50) lies in the viewer, as near to its middle as the border allows.
    x, y = box["x"] + 50 * level - place["x"], box["y"] + 50 * level - place["y"]
    assert x == pytest.approx(min(50 * level, place["width"] / 2), abs=3 * level)
    assert y == pytest.approx(min(50 * level, place["height"] / 2), abs=3 * level)
    other = reader.viewer("a", 1).locator(".picture").first.bounding_box()
    assert other["width"] == pytest.approx(box["width"])
    assert viewer.locator(".level").inner_text().startswith(f"{level}:1")
    # Now a drag moves the picture, not the wipe; by the handle still the wipe.
    middle = place["x"] + 0.2 * place["width"], place["y"] + 0.8 * place["height"]
    reader.page.mouse.move(*middle)
    reader.page.mouse.down()
    reader.page.mouse.move(middle[0] - 30, middle[1] - 20, steps=3)
    reader.page.mouse.up()
    moved = picture.bounding_box()
    assert (moved["x"] - box["x"], moved["y"] - box["y"]) == pytest.approx((-30, -20), abs=1)
    assert reader.clip(viewer) == 50
    reader.page.keyboard.press("Escape")
    assert picture.bounding_box()["width"] == pytest.approx(place["width"], abs=1)


def test_a_click_zooms_in_and_out(open_page: Any) -> None:
    reader = open_page(settings=PHONE)
    viewer = reader.viewer("a")
    viewer.scroll_into_view_if_needed()
    widths = []
    for _ in range(3):
        viewer.tap(position={"x": 20, "y": 60})
        widths.append(viewer.locator(".picture").first.bounding_box()["width"])
    assert widths[:2] == pytest.approx([2 * 256, 4 * 256], rel=0.01)
    assert widths[2] == pytest.approx(viewer.bounding_box()["width"], abs=1)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("kind", ["single", "alone"])
def test_nothing_is_wider_than_a_phone(open_page: Any, kind: str, scheme: str) -> None:
    reader = open_page(kind, {**PHONE, "color_scheme": scheme})
    ground = reader.page.evaluate("getComputedStyle(document.body).backgroundColor")
    light = sum(map(int, re.findall(r"\d+", ground)[:3])) > 3 * 128
    assert light == (scheme == "light")
    for tab in reader.page.locator("[role=tab]").all():
        tab.click()
        assert reader.page.evaluate("document.documentElement.scrollWidth") == 390
        wide = reader.page.evaluate(
            """() => [...document.querySelectorAll("main *")].filter((node) => {
                 if (node.closest(".scroll, pre, .chips, .stage, svg, .wipe")) return false;
                 const box = node.getBoundingClientRect();
                 return box.width > 0 && (box.left < -0.5 || box.right > 390.5);
               }).map((node) => node.outerHTML.slice(0, 80))"""
        )
        assert wide == []


def test_tables_curves_and_settings(open_page: Any) -> None:
    reader = open_page()
    reader.page.click("[data-tab=Scores]")
    assert not reader.card("a").is_visible()
    text = reader.page.locator("main").inner_text()
    for words in ("Removal rate (regions)", "0.2500 to 0.7500", "musiq", "Rounds", "precision"):
        assert words in text
    charts = reader.page.locator(".chart")
    assert charts.count() == 2
    lines = charts.nth(1).locator("path.line")
    # Two lines, of which the second has a gap; the first ends before its last, unknown point.
    assert [line.get_attribute("d").count("M") for line in lines.all()] == [1, 2]
    marks = charts.nth(1).locator("circle title").all_text_contents()
    assert marks == ["removal: 0, 0", "removal: 1, 0.5", "addition: 0, 0", "addition: 2, 0.25"]
    reader.page.click("[data-tab=Settings]")
    assert "sr_gan: {weights" in reader.page.locator("pre").last.inner_text()
    reader.page.keyboard.press("j")  # keys of the list are off here
    reader.page.click("[data-tab=Images]")
    assert reader.card("a").is_visible()


def test_without_a_finetuned_network(open_page: Any) -> None:
    reader = open_page("alone")
    assert reader.card("a").locator(".viewer").count() == 1
    assert reader.card("a").locator(".name").all_inner_texts() == ["GAN", "MSE"]
    filters = reader.page.locator("[data-filter]").all_inner_texts()
    assert filters == ["All (5)", "With artifacts (3)", "Without artifacts (2)"]
    assert reader.page.locator("[role=tab]").all_inner_texts() == ["Images", "Settings"]
    assert reader.page.locator("option").count() == 4
