"""The app in a real Chromium: upload, move a slider, download; nothing is asked of anybody else."""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from desra.app.inspection import Inspector
from desra.app.stage import build, launch
from desra.artifacts import delete_artifacts
from desra.data.embedded import make
from desra.finder import ArtifactFinder
from desra.io.images import read_mask, read_rgb8, write_image
from desra.networks.pair import SRPair
from desra.options.app import AppOptions
from desra.options.detect import DetectOptions
from desra.options.loading import parse, read_yaml
from desra.options.sections import DetectorOptions
from helpers.chromium import DESKTOP, PHONE, Visit, needs_chromium, started

pytest.importorskip("gradio", reason="gradio is not installed (pip install 'desra[app]')")
pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pytestmark = [needs_chromium, pytest.mark.slow]

PICTURES = ("coffee_1", "astronaut_3")
UPLOADED = "astronaut_1"
MAX_PIXELS = 5000


class Counted:
    """A pair of networks that says how often it ran."""

    def __init__(self, pair: SRPair) -> None:
        self._pair, self.scale, self.runs = pair, pair.scale, 0

    def __call__(self, *given: Any) -> Any:
        self.runs += 1
        return self._pair(*given)


class Server:
    """The app, running, with its networks counted and the addresses that Python connected to."""

    def __init__(self, folder: Path) -> None:
        paper = DetectorOptions(type="relative_local_variance")  # finds something in each
        self.opt = AppOptions(device="cpu", precision="fp32", max_pixels=MAX_PIXELS, detector=paper)
        inspector = Inspector(self.opt)
        self.networks = Counted(inspector.finder.pair)
        inspector.finder.pair = self.networks  # type: ignore[assignment]
        self.images = {stem: lq for stem, (lq, _) in make("heldout").items()}
        paths = [folder / f"{stem}.png" for stem in PICTURES]
        for path in paths:
            write_image(path, self.images[path.stem])
        self.page = build(inspector, paths)
        self.address = launch(self.page, self.opt, wait=False)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    addresses: list[Any] = []
    with pytest.MonkeyPatch.context() as patch:
        connect = socket.socket.connect

        def noted(self: socket.socket, address: Any) -> None:
            addresses.append(address)
            connect(self, address)

        patch.setattr(socket.socket, "connect", noted)
        server = Server(tmp_path_factory.mktemp("pictures"))
        yield server
        server.page.close()
    assert addresses  # Gradio asks itself whether it is up: so the patch sees what it does
    hosts = {address[0] for address in addresses if isinstance(address, tuple)}
    assert hosts <= {"127.0.0.1", "localhost", "::1"}


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with started() as chromium:
        yield chromium


class Reader(Visit):
    """The app."""

    def wait(self, kind: str, passes: Callable[[str], bool]) -> str:
        """The text of a field, once it passes."""
        return until(self.page.locator(f"#{kind} :is(input, textarea)").input_value, passes)

    def source(self, kind: str) -> str:
        """The address of a picture, once there is one."""
        return self.page.locator(f"#{kind} img").get_attribute("src") or ""

    def picture(self, kind: str, folder: Path) -> Path:
        """What a picture shows, as a file."""
        path = folder / f"{kind}.png"
        path.write_bytes(self.page.request.get(self.source(kind)).body())
        return path

    def upload(self, path: Path) -> None:
        self.page.locator("input[type=file]").set_input_files(str(path))

    def download(self, kind: str, folder: Path) -> Path:
        with self.page.expect_download() as waiting:
            self.page.click(f"#save_{kind}")
        path = folder / waiting.value.suggested_filename
        waiting.value.save_as(path)
        return path


def until(get: Callable[[], Any], passes: Callable[[Any], bool], seconds: float = 60) -> Any:
    end = time.monotonic() + seconds
    while not passes(value := get()):
        assert time.monotonic() < end, f"still {value!r}"
        time.sleep(0.05)
    return value


@pytest.fixture
def open_page(browser: Any, server: Server) -> Iterator[Callable[..., Reader]]:
    """Opens the app, and waits for the first picture."""
    readers: list[Reader] = []

    def opened(settings: dict[str, Any] = DESKTOP) -> Reader:
        reader = Reader(browser, server.address, settings)
        readers.append(reader)
        reader.wait("about", lambda text: text.startswith(PICTURES[0]))
        reader.wait("found", lambda text: "regions" in text)
        return reader

    yield opened
    for reader in readers:
        # Of Gradio itself, at uploads.
        reader.complaints = [c for c in reader.complaints if c != "Method not implemented."]
        reader.close(server.address, "data:", "blob:")


def test_upload_move_the_threshold_download(open_page: Any, server: Server, tmp_path: Path) -> None:
    reader = open_page()
    write_image(tmp_path / "mine é.png", server.images[UPLOADED])
    reader.upload(tmp_path / "mine é.png")
    reader.wait("about", lambda text: text.startswith("mine é.png: x4 is 256 x 256 pixels"))
    found = reader.wait("found", lambda text: "regions" in text)
    until(lambda: reader.source("mask"), bool)
    runs, old = server.networks.runs, reader.source("mask")
    before = read_mask(reader.picture("mask", tmp_path))

    slider = reader.page.locator("#threshold input[type=range]")
    first = float(slider.input_value())
    assert first == server.opt.mask.threshold
    slider.focus()
    for _ in range(10):
        slider.press("ArrowRight")
    now = float(slider.input_value())
    assert now > first
    reader.wait("found", lambda text: text.split("(")[0] != found.split("(")[0])
    until(lambda: reader.source("mask"), lambda source: source not in ("", old))
    settings = reader.page.locator("#settings")
    reader.page.get_by_text("The same settings for desra.detect").click()
    until(settings.inner_text, lambda text: f"threshold: {now:g}" in text)

    mask = read_mask(until_steady(reader, "mask", tmp_path))
    assert mask.sum() > before.sum() > 0
    assert server.networks.runs == runs  # the networks did not run again

    # The same by desra's own functions, from the settings that the page shows.
    text = settings.locator(".cm-content").inner_text()
    (tmp_path / "settings.yml").write_text(text, encoding="utf-8")
    given = {"input": {"lq": "-"}, "output": "-", **read_yaml(tmp_path / "settings.yml")}
    opt = parse(DetectOptions, given, "the page")
    lq = server.images[UPLOADED]
    sr = SRPair.embedded(device="cpu", precision="fp32")(lq)
    expected = ArtifactFinder.from_options(opt, given={"mse", "lq"}).look(sr).mask
    assert opt.mask.threshold == now and opt.deletion is not None
    assert (mask == expected).all()
    downloaded = reader.download("mask", tmp_path)
    assert re.fullmatch(r"mine.*_mask\.png", downloaded.name)
    assert (read_mask(downloaded) == expected).all()
    blended = read_rgb8(reader.download("blended", tmp_path))
    wanted = delete_artifacts(sr.mse, sr.gan, expected, opt.deletion)
    assert (blended == wanted).all() and (blended != sr.gan).any()
    assert server.networks.runs == runs


def until_steady(reader: Reader, kind: str, folder: Path) -> Path:
    """The picture, once no newer one has come for a second."""
    last, since = reader.source(kind), time.monotonic()
    while time.monotonic() - since < 1:
        time.sleep(0.1)
        if reader.source(kind) != last:
            last, since = reader.source(kind), time.monotonic()
    return reader.picture(kind, folder)


def test_what_is_no_image_or_too_large_is_said_in_a_sentence(
    open_page: Any, server: Server, tmp_path: Path
) -> None:
    reader = open_page()
    runs = server.networks.runs
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"no more of it")
    reader.upload(tmp_path / "broken.png")
    said = reader.wait("about", lambda text: text.startswith("broken.png"))
    assert "damaged" in said
    until(reader.page.locator("#mask img").count, lambda count: count == 0)
    reader.page.click("#save_mask")  # nothing to save: nothing happens
    side = int(MAX_PIXELS**0.5) + 1
    write_image(tmp_path / "large.png", np.zeros((side, side, 3), np.uint8))
    reader.upload(tmp_path / "large.png")
    said = reader.wait("about", lambda text: text.startswith("large.png"))
    assert f"{side} x {side} pixels, more than the {MAX_PIXELS}" in said
    assert server.networks.runs == runs
    assert "Traceback" not in reader.page.locator("body").inner_text()
    # The next image works.
    reader.page.locator("#pictures button.thumbnail-item").nth(1).click()
    reader.wait("about", lambda text: text.startswith(PICTURES[1]))
    until(lambda: reader.page.locator("#mask img").count(), lambda count: count == 1)
    assert server.networks.runs == runs + 1


def test_on_a_phone_nothing_is_wider_than_it(open_page: Any) -> None:
    reader = open_page(PHONE)
    for kind in ("lq", "gan", "mse", "map", "mask", "overlay", "blended"):
        image = reader.page.locator(f"#{kind} img")
        image.scroll_into_view_if_needed()
        image.evaluate("image => image.decode()")
        box = image.bounding_box()
        assert box["x"] >= 0 and box["x"] + box["width"] <= 390 and box["height"] > 30
    assert reader.page.evaluate("document.documentElement.scrollWidth") == 390


def test_two_readers_do_not_disturb_each_other(open_page: Any, server: Server) -> None:
    first, second = open_page(), open_page()
    second.page.locator("#pictures button.thumbnail-item").nth(1).click()
    second.wait("about", lambda text: text.startswith(PICTURES[1]))
    until(lambda: second.source("mask"), bool)
    old = first.source("overlay")
    first.page.locator("#area input[type=range]").fill("20000")
    until(lambda: first.source("overlay"), lambda source: source != old)
    assert PICTURES[0] in first.source("overlay") and PICTURES[1] in second.source("overlay")
