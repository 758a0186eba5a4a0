"""Separable filtering against SciPy's."""

import numpy as np
import torch
from scipy import ndimage

from desra.losses.filters import correlate, gaussian_window


def test_window_and_filter_are_scipys():
    image = np.random.default_rng(0).random((2, 3, 20, 24))
    tensor = torch.from_numpy(image)
    window = gaussian_window(11, 1.5, like=tensor)
    assert window.sum().item() == 1
    expected = ndimage.gaussian_filter(image, 1.5, radius=5, axes=(2, 3), mode="mirror")
    np.testing.assert_allclose(correlate(tensor, window).numpy(), expected, atol=1e-12)
