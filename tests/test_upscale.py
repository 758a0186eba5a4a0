"""Plain upscaling: sizes, kinds of files, what is refused, and the command line."""

from __future__ import annotations

import logging
from itertools import product
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from desra import detect, upscale
from desra.io.images import read_image, resize, write_image
from desra.io.listing import list_images
from desra.networks.sr_network import SRNetwork
from desra.networks.tiling import Tiles, spans
from desra.options.detect import DetectOptions
from desra.options.loading import parse
from desra.options.upscale import UpscaleOptions
from desra.utils.errors import InputError
from helpers.small import photograph, save_compact, save_png

CPU = {"device": "cpu", "precision": "fp32"}


@pytest.fixture
def weights(tmp_path: Path) -> str:
    return str(save_compact(tmp_path / "x2.pth", 2, seed=1))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three images, one in a sub-folder, one with a dot in its name."""
    for i, stem in enumerate(("a", "sub/b", "v1.2")):
        save_png(tmp_path / "in" / f"{stem}.png", photograph(i, 22 + i, 30))
    return tmp_path / "in"


def options(root: Path, weights: str, **changed: Any) -> UpscaleOptions:
    settings = {
        "input": str(root / "in"),
        "output": str(root / "out"),
        "sr_gan": {"weights": weights},
        **CPU,
    }
    return parse(UpscaleOptions, {**settings, **changed}, "test")


def names(folder: Path) -> list[str]:
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("[!.]*") if p.is_file())


def stored(path: Path) -> np.ndarray:
    """As OpenCV reads it, in RGB(A)."""
    pixels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    assert pixels is not None
    return pixels[..., [2, 1, 0, 3][: pixels.shape[2]]]


def test_a_folder_and_its_sub_folders(folder: Path, weights: str, tmp_path: Path):
    written = upscale.upscale(options(tmp_path, weights, suffix="_x2"))
    assert names(tmp_path / "out") == ["a_x2.png", "sub/b_x2.png", "v1.2_x2.png"]
    assert [p.relative_to(tmp_path / "out").as_posix() for p in written] == names(tmp_path / "out")
    model = SRNetwork.from_checkpoint(weights, **CPU)
    for stem in ("a", "sub/b", "v1.2"):
        expected = model(read_image(folder / f"{stem}.png").rgb)
        np.testing.assert_array_equal(stored(tmp_path / f"out/{stem}_x2.png"), expected)


def test_earlier_results_are_replaced(folder: Path, weights: str, tmp_path: Path):
    upscale.upscale(options(tmp_path, weights))
    before = stored(tmp_path / "out/a.png")
    save_png(folder / "a.png", photograph(7, 22, 30))
    upscale.upscale(options(tmp_path, weights))
    assert (stored(tmp_path / "out/a.png") != before).any()
    assert names(tmp_path / "out") == ["a.png", "sub/b.png", "v1.2.png"]


def test_the_settings_of_tiles_reach_the_network(folder: Path, weights: str, tmp_path, monkeypatch):
    seen: list[tuple[int, ...]] = []
    forward = SRNetwork._forward

    def spy(self, lq, dtype):
        seen.append(tuple(lq.shape[-2:]))
        return forward(self, lq, dtype)

    monkeypatch.setattr(SRNetwork, "_forward", spy)
    upscale.upscale(options(tmp_path, weights, tile={"size": 16, "overlap": 4}))
    sizes = [read_image(file.path).rgb.shape for file in list_images(folder)]

    def sides(length: int) -> list[int]:
        return [stop - start for start, stop in spans(length, Tiles(16, 4))]

    expected = [pair for size in sizes for pair in product(sides(size[0]), sides(size[1]))]
    assert seen == expected and max(max(pair) for pair in expected) <= 16


def lanczos(before: int, after: int) -> np.ndarray:
    """(after, before): the weights of Lanczos with three lobes, widened when it shrinks."""
    step = before / after
    centre = (np.arange(after)[:, None] + 0.5) * step
    x = (np.arange(before)[None] + 0.5 - centre) / max(step, 1)
    weight = np.where(np.abs(x) < 3, np.sinc(x) * np.sinc(x / 3), 0)
    return weight / weight.sum(axis=1, keepdims=True)


@pytest.mark.parametrize(("outscale", "size"), [(1, (22, 30)), (0.5, (11, 15)), (3.1, (68, 93))])
def test_outscale_resizes_what_the_network_made(
    folder: Path, weights: str, tmp_path: Path, outscale: float, size: tuple[int, int]
):
    upscale.upscale(options(tmp_path, weights, outscale=outscale))
    result = stored(tmp_path / "out/a.png")
    model = SRNetwork.from_checkpoint(weights, **CPU)
    sr = model(read_image(folder / "a.png").rgb, bits=16) / 257
    rows, columns = (lanczos(a, b) for a, b in zip(sr.shape, size, strict=False))
    oracle = np.einsum("yh,hwc,xw->yxc", rows, sr, columns).clip(0, 255)
    assert result.shape == (*size, 3) and result.dtype == np.uint8
    assert np.abs(result - oracle).max() <= 0.5 + 1e-3  # rounded once, to nearest
    assert np.ptp(result) > 50  # not all alike


def test_the_networks_own_factor_is_not_resized(folder: Path, weights: str, tmp_path: Path):
    upscale.upscale(options(tmp_path, weights))
    plain = stored(tmp_path / "out/a.png")
    upscale.upscale(options(tmp_path, weights, outscale=2, output=str(tmp_path / "again")))
    np.testing.assert_array_equal(stored(tmp_path / "again/a.png"), plain)


def test_an_outscale_of_next_to_nothing_leaves_a_pixel(folder: Path, weights: str, tmp_path: Path):
    upscale.upscale(options(tmp_path, weights, outscale=0.001))
    assert stored(tmp_path / "out/a.png").shape == (1, 1, 3)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_resize_keeps_means_and_adds_no_pattern(dtype: type):
    """Fine stripes become gray when shrunk; every n-th pixel of them would not."""
    top = np.iinfo(dtype).max
    stripes = np.zeros((40, 40, 3), dtype)
    stripes[:, ::2] = top
    small = resize(stripes, (10, 10))
    assert small.dtype == dtype
    assert np.abs(small[:, 2:-2].astype(float) / top - 0.5).max() < 0.02
    ramp = np.linspace(0, top, 40).round().astype(dtype)[None].repeat(9, 0)
    large = resize(ramp, (9, 80))
    assert large.shape == (9, 80) and (np.diff(large[0].astype(int))[4:-4] > 0).all()
    assert resize(ramp, (9, 40), deep=True).max() == 65535


@pytest.mark.parametrize("outscale", [None, 1.5])
def test_alpha_is_carried(weights: str, tmp_path: Path, outscale: float | None):
    alpha = np.zeros((20, 30), np.uint8)
    alpha[:, 15:] = 255
    rgb = photograph(0, 20, 30)
    write_image(tmp_path / "in/p.png", rgb, alpha)
    write_image(tmp_path / "in/plain.png", rgb)
    upscale.upscale(options(tmp_path, weights, outscale=outscale))
    result, plain = stored(tmp_path / "out/p.png"), stored(tmp_path / "out/plain.png")
    assert plain.shape[2] == 3
    np.testing.assert_array_equal(result[..., :3], plain)
    height, width = result.shape[:2]
    assert (height, width) == ((40, 60) if outscale is None else (30, 45))
    assert not result[:, : width // 2 - 5, 3].any()
    assert (result[:, width // 2 + 5 :, 3] == 255).all()


@pytest.mark.parametrize("format", ["png", "tif"])
@pytest.mark.parametrize("outscale", [None, 1.5])
def test_16_bits_on_request(weights: str, tmp_path: Path, format: str, outscale: float | None):
    deep = photograph(0, 20, 30).astype(np.uint16) * 257
    write_image(tmp_path / "in/deep.png", deep, np.full((20, 30), 65535, np.uint16))
    save_png(tmp_path / "in/plain.png", photograph(0, 20, 30))
    upscale.upscale(options(tmp_path, weights, outscale=outscale))
    assert stored(tmp_path / "out/deep.png").dtype == np.uint8
    upscale.upscale(options(tmp_path, weights, bits=16, format=format, outscale=outscale))
    result, plain = (stored(tmp_path / f"out/{n}.{format}") for n in ("deep", "plain"))
    assert result.dtype == np.uint16 and result.shape[2] == 4 and (result[..., 3] == 65535).all()
    assert plain.dtype == np.uint8
    assert len(np.unique(result[..., :3] % 257)) > 100  # not 8 bits made wide
    np.testing.assert_allclose(result[..., :3] / 257, plain, atol=0.51)


def test_formats(folder: Path, weights: str, tmp_path: Path):
    for format in ("jpg", "webp"):
        upscale.upscale(options(tmp_path, weights, input=str(folder / "a.png"), format=format))
        with Image.open(tmp_path / f"out/a.{format}") as image:
            assert image.format == {"jpg": "JPEG", "webp": "WEBP"}[format]
        with pytest.raises(InputError, match=f"bits: 16 needs format png or tif, not {format}"):
            options(tmp_path, weights, bits=16, format=format)


@pytest.mark.parametrize("suffix", ["a/b", "..\\x"])
def test_a_suffix_is_no_path(tmp_path: Path, suffix: str):
    with pytest.raises(InputError, match="suffix: "):
        options(tmp_path, "embedded:gan", suffix=suffix)


@pytest.mark.parametrize("output", ["in", "in/results"])
def test_results_do_not_lie_among_the_inputs(
    folder: Path, weights: str, tmp_path: Path, output: str
):
    before = names(folder)
    opt = options(tmp_path, weights, output=str(tmp_path / output), suffix="_x2")
    with pytest.raises(InputError, match=r"output: .* lies in input \("):
        upscale.upscale(opt)
    assert names(folder) == before


def test_an_input_is_not_replaced_but_may_have_a_neighbour(
    folder: Path, weights: str, tmp_path: Path
):
    one = {"input": str(folder / "a.png"), "output": str(folder)}
    before = (folder / "a.png").read_bytes()
    with pytest.raises(InputError, match="output: .* holds the input, which the result would"):
        upscale.upscale(options(tmp_path, weights, **one))
    upscale.upscale(options(tmp_path, weights, **one, suffix="_x2"))
    assert (folder / "a.png").read_bytes() == before and (folder / "a_x2.png").is_file()


# ------------------------------------------------------------------------------ damaged images


@pytest.fixture
def damaged(folder: Path) -> Path:
    """One file is no image, of one the pixels are cut off."""
    (folder / "a.png").write_bytes(b"nothing")
    whole = (folder / "sub/b.png").read_bytes()
    (folder / "sub/b.png").write_bytes(whole[: len(whole) // 2])
    return folder


def test_a_damaged_header_stops_before_any_work(damaged: Path, weights: str, tmp_path: Path):
    with pytest.raises(InputError, match=r"(?s)on_error: skip .*a\.png is not an image"):
        upscale.upscale(options(tmp_path, weights))
    assert not (tmp_path / "out").exists()


def test_damaged_pixels_stop_the_work(damaged: Path, weights: str, tmp_path: Path):
    (damaged / "a.png").unlink()
    with pytest.raises(InputError, match=r"b\.png is damaged or truncated"):
        upscale.upscale(options(tmp_path, weights))
    assert names(tmp_path / "out") == []


def test_damaged_images_are_passed_over_on_request(damaged, weights: str, tmp_path: Path, caplog):
    written = upscale.upscale(options(tmp_path, weights, on_error="skip"))
    assert written == [tmp_path / "out/v1.2.png"] and names(tmp_path / "out") == ["v1.2.png"]
    last = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING][-1]
    assert last.startswith("skipped 2 images:") and "a.png" in last and "b.png" in last


def test_nothing_but_damaged_images_is_an_error(damaged: Path, weights: str, tmp_path: Path):
    (damaged / "v1.2.png").unlink()
    with pytest.raises(InputError, match=r"(?s)no image could be used.*a\.png.*b\.png"):
        upscale.upscale(options(tmp_path, weights, on_error="skip"))


def test_transparency_that_the_format_cannot_hold(weights: str, tmp_path: Path):
    write_image(tmp_path / "in/p.png", photograph(0, 9, 9), np.zeros((9, 9), np.uint8))
    with pytest.raises(InputError, match=r"p\.jpg cannot hold transparency"):
        upscale.upscale(options(tmp_path, weights, format="jpg"))
    assert names(tmp_path / "out") == []


# ------------------------------------------------------------------------------------ deletion

FOUND = {"mask": {"min_area": 50, "threshold": 0.95}, "window": {"size": 9}}


@pytest.fixture
def partner(tmp_path: Path) -> str:
    return str(save_compact(tmp_path / "partner.pth", 2, seed=2))


def detected(root: Path, weights: str, partner: str, **changed: Any) -> list[detect.manifest.Row]:
    """What detect makes of the same images, in root/detected."""
    settings = {
        "input": {"lq": str(root / "in")},
        "output": str(root / "detected"),
        "scale": 2,
        "sr_gan": {"weights": weights},
        "sr_mse": {"weights": partner},
        **CPU,
        **FOUND,
        "deletion": {},
    }
    return detect.detect(parse(DetectOptions, {**settings, **changed}, "test"))


@pytest.mark.parametrize("deletion", [{}, {"strength": 0.5, "feather": 2}])
@pytest.mark.parametrize("detector", ["relative_local_variance", "bicubic_reference"])
def test_a_partner_deletes_what_detect_deletes(
    folder: Path, weights: str, partner: str, tmp_path: Path, deletion: Any, detector: str, caplog
):
    write_image(folder / "alpha.png", photograph(9, 30, 22), photograph(8, 30, 22)[..., 0])
    same = {"deletion": deletion, "detector": {"type": detector}}
    rows = detected(tmp_path, weights, partner, **same)
    caplog.clear()
    caplog.set_level(logging.INFO, "desra")
    upscale.upscale(options(tmp_path, weights, sr_mse={"weights": partner}, **FOUND, **same))
    assert sum(row.mask_pixels > 0 for row in rows) >= 2
    for row in rows:
        made = stored(tmp_path / f"out/{row.stem}.png")
        np.testing.assert_array_equal(made, stored(tmp_path / f"detected/deleted/{row.stem}.png"))
        plain = stored(tmp_path / f"detected/sr_gan/{row.stem}.png")
        assert (made != plain).any() == (row.mask_pixels > 0)
    steps = [row.seam for row in rows if row.seam is not None]
    said = f"deleted in {len(steps)} of 4 images; "
    assert any(r.getMessage().startswith(said) for r in caplog.records)
    assert names(tmp_path / "out") == ["a.png", "alpha.png", "sub/b.png", "v1.2.png"]


def test_deletion_in_tiles_and_16_bits(weights: str, partner: str, tmp_path: Path):
    deep = photograph(0, 40, 50).astype(np.uint16) * 257 + np.uint16(60)
    write_image(tmp_path / "in/deep.png", deep)
    tiles = {"tile": {"size": 24, "overlap": 8}}
    (row,) = detected(tmp_path, weights, partner, sr_bits=16, **tiles)
    found = {"sr_mse": {"weights": partner}, **FOUND, **tiles}
    upscale.upscale(options(tmp_path, weights, bits=16, **found))
    made = stored(tmp_path / "out/deep.png")
    assert made.dtype == np.uint16 and row.mask_pixels > 0
    np.testing.assert_array_equal(made, stored(tmp_path / "detected/deleted/deep.png"))


def test_deletion_comes_before_outscale(folder: Path, weights: str, partner: str, tmp_path: Path):
    (row, *_) = detected(tmp_path, weights, partner)
    opt = options(tmp_path, weights, sr_mse={"weights": partner}, outscale=1.5, **FOUND)
    upscale.upscale(opt)
    made = stored(tmp_path / f"out/{row.stem}.png")
    full = stored(tmp_path / f"detected/deleted/{row.stem}.png")
    # From 8 bits here and from 16 there, so a level may differ.
    expected = resize(full, made.shape[:2]).astype(int)
    assert made.shape == (33, 45, 3) and np.abs(made - expected).max() <= 1
    upscale.upscale(options(tmp_path, weights, outscale=1.5, output=str(tmp_path / "plain")))
    assert np.abs(stored(tmp_path / f"plain/{row.stem}.png") - expected).max() > 1


def test_a_partner_may_be_switched_off(folder: Path, weights: str, partner: str, tmp_path: Path):
    upscale.upscale(options(tmp_path, weights))
    opt = options(tmp_path, weights, sr_mse={"weights": partner}, deletion=None, **FOUND)
    upscale.upscale(opt.model_copy(update={"output": str(tmp_path / "off")}))
    for name in names(tmp_path / "out"):
        assert (tmp_path / "off" / name).read_bytes() == (tmp_path / "out" / name).read_bytes()


def test_deletion_needs_a_partner_of_the_same_scale(folder: Path, weights: str, tmp_path: Path):
    with pytest.raises(InputError, match=r"deletion needs sr_mse, .*--partner WEIGHTS"):
        options(tmp_path, weights, deletion={"strength": 0.5})
    x4 = str(save_compact(tmp_path / "x4.pth", 4, seed=2))
    with pytest.raises(InputError, match="GAN-SR network is x2 and its partner sr_mse x4"):
        upscale.upscale(options(tmp_path, weights, sr_mse={"weights": x4}))
    missing = str(tmp_path / "none.pth")
    with pytest.raises(InputError, match="none.pth"):
        upscale.upscale(options(tmp_path, weights, sr_mse={"weights": missing}))
    with pytest.raises(InputError, match="'ldl' needs the true HR image"):
        opt = {"sr_mse": {"weights": weights}, "detector": {"type": "ldl"}}
        upscale.upscale(options(tmp_path, weights, **opt))
    with pytest.raises(InputError, match="deletion.strength: Input should be less than or"):
        options(tmp_path, weights, sr_mse={"weights": x4}, deletion={"strength": 2})
    assert not (tmp_path / "out").exists()


def test_the_flag_deletes(folder: Path, weights: str, partner: str, tmp_path: Path):
    rows = detected(tmp_path, weights, partner)
    argv = [
        "-i",
        str(folder),
        "-o",
        str(tmp_path / "out"),
        "--model",
        weights,
        "--partner",
        partner,
        "--force_yml",
        "mask:min_area=50",
        "mask:threshold=0.95",
        "window:size=9",
        "device=cpu",
        "precision=fp32",
    ]
    assert upscale.main(argv) == 0
    for row in rows:
        made = stored(tmp_path / f"out/{row.stem}.png")
        np.testing.assert_array_equal(made, stored(tmp_path / f"detected/deleted/{row.stem}.png"))


def test_what_check_prints_can_be_given_back(weights: str, partner: str, tmp_path: Path, capsys):
    argv = ["-i", "in", "-o", "out", "--model", weights, "--check"]
    for more in ([], ["--partner", partner]):
        assert upscale.main([*argv, *more]) == 0
        printed = capsys.readouterr().out
        (tmp_path / "again.yml").write_text(printed)
        assert upscale.main(["-opt", str(tmp_path / "again.yml"), "--check"]) == 0
        assert capsys.readouterr().out == printed
    assert "deletion:\n  strength: 1.0\n  feather: 8.0\n" in printed


# ---------------------------------------------------------------------------- the command line


def test_flags_alone(folder: Path, weights: str, tmp_path: Path):
    flags = ["-i", str(folder), "-o", str(tmp_path / "out"), "--model", weights]
    assert upscale.main([*flags, "--outscale", "1.5", "--format", "tif", "--suffix", "=x: y"]) == 0
    assert names(tmp_path / "out") == ["a=x: y.tif", "sub/b=x: y.tif", "v1.2=x: y.tif"]
    assert stored(tmp_path / "out/a=x: y.tif").shape == (33, 45, 3)


def test_flags_over_the_file_and_force_yml_over_flags(
    folder: Path, weights: str, tmp_path: Path, capsys
):
    file = tmp_path / "u.yml"
    file.write_text("input: nowhere\noutput: there\nsr_gan: {weights: none.pth}\nsuffix: _a\n")
    argv = ["-opt", str(file), "-i", str(folder), "--outscale", "3", "--check"]
    assert upscale.main([*argv, "--force_yml", "outscale=2"]) == 0
    out = capsys.readouterr().out
    for line in (f"input: {folder}", "output: there", "suffix: _a", "outscale: 2.0"):
        assert line in out.splitlines()
    assert "weights: none.pth" in out


def test_what_is_missing_or_wrong_is_said(folder: Path, weights: str, tmp_path: Path, capsys):
    with pytest.raises(SystemExit) as stopped:
        upscale.main([])
    assert stopped.value.code == 2 and "give -opt FILE, or -i and -o\n" in capsys.readouterr().err
    assert upscale.main(["-i", str(folder)]) == 2
    assert "error: command line: output: this key is needed" in capsys.readouterr().err
    assert upscale.main(["-i", str(folder), "-o", "x", "--outscale", "0"]) == 2
    assert "outscale: Input should be greater than 0" in capsys.readouterr().err
    missing = str(tmp_path / "none.pth")
    assert upscale.main(["-i", str(folder), "-o", str(tmp_path / "x"), "--model", missing]) == 2
    assert missing in capsys.readouterr().err
    assert not (tmp_path / "x").exists()


def test_the_shipped_file_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    assert upscale.main(["-opt", "options/upscale.yml"]) == 0
    inputs, results = tmp_path / "datasets/embedded/heldout/lq", tmp_path / "results/upscale"
    assert names(results) == names(inputs) and len(names(results)) == 12
    height, width = read_image(inputs / "coffee_1.png").rgb.shape[:2]
    assert stored(results / "coffee_1.png").shape == (4 * height, 4 * width, 3)


def test_an_image_of_too_many_pixels_is_told_before_it_is_decoded(folder: Path, weights: str):
    """16000 x 16000 pixels of one colour are a file of 30 kB, and took 12 GB."""
    Image.new("1", (16_000, 16_000)).save(folder / "bomb.png")
    assert (folder / "bomb.png").stat().st_size < 50_000
    words = r"bomb\.png has 16000 x 16000 pixels, more than max_pixels: 200000000"
    with pytest.raises(InputError, match=words):
        upscale.upscale(options(folder.parent, weights))
    lq = {"input": {"lq": str(folder)}, "output": str(folder.parent / "detected"), "sr_mse": None}
    spec = {
        **lq,
        "sr_gan": {"weights": weights},
        "scale": 2,
        "detector": {"type": "bicubic_reference"},
        **CPU,
    }
    with pytest.raises(InputError, match=words):
        detect.detect(parse(DetectOptions, spec, "test"))
    assert not (folder.parent / "out").exists()
