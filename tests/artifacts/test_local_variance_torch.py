from __future__ import annotations

import numpy as np
import pytest

from desra.artifacts import MaskRule, WindowSpec, artifact_map, artifact_mask

torch = pytest.importorskip("torch")

from desra.artifacts.local_variance_torch import artifact_map_batch  # noqa: E402


def batch(images: list[np.ndarray]):
    return torch.from_numpy(np.stack([image.transpose(2, 0, 1) for image in images]))


def pairs(high: int) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Smooth images, and the same with noise in one half: some of D is low, some high."""
    rng = np.random.default_rng(high)
    mse = [rng.integers(g, g + high, (60, 50, 3), dtype=np.uint8) for g in (0, 128, 200)]
    gan = [image.copy() for image in mse]
    for image in gan:
        image[:, 25:] = rng.integers(0, 256, (60, 25, 3))
    return mse, gan


DEVICES = ["cpu"] + (["cuda"] if torch.cuda.is_available() else [])
DEVICES += ["mps"] if torch.backends.mps.is_available() else []


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("high", [1, 2, 50])
def test_equals_the_numpy_map(device: str, high: int) -> None:
    mse, gan = pairs(high)
    D = artifact_map_batch(batch(mse).to(device), batch(gan).to(device))
    assert D.device.type == device
    rule = MaskRule(min_area=20)
    for got, m, g in zip(D.cpu().numpy(), mse, gan, strict=True):
        expected = artifact_map(m, g)
        np.testing.assert_allclose(got, expected, rtol=0, atol=1e-7)
        mask = artifact_mask(expected, rule)
        assert mask.any() and not mask.all()
        np.testing.assert_array_equal(artifact_mask(got, rule), mask)


def test_a_device_without_float64_gets_the_same_map_in_float32(monkeypatch) -> None:
    class Tensor(torch.Tensor):
        """A CPU tensor that says it lies on mps."""

        @property
        def device(self):
            return torch.device("mps")

        def to(self, target):
            plain = self.as_subclass(torch.Tensor)
            return plain if target == torch.device("cpu") else plain.to(target)

    moved: list[object] = []
    real_to = torch.Tensor.to

    def to(self, target, *rest, **named):
        if target == torch.device("mps"):
            moved.append(self.dtype)
            return self
        return real_to(self, target, *rest, **named)

    mse, gan = pairs(50)
    expected = artifact_map_batch(batch(mse), batch(gan))
    monkeypatch.setattr(torch.Tensor, "to", to)
    got = artifact_map_batch(batch(mse).as_subclass(Tensor), batch(gan).as_subclass(Tensor))
    assert moved == [torch.float32]
    assert got.dtype == torch.float32
    assert (got.double() - expected).abs().max() < 1e-7


def test_window_gray_and_tiny_images() -> None:
    mse, gan = (batch(images)[:, :1] for images in pairs(50))
    window = WindowSpec(size=5, sigma=1.0)
    D = artifact_map_batch(mse, gan, window)
    expected = artifact_map(mse[0, 0].numpy(), gan[0, 0].numpy(), window)
    np.testing.assert_allclose(D[0].numpy(), expected, rtol=0, atol=1e-9)
    assert artifact_map_batch(mse[..., :10], gan[..., :10]).shape == (3, 50, 0)


@pytest.mark.parametrize(
    ("mse", "gan", "words"),
    [
        (torch.zeros(3, 20, 20), torch.zeros(3, 20, 20), r"must be \(N, C, H, W\)"),
        (torch.zeros(1, 4, 20, 20), torch.zeros(1, 4, 20, 20), "1 or 3 channels"),
        (torch.zeros(1, 3, 20, 20), torch.zeros(1, 3, 20, 21), "same shape and device"),
        (torch.zeros(1, 3, 20, 20), torch.full((1, 3, 20, 20), torch.inf), "sr_gan .* not finite"),
    ],
)
def test_wrong_batches_are_named(mse, gan, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        artifact_map_batch(mse, gan)
