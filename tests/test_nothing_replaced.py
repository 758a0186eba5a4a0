"""What a stage did not write is neither replaced nor removed, and that is said before any work."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from desra.calibrate import calibrate
from desra.detect import detect
from desra.detect.folder import KIND as DETECT
from desra.evaluate import evaluate
from desra.io import lock
from desra.io.images import write_image
from desra.io.ledger import Kind, Ledger
from desra.options.calibrate import CalibrateOptions
from desra.options.detect import DetectOptions
from desra.options.evaluate import EvaluateOptions
from desra.options.loading import parse
from desra.options.report import ReportOptions
from desra.options.run import RunOptions
from desra.options.upscale import UpscaleOptions
from desra.report import report
from desra.run import run
from desra.upscale import upscale
from desra.upscale.folder import KIND as UPSCALE
from desra.utils.errors import InputError
from helpers.small import photograph, run_settings, save_png


def files_in(folder: Path) -> dict[str, bytes]:
    """Return all files that anyone sees."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("[!.]*")
        if path.is_file()
    }


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project: two folders of finished SR with natural names, 16 bits deep, and LR images."""
    monkeypatch.chdir(tmp_path)
    for i, name in enumerate("ab"):
        gan = photograph(i, 40, 48).astype(np.uint16) * 257
        write_image(tmp_path / f"p/sr_gan/{name}.png", gan)
        write_image(tmp_path / f"p/sr_mse/{name}.png", gan // 2)
        save_png(tmp_path / f"p/mask/{name}.png", 255 * (photograph(i, 40, 48) > 128).astype("u1"))
        save_png(tmp_path / f"lq/{name}.png", photograph(i, 20, 24))
    return tmp_path


def found(output: str = "out", **changes: Any) -> Any:
    content = {"input": {"sr_gan": "p/sr_gan", "sr_mse": "p/sr_mse"}, "output": output}
    return detect(parse(DetectOptions, {**content, "scale": 2, "device": "cpu"} | changes, "test"))


def refused(place: Path, words: str, stage: Callable[[], object]) -> None:
    before = files_in(place)
    with pytest.raises(InputError, match=words):
        stage()
    assert files_in(place) == before


def test_inputs_where_detect_writes(place: Path):
    words = r"output: input\.sr_gan \(p/sr_gan\) lies in .*p/sr_gan, which this stage writes"
    refused(place, words, lambda: found("p"))
    lq = {"lq": "p/sr_gan"}
    refused(place, r"input\.lq \(p/sr_gan\) lies in", lambda: found("p", input=lq))
    lq = {"lq": "p/mask/a.png"}
    refused(place, r"input\.lq \(p/mask/a.png\) lies in", lambda: found("p", input=lq))


def test_masks_of_a_human_are_not_replaced(place: Path):
    (place / "q").mkdir()
    (place / "p/mask").rename(place / "q/mask")
    cropped = {"output": "q", "protocol": "released"}
    refused(place, r"masks \(q/mask\) lies in", lambda: found(masks="q/mask", **cropped))
    refused(place, r"did not write.*q/mask/a\.png", lambda: found(**cropped))


@pytest.mark.parametrize("name", ["options.yml", "manifest.jsonl", "map/a.png"])
def test_files_of_others_in_the_folder_of_detect(place: Path, name: str):
    (place / "out" / name).parent.mkdir(parents=True)
    (place / "out" / name).write_text("")
    refused(place, rf"output: .* did not write.*{name}; move them away", found)


def test_detect_goes_on_in_its_own_folder_only_where_nothing_was_changed(place: Path):
    found()
    first = files_in(place / "out")
    found(mask={"threshold": 0.9, "min_area": 1})
    found()
    assert {k: v for k, v in files_in(place / "out").items() if k.endswith(".png")} == {
        k: v for k, v in first.items() if k.endswith(".png")
    }
    save_png(place / "out/mask/a.png", np.zeros((40, 48, 3), np.uint8))  # corrected by hand
    found()
    words = r"changed since: .*out/mask/a\.png; move"
    refused(place, words, lambda: found(mask={"threshold": 0.9, "min_area": 1}))


def test_a_result_that_was_damaged_is_told(place: Path, caplog: pytest.LogCaptureFixture):
    found()
    found(verify=True)
    assert "changed since" not in caplog.text
    mask = place / "out/mask/a.png"
    stat, content = mask.stat(), bytearray(mask.read_bytes())
    content[len(content) // 2] ^= 1
    mask.write_bytes(content)  # of the same size
    found()
    assert "changed since detect wrote them" in caplog.text and "mask/a.png" in caplog.text
    assert mask.read_bytes() == content
    caplog.clear()
    os.utime(mask, ns=(stat.st_atime_ns, stat.st_mtime_ns))  # as a failing disk does it
    found()
    assert "changed since" not in caplog.text
    found(verify=True)
    assert "changed since detect wrote them" in caplog.text
    caplog.clear()
    other = place / "out/map/b.png"
    os.utime(other, ns=(0, 0))  # copied, and whole
    mask.unlink()
    found()
    assert "changed since" not in caplog.text and mask.is_file()


def test_upscale_over_an_album(place: Path):
    save_png(place / "album/a.png", photograph(7, 30, 30))

    def upscaled() -> None:
        content = {"input": "lq", "output": "album", "device": "cpu"}
        upscale(parse(UpscaleOptions, content, "test"))

    refused(place, r"output: .* did not write.*album/a\.png; move them away", upscaled)
    (place / "album/a.png").unlink()
    upscaled()
    upscaled()  # over its own
    save_png(place / "album/b.png", photograph(7, 30, 30))
    refused(place, r"changed since: album/b\.png", upscaled)


@pytest.mark.parametrize("sheet", ["photos/sheet.png", "out/sheet.png", "p/sr_gan/a.png"])
def test_the_sheet_over_a_picture(place: Path, sheet: str):
    found("before")

    def evaluated() -> None:
        content = {"before": "before", "after": "before", "output": "out", "sheet": sheet}
        evaluate(parse(EvaluateOptions, content, "test"))

    if not (place / sheet).exists():
        save_png(place / sheet, photograph(3, 8, 8))
    refused(place, rf"did not write.*{sheet}", evaluated)
    (place / sheet).unlink()
    evaluated()
    evaluated()


def test_a_page_of_somebody_else(place: Path):
    found()
    (place / "www").mkdir()
    (place / "www/index.html").write_text("<h1>mine</h1>")

    def page() -> None:
        report(parse(ReportOptions, {"before": "out", "output": "www"}, "test"))

    refused(place, r"did not write.*www/index\.html", page)
    (place / "www/index.html").unlink()
    page()
    (place / "www/.0123456789abcdef.tmp").write_text("of a killed process")
    page()
    assert not list((place / "www").glob(".*.tmp"))


def test_tables_of_somebody_else(place: Path):
    (place / "out").mkdir()
    (place / "out/intervals.yml").write_text("intervals: 20\nclasses: {}\n")
    content = {"input": {"sr_gan": "p/sr_gan", "sr_mse": "p/sr_mse"}, "output": "out"}

    def calibrated() -> None:
        calibrate(parse(CalibrateOptions, content, "test"))

    refused(place, r"did not write.*intervals\.yml", calibrated)
    (place / "out/intervals.yml").unlink()
    calibrated()
    calibrated()


def test_an_empty_output(place: Path):
    refused(place, "output: is empty", lambda: found(""))
    settings = {"input": "lq", "output": ""}
    refused(place, "output: is empty", lambda: upscale(parse(UpscaleOptions, settings, "test")))
    settings = run_settings(place / "lq", Path()) | {"output": ""}
    refused(place, "output: is empty", lambda: run(parse(RunOptions, settings, "test")))


def test_a_link_in_place_of_a_result(place: Path):
    (place / "out/mask").mkdir(parents=True)
    (place / "out/mask/a.png").symlink_to(place / "p/mask/a.png")
    refused(place, r"did not write.*mask/a\.png", found)


@pytest.mark.parametrize("kind", [DETECT, UPSCALE], ids=lambda kind: kind.name)
def test_two_at_once_in_one_folder(place: Path, kind: Kind, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(lock, "LOCK_SECONDS", 0.05)
    settings = {"input": "lq", "output": "out", "device": "cpu"}
    work = {
        "detect": found,
        "upscale": lambda: upscale(parse(UpscaleOptions, settings, "test")),
    }[kind.name]
    with lock.held_folder("out", kind, "output", part=kind.name):
        refused(place, "output: another process is at work in out", work)
    with lock.held_folder("out", kind, "output", part="another"):
        assert len(work()) == 2


def test_a_ledger_that_is_none(place: Path):
    found()
    ledger = next((place / "out").glob(".desra_*"))
    text = ledger.read_bytes()
    ledger.write_bytes(text + b'{"file": "sr_gan/a.png", "si')  # of a killed process
    found(mask={"threshold": 0.9, "min_area": 1})
    ledger.write_bytes(b'{"kind": "detect", "version": 99}\n')
    refused(place, "is no list of what desra.detect wrote that this version knows", found)


def test_a_file_is_entered_before_it_takes_its_place(place: Path, monkeypatch: pytest.MonkeyPatch):
    """So that one which a killed process left is known."""
    ledger = Ledger("out", DETECT)
    with ledger:
        monkeypatch.setattr("os.replace", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            write_image("out/mask/a.png", photograph(1, 8, 8))
        monkeypatch.undo()
    write_image(place / "same.png", photograph(1, 8, 8))
    (place / "out/mask").mkdir(exist_ok=True)
    (place / "same.png").rename(place / "out/mask/a.png")
    assert Ledger(place / "out", DETECT).owns(place / "out/mask/a.png")
