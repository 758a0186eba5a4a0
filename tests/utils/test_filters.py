import numpy as np
import pytest
from scipy import ndimage

from desra.utils.filters import blur


@pytest.mark.parametrize("shape", [(40, 50), (40, 50, 1), (40, 50, 3)])
@pytest.mark.parametrize("sigma", [0.5, 2.0])
def test_blur(shape: tuple[int, ...], sigma: float):
    values = np.random.default_rng(0).uniform(0, 255, shape).astype(np.float32)
    found = blur(values, sigma)
    assert found.dtype == np.float32 and found.shape == shape
    sigmas = (sigma, sigma, *[0] * (len(shape) - 2))
    # OpenCV cuts a float kernel at 4 sigma.
    expected = ndimage.gaussian_filter(values.astype(float), sigmas, mode="mirror", truncate=4)
    np.testing.assert_allclose(found, expected, atol=0.05)
