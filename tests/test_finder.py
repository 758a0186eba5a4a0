"""ArtifactFinder against the functions of desra.artifacts, put together by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from desra.artifacts import (
    DeletionSpec,
    MaskRule,
    WindowSpec,
    artifact_map,
    compose_pseudo_gt,
    delete_artifacts,
    full_size_mask,
    seam_step,
)
from desra.detectors import DETECTOR_REGISTRY, Images, evidence, register
from desra.finder import ArtifactFinder
from desra.networks.pair import SRPair
from desra.networks.sr_network import SRNetwork
from desra.options.app import AppOptions
from desra.options.detect import DetectOptions
from desra.options.loading import parse
from desra.options.sections import Tiles
from desra.options.train import ValOptions
from desra.options.upscale import UpscaleOptions
from desra.utils.errors import InputError
from helpers.small import photograph, save_compact

CPU: dict[str, Any] = {"device": "cpu", "precision": "fp32"}
PAPERS = "relative_local_variance"
RULE = MaskRule(threshold=0.9, min_area=40)
LQ = photograph(0, 30, 26)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    folder = tmp_path_factory.mktemp("weights")
    gan, mse = (save_compact(folder / f"{i}.pth", scale=2, seed=i) for i in (1, 2))
    return str(gan), str(mse)


def both(weights: tuple[str, str], lq: np.ndarray = LQ) -> list[np.ndarray]:
    return [SRNetwork.from_checkpoint(path, **CPU)(lq) for path in weights]


def finished(height: int = 60, width: int = 52, seed: int = 0) -> Images:
    """A picture, and the same with noise in its middle."""
    mse = photograph(seed, height, width)
    noise = np.zeros(mse.shape)
    middle = np.s_[height // 4 : height // 2, width // 4 : -width // 4]
    noise[middle] = 60 * np.random.default_rng(seed).standard_normal(noise[middle].shape)
    return Images((mse + noise).clip(0, 255).astype(np.uint8), mse)


def test_an_lr_image_is_as_the_two_networks_and_the_functions_by_hand(weights: tuple[str, str]):
    deletion = DeletionSpec(0.8, 2)
    finder = ArtifactFinder.from_checkpoints(
        *weights, **CPU, detector=PAPERS, rule=RULE, deletion=deletion
    )
    found = finder(LQ, "a/b")
    gan, mse = both(weights)
    D = artifact_map(mse, gan)
    mask = full_size_mask(D, gan.shape, RULE)
    assert mask.any() and not mask.all()
    for mine, by_hand in (
        (found.gan, gan),
        (found.mse, mse),
        (found.map, D),
        (found.mask, mask),
        (found.pseudo_gt(), compose_pseudo_gt(mse, gan, mask)),
        (found.deleted(), delete_artifacts(mse, gan, mask, deletion)),
        (found.deleted(slice(7, 40)), delete_artifacts(mse, gan, mask, deletion)[7:40]),
        (found.pseudo_gt(slice(7, 40)), compose_pseudo_gt(mse, gan, mask)[7:40]),
        (found.map8(), np.round(255 * D)),
    ):
        np.testing.assert_array_equal(mine, by_hand)
    assert found.mean == pytest.approx(D.mean()) and found.images.stem == "a/b"
    assert found.seam() == seam_step(mse, gan, mask, deletion)


@pytest.mark.parametrize("detector", [PAPERS, "evidence", "bicubic_reference"])
def test_both_doors_lead_to_the_same(weights: tuple[str, str], detector: str):
    pair = SRPair.from_checkpoints(*weights, **CPU)
    settings: dict[str, Any] = {"detector": detector, "rule": RULE}
    found = ArtifactFinder(pair, **settings)(LQ)
    gan, mse = both(weights)
    looked = ArtifactFinder(**settings).look(Images(gan, mse, LQ, scale=2))
    for name in ("gan", "mse", "map", "mask"):
        np.testing.assert_array_equal(getattr(found, name), getattr(looked, name))


def test_finished_images_need_no_networks():
    images = finished()
    found = ArtifactFinder(detector=PAPERS, rule=RULE).look(images)
    assert images.mse is not None
    D = artifact_map(images.mse, images.gan)
    np.testing.assert_array_equal(found.mask, full_size_mask(D, images.gan.shape, RULE))
    assert found.mask.any()
    np.testing.assert_array_equal(
        ArtifactFinder(detector=evidence).look(images).map, evidence(images)
    )


def test_large_images_lie_on_disk_and_are_done_in_bands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    images = finished(300, 52)
    whole = ArtifactFinder(detector=PAPERS, rule=RULE).look(images)
    monkeypatch.setattr("desra.io.files._IN_MEMORY", 1000)
    monkeypatch.setattr("desra.artifacts.row_bands._ROWS", 64)
    found = ArtifactFinder(detector=PAPERS, rule=RULE, folder=tmp_path).look(images)
    assert isinstance(found.map, np.memmap) and not isinstance(whole.map, np.memmap)
    np.testing.assert_array_equal(found.map, whole.map)
    np.testing.assert_array_equal(found.mask, whole.mask)
    assert not list(tmp_path.iterdir())


def test_class_weights_change_the_rows_that_they_are_told(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("desra.artifacts.row_bands._ROWS", 16)
    images = finished()
    finder = ArtifactFinder(detector=PAPERS)
    plain = finder.look(images).map
    factor = np.linspace(0.1, 1, len(plain))[:, None]
    found = finder.look(images, lambda D, rows: D * factor[rows])
    np.testing.assert_array_equal(found.map, plain * factor)
    assert found.mean == pytest.approx((plain * factor).mean())


@pytest.mark.parametrize("bits", [8, 16])
def test_the_depth_of_the_images(weights: tuple[str, str], bits: Any):
    found = ArtifactFinder.from_checkpoints(*weights, **CPU, detector=PAPERS)(LQ, bits=bits)
    kind = np.uint8 if bits == 8 else np.uint16
    assert found.gan.dtype == found.pseudo_gt().dtype == found.deleted().dtype == kind


@pytest.mark.parametrize(
    ("unit", "area"), [("px", 1000), ("px_at_x4", 250), ("px_per_megapixel", 3)]
)
def test_the_area_is_resolved_for_each_image(unit: Any, area: int):
    images = finished()
    images = Images(images.gan, images.mse, scale=2)
    rule = MaskRule(0.9, min_area=1000, min_area_unit=unit)
    found = ArtifactFinder(detector=PAPERS, rule=rule).look(images)
    assert found.rule == MaskRule(0.9, min_area=area)
    D = artifact_map(images.mse, images.gan)  # type: ignore[arg-type]
    np.testing.assert_array_equal(
        found.mask, full_size_mask(D, images.gan.shape, MaskRule(0.9, min_area=area))
    )
    if unit != "px":  # the functions take an area in pixels only
        with pytest.raises(ValueError, match=rf"in {unit}; rule.resolve"):
            full_size_mask(D, images.gan.shape, rule)


def test_another_rule_for_the_same_map():
    found = ArtifactFinder(detector=PAPERS, rule=RULE).look(finished())
    other = found.by(MaskRule(0.5, min_area=400, min_area_unit="px_at_x4"), DeletionSpec(0.5))
    assert other.map is found.map and other.deletion.strength == 0.5
    np.testing.assert_array_equal(
        other.mask, full_size_mask(found.map, found.gan.shape, MaskRule(0.5, min_area=400))
    )
    assert (other.mask != found.mask).any()


def test_an_image_smaller_than_the_window():
    tiny = np.zeros((6, 40, 3), np.uint8)
    found = ArtifactFinder().look(Images(tiny, tiny))
    assert found.mean is None and found.map.size == 0 and not found.mask.any()


@pytest.mark.parametrize("stage", [DetectOptions, AppOptions, UpscaleOptions])
def test_from_the_options_of_a_stage(stage: Any, weights: tuple[str, str]):
    content: dict[str, Any] = {
        **CPU,
        "sr_gan": {"weights": weights[0]},
        "sr_mse": {"weights": weights[1]},
        "tile": {"size": 24, "overlap": 8},
        "detector": {"type": PAPERS},
        "mask": {"threshold": 0.9, "min_area": 160},
        "window": {"size": 9},
        "deletion": {"strength": 0.7, "feather": 3},
    }
    if stage is DetectOptions:
        content |= {"input": {"lq": "a"}, "output": "b", "scale": 2}
    elif stage is UpscaleOptions:
        content |= {"input": "a", "output": "b"}
    found = ArtifactFinder.from_options(parse(stage, content, "test"))(LQ)
    tiles = Tiles(24, 8)
    gan, mse = (SRNetwork.from_checkpoint(path, tiles=tiles, **CPU)(LQ) for path in weights)
    D = artifact_map(mse, gan, WindowSpec(size=9))
    mask = full_size_mask(D, gan.shape, MaskRule(0.9, min_area=40))
    np.testing.assert_array_equal(found.mask, mask)
    deleted = delete_artifacts(mse, gan, mask, DeletionSpec(0.7, 3))
    np.testing.assert_array_equal(found.deleted(), deleted)


def test_from_options_without_networks():
    val = parse(ValOptions, {"dataroot": "a", "detector": {"type": PAPERS}}, "test")
    images = finished()
    found = ArtifactFinder.from_options(val, given={"mse"}, section="val.").look(images)
    assert found.rule == MaskRule(min_area=1000)
    with pytest.raises(InputError, match=r"val\.detector\.type: '.*' needs the MSE-SR image"):
        ArtifactFinder.from_options(val, given={"lq"}, section="val.")


def test_refusals(weights: tuple[str, str]):
    finder = ArtifactFinder(detector=PAPERS)
    with pytest.raises(
        ValueError, match=r"no networks: give it a pair, or finished images by look"
    ):
        finder(LQ)
    with pytest.raises(InputError, match="needs the MSE-SR image"):
        finder.look(Images(LQ))
    with pytest.raises(InputError, match="'evidense' is not registered; did you mean 'evidence'"):
        ArtifactFinder(detector="evidense")
    alone = SRPair.from_checkpoints(weights[0], **CPU)
    with pytest.raises(InputError, match="'evidence' needs the MSE-SR image"):
        ArtifactFinder(alone)
    by_lq = ArtifactFinder(detector="bicubic_reference").look(Images(finished().gan, lq=LQ))
    with pytest.raises(ValueError, match="no MSE-SR image to take the place"):
        by_lq.pseudo_gt()
    with pytest.raises(ValueError, match="mse and gan must have the same shape"):
        Images(LQ, LQ[1:])


@pytest.fixture
def by_flip():
    @register("flipped", uses=["features"])
    def by_flip(images: Images, window: WindowSpec) -> np.ndarray:
        assert images.flipped is not None
        return artifact_map(images.flipped, images.gan, window)

    yield by_flip
    del DETECTOR_REGISTRY._obj_map["by_flip"]


def test_the_mirrored_image_is_given_to_whom_needs_it(
    by_flip: Any, weights: tuple[str, str], caplog: pytest.LogCaptureFixture
):
    found = ArtifactFinder.from_checkpoints(*weights, **CPU, detector="by_flip")(LQ)
    gan = SRNetwork.from_checkpoint(weights[0], **CPU)
    flipped = gan(np.ascontiguousarray(LQ[:, ::-1]))[:, ::-1]
    assert (flipped != found.gan).any()
    np.testing.assert_array_equal(found.images.flipped, flipped)
    np.testing.assert_array_equal(found.map, artifact_map(flipped, found.gan))
    assert "by_flip does without features, which there is not" in caplog.text
    plain = ArtifactFinder.from_checkpoints(*weights, **CPU, detector=PAPERS)(LQ)
    assert plain.images.flipped is None
    with pytest.raises(
        InputError, match=r"mirrored LR image \(flipped\), and finished images have"
    ):
        ArtifactFinder(detector="by_flip", given={"mse", "lq"})


def test_features_are_given_by_no_network_yet(weights: tuple[str, str]):
    @register("features")
    def by_features(images: Images, window: WindowSpec) -> np.ndarray:
        assert images.features is not None
        return np.ones(window.map_size(images.gan.shape))

    del DETECTOR_REGISTRY._obj_map["by_features"]
    pair = SRPair.from_checkpoints(*weights, **CPU)
    with pytest.raises(InputError, match="and no network gives features yet"):
        ArtifactFinder(pair, by_features)
    images = Images(LQ, features=np.zeros((15, 13, 4)))
    assert ArtifactFinder(detector=by_features).look(images).map.min() == 1


def test_a_range_below_that_of_the_images_is_refused() -> None:
    with pytest.raises(InputError, match=r"window\.data_range: is 3, but .* leave it out"):
        ArtifactFinder(None, PAPERS, window=WindowSpec(data_range=3), given={"mse"})
