"""Pictures decoded by Pillow."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from desra.io.files import atomic_write
from desra.io.images import encode_webp
from desra.io.ledger import Ledger
from desra.report.folder import KIND
from desra.report.pictures import Pictures, view_size
from helpers.small import photograph


def decoded(data: bytes) -> np.ndarray:
    image = Image.open(io.BytesIO(data))
    assert image.format == "WEBP"
    return np.asarray(image.convert("RGB"))


def test_view_size() -> None:
    assert view_size((100, 50), 100) == (100, 50)
    assert view_size((100, 50), 64) == (64, 32)
    assert view_size((10, 3000), 64) == (1, 64)


def test_quality() -> None:
    image = photograph(0, 96, 120)
    assert (decoded(encode_webp(image, 100)) == image).all()
    sizes, errors = [], []
    for quality in (30, 85):
        data = encode_webp(image, quality)
        sizes.append(len(data))
        errors.append(np.abs(decoded(data).astype(float) - image).mean())
    assert sizes[0] < sizes[1] < len(encode_webp(image, 100)) and errors[0] > errors[1]
    with pytest.raises(ValueError, match="must be"):
        encode_webp(image[..., :2], 85)


def test_embedded_and_smaller(tmp_path: Path) -> None:
    image = photograph(1, 96, 120)
    url = Pictures(tmp_path, True, 100, 60).add(0, "gan", image)
    head, _, data = url.partition(",")
    assert head == "data:image/webp;base64"
    small = decoded(base64.b64decode(data))
    assert small.shape == (48, 60, 3)
    means = image.reshape(48, 2, 60, 2, 3).mean((1, 3))
    assert np.abs(small - means).mean() < 8
    assert not list(tmp_path.glob("[!.]*"))


def test_beside_the_page(tmp_path: Path) -> None:
    old = tmp_path / "pictures" / "000009_gan.webp"
    own = tmp_path / "pictures" / "mine.webp"
    with Ledger(tmp_path, KIND) as ledger, atomic_write(old) as file:
        file.write(b"x")
    own.write_bytes(b"x")
    image = photograph(2, 40, 40)
    pictures = Pictures(tmp_path, False, 100, 60)
    with ledger:
        url = pictures.add(3, "mse", image)
    assert url == "pictures/000003_mse.webp"
    assert (decoded((tmp_path / url).read_bytes()) == image).all()
    pictures.remove_old(ledger)
    assert (tmp_path / url).exists() and own.exists() and not old.exists()

    own.unlink()
    Pictures(tmp_path, True, 100, 60).remove_old(ledger)
    assert not list(tmp_path.glob("[!.]*"))
