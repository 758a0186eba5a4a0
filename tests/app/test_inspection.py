"""What the app shows, without the page: against detect's own files, and against numpy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from desra.app import inspection
from desra.app.inspection import Choice, Inspector, shown, shown_overlay
from desra.artifacts import DeletionSpec, WindowSpec, delete_artifacts
from desra.detect import detect
from desra.io.images import read_image, read_mask, read_rgb8, write_image
from desra.networks.sr_network import SRNetwork
from desra.options.app import AppOptions
from desra.options.detect import DetectOptions
from desra.options.loading import parse, read_yaml
from desra.utils.errors import InputError
from helpers.small import photograph, save_compact, save_png


@pytest.fixture(scope="module")
def networks(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("networks")
    return {
        "sr_gan": {"weights": str(save_compact(folder / "gan.pth", 2, seed=1))},
        "sr_mse": {"weights": str(save_compact(folder / "mse.pth", 2, seed=2))},
        "device": "cpu",
        "precision": "fp32",
        "detector": {"type": "relative_local_variance"},
    }


def make_inspector(networks: dict[str, Any], **more: Any) -> Inspector:
    return Inspector(parse(AppOptions, {**networks, **more}, "test"))


@pytest.fixture
def lq(tmp_path: Path) -> Path:
    save_png(tmp_path / "lq/á.png", photograph(3, 60, 72))
    return tmp_path / "lq/á.png"


LOOSE = Choice(threshold=0.97, min_area=20.0, strength=0.5, feather=3.0)


def test_the_same_as_detect_with_the_yaml_that_is_shown(
    networks: dict[str, Any], lq: Path, tmp_path: Path
):
    inspector = make_inspector(networks)
    seen = inspector.inspect(lq)
    verdict = inspector.judge(seen, LOOSE)
    assert 0 < verdict.mask.mean() < 1 and verdict.count > 0

    (tmp_path / "settings.yml").write_text(inspector.as_yaml(LOOSE), encoding="utf-8")
    content = {
        **networks,
        **read_yaml(tmp_path / "settings.yml"),
        "scale": 2,
        "input": {"lq": str(lq)},
        "output": str(tmp_path / "out"),
    }
    (row,) = detect(parse(DetectOptions, content, "test"))
    files = {kind: tmp_path / f"out/{kind}/á.png" for kind in ("mask", "deleted", "sr_gan", "map")}
    assert (read_mask(files["mask"]) == verdict.mask).all()
    assert (read_rgb8(files["deleted"]) == verdict.blended).all()
    assert (read_rgb8(files["sr_gan"]) == seen.artifacts.gan).all()
    assert (read_rgb8(files["map"])[..., 0] == np.round(255 * seen.artifacts.map)).all()
    assert row.regions == verdict.count
    assert f"{verdict.count} regions of more than {verdict.min_area} pixels" in verdict.sentence


def test_settings_change_the_result_and_no_network_runs(
    networks: dict[str, Any], lq: Path, monkeypatch: pytest.MonkeyPatch
):
    inspector = make_inspector(networks)
    seen = inspector.inspect(lq)
    monkeypatch.setattr(SRNetwork, "__call__", lambda *_: pytest.fail("a network ran"))
    areas = [
        inspector.judge(seen, Choice(t, 0.0, 1.0, 0.0)).mask.sum() for t in (0, 0.9, 0.97, 1.0)
    ]
    assert areas[0] == 0 and areas == sorted(areas) and areas[-1] > areas[1]
    some = inspector.judge(seen, LOOSE)
    assert inspector.judge(seen, Choice(0.97, 1e6, 0.5, 3.0)).count == 0
    hard = inspector.judge(seen, Choice(0.97, 20.0, 1.0, 0.0))
    assert (
        hard.blended == np.where(some.mask[..., None], seen.artifacts.mse, seen.artifacts.gan)
    ).all()
    soft = delete_artifacts(
        seen.artifacts.mse, seen.artifacts.gan, some.mask, DeletionSpec(0.5, 3.0)
    )
    assert (some.blended == soft).all()
    none = inspector.judge(seen, Choice(0.97, 20.0, 0.0, 3.0))
    assert (none.blended == seen.artifacts.gan).all()


def test_areas_are_those_of_detect_by_default(networks: dict[str, Any], lq: Path):
    inspector = make_inspector(networks)
    verdict = inspector.judge(inspector.inspect(lq), Choice(0.97, 1000.0, 1.0, 8.0))
    assert verdict.min_area == 250  # 1000 at scale 4, a quarter of it at scale 2
    assert inspector.first_choice.threshold == inspector.opt.mask.threshold
    assert inspector.opt.mask == DetectOptions.model_fields["mask"].default


def test_transparency_comes_back_in_full_size(networks: dict[str, Any], tmp_path: Path):
    alpha = np.zeros((20, 24), np.uint8)
    alpha[:, 12:] = 255
    write_image(tmp_path / "a.png", photograph(1, 20, 24), alpha)
    seen = make_inspector(networks).inspect(tmp_path / "a.png")
    assert seen.alpha is not None and seen.alpha.shape == (40, 48)
    assert seen.alpha[0, 0] == 0 and seen.alpha[0, -1] == 255
    assert "alpha split off" in seen.notes and seen.lq.dtype == np.uint8


def test_an_image_smaller_than_the_window(networks: dict[str, Any], tmp_path: Path):
    save_png(tmp_path / "tiny.png", photograph(1, 4, 5))
    inspector = make_inspector(networks)
    seen = inspector.inspect(tmp_path / "tiny.png")
    verdict = inspector.judge(seen, LOOSE)
    assert verdict.count == 0 and verdict.mask.shape == (8, 10)
    assert seen.map.shape == (8, 10, 3) and (seen.map == 255).all()


def test_the_map_in_colour_lies_on_the_image(networks: dict[str, Any], lq: Path):
    seen = make_inspector(networks).inspect(lq)
    assert seen.map.shape == seen.artifacts.gan.shape
    assert (seen.map[:5] == 255).all() and (seen.map[:, -5:] == 255).all()
    inner = seen.map[5:-5, 5:-5]
    assert inner.shape[:2] == seen.artifacts.map.shape
    darkest, lightest = (
        np.unravel_index(f(seen.artifacts.map), seen.artifacts.map.shape)
        for f in (np.argmin, np.argmax)
    )
    assert inner[darkest].sum() < inner[lightest].sum()


def test_without_a_partner(networks: dict[str, Any], lq: Path):
    with pytest.raises(InputError, match="needs the MSE-SR image"):
        make_inspector(networks, sr_mse=None)
    inspector = make_inspector(networks, sr_mse=None, detector={"type": "bicubic_reference"})
    seen = inspector.inspect(lq)
    assert inspector.judge(seen, Choice(0.9, 0.0, 1.0, 0.0)).mask.any()


def test_a_window_of_ones_own_is_in_the_yaml(networks: dict[str, Any], lq: Path):
    assert "window" not in make_inspector(networks).as_yaml(LOOSE)
    window = {"size": 7, "sigma": 2.0}
    text = make_inspector(networks, window=window).as_yaml(LOOSE)
    content = {**networks, **yaml.safe_load(text), "input": {"lq": str(lq)}, "output": "out"}
    assert parse(DetectOptions, content, "test").window == WindowSpec(**window)


def test_a_window_that_is_not_looked_at_is_said(
    networks: dict[str, Any], caplog: pytest.LogCaptureFixture
):
    window, evidence = {"sigma": 2.0}, {"type": "evidence"}
    make_inspector(networks, window=window)
    make_inspector(networks, detector=evidence)
    assert "window" not in caplog.text
    make_inspector(networks, detector=evidence, window=window)
    (record,) = caplog.records
    assert "window: evidence does not look at it; of {size: 11, sigma: 2.0" in record.getMessage()


def test_refusals(networks: dict[str, Any], lq: Path, tmp_path: Path):
    inspector = make_inspector(networks, max_pixels=60 * 72 - 1)
    with pytest.raises(InputError, match="72 x 60 pixels, more than the 4319 that"):
        inspector.inspect(lq)
    (tmp_path / "text.png").write_text("no image")
    with pytest.raises(InputError, match="is not an image"):
        inspector.inspect(tmp_path / "text.png")
    seen = make_inspector(networks).inspect(lq)
    with pytest.raises(InputError, match="threshold"):
        inspector.judge(seen, Choice(1.5, 0.0, 1.0, 0.0))
    with pytest.raises(InputError, match=r"settings: .*strength"):
        inspector.judge(seen, Choice(0.5, 0.0, 2.0, 0.0))


def test_what_is_shown_is_small(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(inspection, "MAX_VIEW", 50)
    image = np.kron(np.arange(100, dtype=np.uint8).reshape(10, 10), np.ones((10, 10), np.uint8))
    picture = np.repeat(image[..., None], 3, axis=2)
    small = shown(picture)
    assert small.shape == (50, 50, 3)
    assert (small[::5, ::5, 0] == np.arange(100).reshape(10, 10)).all()
    mask = image > 50
    assert set(np.unique(shown(mask))) == {0, 255}
    assert (shown(mask)[::5, ::5] > 0).sum() == 49
    drawn = shown_overlay(small, mask)
    assert drawn.shape == small.shape and (drawn[0, 0] == small[0, 0]).all()
    assert drawn[-3, -20, 0] > small[-3, -20, 0]
    monkeypatch.setattr(inspection, "MAX_VIEW", 100)
    assert (shown(picture) == picture).all()


def test_a_16_bit_file_is_read_as_8_bits(networks: dict[str, Any], tmp_path: Path):
    deep = photograph(2, 20, 24).astype(np.uint16) * 257
    write_image(tmp_path / "deep.png", deep)
    seen = make_inspector(networks).inspect(tmp_path / "deep.png")
    assert seen.artifacts.gan.dtype == np.uint8 and "16-bit" in seen.notes
    assert (seen.lq == read_image(tmp_path / "deep.png").rgb8).all()
