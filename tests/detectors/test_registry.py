"""Rival detectors against scikit-image, torch, and plain arithmetic."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
import pytest
import torch
from skimage.metrics import structural_similarity

from desra import detectors
from desra.artifacts import WindowSpec, absolute_difference_map, artifact_map
from desra.detectors import DETECTOR_REGISTRY, Images, find_detector, register
from desra.detectors.papers import batched_map
from desra.networks.pair import SRPair
from desra.networks.sr_network import SRNetwork
from desra.utils.errors import InputError

NAMES = [name for name, _ in DETECTOR_REGISTRY]
ALL = ("mse", "lq", "gt")


def given(mse, gan, lq=None, gt=None, scale=None) -> Images:
    return Images(gan, mse, lq, gt, scale)


def images(seed: int = 0, height: int = 48, width: int = 64) -> tuple[np.ndarray, ...]:
    """(sr_mse, sr_gan, lq, gt): sr_gan with invented texture on its right, lq a quarter of gt."""
    rng = np.random.default_rng(seed)
    coarse = rng.random((height // 8, width // 8, 3))
    gt = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC) * 60 + 90
    gt += rng.normal(0, 3, gt.shape)
    gan = gt + rng.normal(0, 1, gt.shape)
    gan[:, width // 2 :] += rng.normal(0, 40, gt.shape)[:, width // 2 :]
    gt, gan = (x.clip(0, 255).round().astype(np.uint8) for x in (gt, gan))
    mse = cv2.GaussianBlur(gt, (0, 0), 1.0)
    lq = cv2.resize(gt, (width // 4, height // 4), interpolation=cv2.INTER_AREA)
    return mse, gan, lq, gt


@pytest.mark.parametrize(
    "name",
    ["relative_local_variance", "absolute_local_variance", "local_ssim", "bicubic_reference"],
)
@pytest.mark.parametrize("height", [8, 11, 500, 1100])
def test_bands_are_the_whole(name: str, height: int) -> None:
    mse, gan, lq, _ = images(height=1104, width=64)
    mse, gan, lq = mse[:height], gan[:height], lq[: height // 4]
    detector = find_detector(name, ALL)
    bands = list(detector.bands(given(mse, gan, lq)))
    whole = detector(given(mse, gan, lq))
    joined = np.concatenate([D for _, D in bands])
    if name == "local_ssim":
        np.testing.assert_allclose(joined, whole, atol=1e-12)
    else:
        np.testing.assert_array_equal(joined, whole)
    rows = [row for s, _ in bands for row in range(s.start, s.stop)]
    assert rows == list(range(max(height - 10, 0)))
    assert len(bands) == (3 if detector.local and height == 1100 else 1)


def test_bands_look_at_8_bits() -> None:
    mse, gan, *_ = images()
    deep = (image.astype(np.uint16) * 257 for image in (mse, gan))
    (_, D), *_ = find_detector("relative_local_variance", ALL).bands(given(*deep))
    np.testing.assert_array_equal(D, artifact_map(mse, gan))


def test_all_are_registered() -> None:
    assert set(NAMES) == {
        "evidence",
        "relative_local_variance",
        "absolute_local_variance",
        "local_ssim",
        "bicubic_reference",
        "ldl",
    }


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("window", [WindowSpec(), WindowSpec(size=7)])
def test_similarity_is_low_where_texture_is_invented(name: str, window: WindowSpec) -> None:
    detector = find_detector(name, ALL)
    S = detector(given(*images()), window)
    b = window.border
    assert S.dtype == np.float64 and S.shape == (48 - 2 * b, 64 - 2 * b)
    assert S.min() >= 0 and S.max() <= 1
    left, right = S[:, : 27 - b], S[:, 37 - b :]
    assert right.mean() < 0.6 < left.mean()


@pytest.mark.parametrize("name", NAMES)
def test_what_a_detector_does_not_name_is_not_looked_at(name: str) -> None:
    detector = find_detector(name, ALL)
    mse, gan, lq, gt = images()
    there = {"mse": mse, "lq": lq, "gt": gt}
    named = {kind: image for kind, image in there.items() if detector.wants(kind)}
    expected = detector(given(mse, gan, lq, gt), WindowSpec())
    np.testing.assert_array_equal(detector(Images(gan, **named), WindowSpec()), expected)
    (_, D), *_ = detector.bands(given(mse, gan, lq, gt, scale=4))
    np.testing.assert_array_equal(D, expected)


@pytest.mark.parametrize("name", NAMES)
def test_whether_the_window_is_read(name: str) -> None:
    detector = find_detector(name, ALL)
    maps = [detector(given(*images()), WindowSpec(data_range=r)) for r in (255.0, 400.0)]
    assert (maps[0] != maps[1]).any() == detector.reads_window


def test_evidence_goes_by_the_scale_that_it_is_told() -> None:
    mse, gan, *_ = images()
    evidence = find_detector("evidence", ALL)
    half = cv2.resize(gan, (32, 24), interpolation=cv2.INTER_AREA)
    by_scale = {scale: evidence(given(mse, gan, scale=scale)) for scale in (2, 3, 4)}
    np.testing.assert_array_equal(by_scale[4], evidence(given(mse, gan)))
    assert (by_scale[2] != by_scale[4]).any() and (by_scale[3] != by_scale[4]).any()
    np.testing.assert_array_equal(
        evidence(given(mse, gan, half)), evidence(given(mse, gan, half, scale=2))
    )
    for scale in (2, 3):
        (_, D), *_ = evidence.bands(given(mse, gan, scale=scale))
        np.testing.assert_array_equal(D, by_scale[scale])
    with pytest.raises(ValueError, match="is not 3 times lq"):
        evidence(given(mse, gan, half, scale=3))


@pytest.mark.parametrize("name", NAMES)
def test_images_smaller_than_the_window(name: str) -> None:
    mse, gan, lq, gt = images(height=8, width=24)
    assert find_detector(name, ALL)(given(mse, gan, lq, gt), WindowSpec()).shape == (0, 14)


@pytest.mark.parametrize("name", sorted({*NAMES} - {"bicubic_reference"}))
def test_unequal_sizes_are_refused(name: str) -> None:
    mse, gan, lq, gt = images()
    with pytest.raises(ValueError, match="same shape"):
        find_detector(name, ALL)(given(mse[:-1], gan, lq, gt), WindowSpec())


def test_bicubic_reference_is_the_sr_mse_of_a_pair_without_an_mse_network() -> None:
    lq = np.random.default_rng(0).integers(0, 256, (96, 96, 3), dtype=np.uint8)
    fixed_point = cv2.resize(lq, (288, 288), interpolation=cv2.INTER_CUBIC)
    sr = SRPair(SRNetwork(torch.nn.Upsample(scale_factor=3), 3), None)(lq)
    assert (fixed_point != sr.mse).any()  # so these pixels tell two ways of rounding apart
    D = find_detector("bicubic_reference", ["lq"])(Images(sr.gan, lq=lq))
    np.testing.assert_array_equal(D, artifact_map(sr.mse, sr.gan))


def test_relative_is_the_papers_map() -> None:
    mse, gan, *_ = images()
    np.testing.assert_array_equal(
        find_detector("relative_local_variance", ["mse"])(given(mse, gan)), artifact_map(mse, gan)
    )


def test_absolute_is_monotone_in_the_papers_difference() -> None:
    mse, gan, *_ = images()
    S = find_detector("absolute_local_variance", ["mse"])(given(mse, gan))
    difference = absolute_difference_map(mse, gan)
    np.testing.assert_allclose(difference * S, 58.5225 * (1 - S), atol=1e-9)
    assert (artifact_map(mse, gan) + 1e-12 >= S).all()


def test_absolute_equals_relative_over_a_flat_reference() -> None:
    flat = np.full((32, 32), 90, np.uint8)
    noisy = np.random.default_rng(0).integers(60, 120, (32, 32)).astype(np.uint8)
    S = find_detector("absolute_local_variance", ["mse"])(given(flat, noisy))
    np.testing.assert_allclose(S, artifact_map(flat, noisy), atol=1e-5)
    assert S.max() < 0.5


@pytest.mark.parametrize("channels", [1, 3, None])
def test_local_ssim_is_scikit_images(channels: int | None) -> None:
    mse, gan, *_ = images(3)
    gan[:20, :20] = 255 - gan[:20, :20]  # negative SSIM, to be clipped
    if channels is None:
        mse, gan = mse[..., 0], gan[..., 0]
    else:
        mse, gan = mse[..., :channels], gan[..., :channels]
    theirs = structural_similarity(
        mse,
        gan,
        data_range=255,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        channel_axis=None if channels is None else 2,
        full=True,
    )[1]
    theirs = theirs if channels is None else theirs.mean(axis=2)
    inside = theirs[5:-5, 5:-5]
    assert inside.min() < 0
    S = find_detector("local_ssim", ["mse"])(given(mse, gan))
    np.testing.assert_allclose(S, inside.clip(0, 1), atol=1e-8)


def test_local_ssim_of_equal_images_is_one() -> None:
    mse, *_ = images()
    S = find_detector("local_ssim", ["mse"])(given(mse, mse))
    np.testing.assert_allclose(S, 1, atol=1e-9)


def test_bicubic_reference_upscales_the_lr_image() -> None:
    _, gan, lq, _ = images()
    S = find_detector("bicubic_reference", ["lq"])(Images(gan, lq=lq))

    def weights(n: int) -> np.ndarray:  # rows of (4n, n): Keys' kernel, edges repeated
        matrix = np.zeros((4 * n, n))
        for i in range(4 * n):
            centre = (i + 0.5) / 4 - 0.5
            for j in range(int(np.floor(centre)) - 1, int(np.floor(centre)) + 3):
                t, a = abs(centre - j), -0.75
                near = (a + 2) * t**3 - (a + 3) * t**2 + 1
                far = a * (t**3 - 5 * t**2 + 8 * t - 4)
                matrix[i, min(max(j, 0), n - 1)] += near if t <= 1 else far
        return matrix

    upscaled = np.einsum("yi,xj,ijc->yxc", weights(12), weights(16), lq.astype(float))
    expected = artifact_map(upscaled.clip(0, 255).round().astype(np.uint8), gan)
    np.testing.assert_allclose(S, expected, atol=0.02)  # fixed-point rounding: one grey level
    assert np.abs(S - expected).mean() < 1e-3


@pytest.mark.parametrize("size", [11, 1])
def test_ldl_is_the_map_of_its_loss(size: int) -> None:
    mse, gan, lq, gt = images(1)
    t_mse, t_gan, t_gt = (
        torch.from_numpy(x).to(torch.float64).permute(2, 0, 1)[None] for x in (mse, gan, gt)
    )
    residual = (t_gt - t_gan).abs().sum(1, keepdim=True) / 255  # last, so that ties are ties
    reference = (t_gt - t_mse).abs().sum(1, keepdim=True) / 255
    padded = torch.nn.functional.pad(residual, (3, 3, 3, 3), mode="reflect")
    local = padded.unfold(2, 7, 1).unfold(3, 7, 1).var(dim=(-1, -2), unbiased=True)
    weight = residual.var() ** 0.2 * local
    weight[residual < reference] = 0
    b = size // 2
    expected = (0.0009 / (0.0009 + weight))[0, 0, b : 48 - b, b : 64 - b].numpy()
    S = find_detector("ldl", ALL)(given(mse, gan, lq, gt), WindowSpec(size=size))
    np.testing.assert_allclose(S, expected, atol=1e-9)
    assert (S == 1).any() and S.min() < 0.2


def test_names_and_needs_in_words() -> None:
    with pytest.raises(InputError, match=r"detector.type: 'local_sim' .*did you mean 'local_ssim'"):
        find_detector("local_sim", ALL)
    with pytest.raises(
        InputError, match=r"det.type: 'ldl' needs the true HR image \(gt\) of every"
    ):
        find_detector("ldl", ["mse", "lq"], "det")
    with pytest.raises(InputError, match=r"\(gt\) and the MSE-SR image \(sr_mse\)"):
        find_detector("ldl", [])


@pytest.mark.parametrize("local", [False, True])
def test_a_detector_gets_what_it_names_and_no_more(local: bool) -> None:
    """So that it finds the same in all stages, some of which have more at hand."""

    def nosy(images: Images, window: WindowSpec) -> np.ndarray:
        seen.append(set(images.kinds))
        return np.ones(window.map_size(images.gan.shape))

    mse, gan, lq, gt = images()
    seen: list[set[str]] = []
    for needs, uses in (("mse", ()), ("mse", ("gt",)), ("lq", ("gt",)), ("flipped", ())):
        if local and needs == "lq":
            continue
        detector = register(needs, uses=uses, local=local)(nosy)
        del detectors.DETECTOR_REGISTRY._obj_map["nosy"]
        list(detector.bands(Images(gan, mse, lq, gt, scale=4, flipped=gan)))
        assert seen.pop() == {needs, *uses}


@pytest.mark.parametrize(
    ("needs", "uses", "words"),
    [(["lr"], [], "not lr"), ([], ["hr", "lq"], "not hr"), (["scale"], [], "not scale")],
)
def test_inputs_that_there_are_not_are_refused(
    needs: list[str], uses: list[str], words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        register(*needs, uses=uses)


@pytest.fixture
def own() -> Iterator[str]:
    @register("lq")
    def all_clean(images: Images, window: WindowSpec) -> np.ndarray:
        return np.ones((images.gan.shape[0] - 10, images.gan.shape[1] - 10))

    yield "all_clean"
    del detectors.DETECTOR_REGISTRY._obj_map["all_clean"]


def test_one_of_your_own(own: str) -> None:
    _, gan, lq, _ = images()
    detector = find_detector(own, ["lq"])
    assert detector(Images(gan, lq=lq)).min() == 1
    (_, D), *_ = detector.bands(Images(gan, lq=lq, scale=4))  # which it is not bothered with
    assert D.shape == (38, 54) and D.min() == 1
    with pytest.raises(InputError, match=r"all_clean.*LR image"):
        find_detector(own, ["mse"])


@pytest.mark.parametrize("window", [WindowSpec(), WindowSpec(size=7, sigma=1.0)])
def test_the_map_on_a_device_is_that_of_the_cpu(window: WindowSpec) -> None:
    """By torch, here on the CPU too: within 1e-7 of the map without torch."""
    mse, gan, *_ = images(height=600)
    here = find_detector("relative_local_variance")(given(mse, gan), window)
    there = batched_map(given(mse, gan), window, "cpu")
    assert there.dtype == np.float64
    np.testing.assert_allclose(there, here, atol=1e-7, rtol=0)


def test_only_a_gpu_takes_the_map_away_from_the_cpu() -> None:
    def elsewhere(images: Images, window: WindowSpec, device: str) -> np.ndarray:
        devices.append(device)
        return np.zeros(window.map_size(images.gan.shape))

    @register("mse", local=True, on_device=elsewhere)
    def twice(images: Images, window: WindowSpec) -> np.ndarray:
        return np.ones(window.map_size(images.gan.shape))

    del detectors.DETECTOR_REGISTRY._obj_map["twice"]
    mse, gan, *_ = images()
    devices: list[str] = []
    for device, value in (("cpu", 1), ("mps", 1), ("cuda:1", 0)):
        assert twice(given(mse, gan), device=device).max() == value
        (_, D), *_ = twice.bands(given(mse, gan), device=device)
        assert D.max() == value
    assert devices == ["cuda:1", "cuda:1"]
