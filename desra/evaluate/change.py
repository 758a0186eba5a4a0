"""Before against after: which images there are, their files, and what is measured of one.

**What is divided by zero is undefined and reads null**, as does the PSNR of equal images (their
``mse_outside`` is 0). In the total, counts are added up first and divided once; ``psnr_outside``,
``detail_kept`` and ``psnr_gt_inside_*`` are pooled over all pixels; ``psnr_outside_mean``, SSIM,
NIQE, consistency, whole-image PSNR and pyiqa's metrics are means over images. An image has a part
in a mean of before and after only where both are defined and finite, so that the two are means
over the same images.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from desra.data.embedded import provide_folder
from desra.io import manifest
from desra.io.images import read_rgb8
from desra.io.listing import list_images
from desra.io.results import read_pairs, read_result, whole_map, whole_mask
from desra.metrics import rows
from desra.metrics.metric import Metric, Scores, measure
from desra.utils.errors import InputError, listed

logger = logging.getLogger("desra")

Image = NDArray[np.uint8]


@dataclass(frozen=True)
class ComparedImage:
    """One image before and after.

    Attributes:
        before, after: its rows in the manifests of the two folders.
        lq, gt: paths of its LR image and of its true HR image; None: there is none.
    """

    before: manifest.Row
    after: manifest.Row
    lq: Path | None
    gt: Path | None

    @property
    def stem(self) -> str:
        """Name of the image's files."""
        return self.before.stem


def find_images(
    before_folder: str, after_folder: str, gt: str | None = None
) -> list[ComparedImage]:
    """List the images of the two folders, in the order of ``before``.

    Args:
        before_folder, after_folder: what detect wrote.
        gt: the folder of true HR images; None: none.

    Raises:
        InputError: a folder without results, an image that only one of them has, or in another
            size, or that has no truth in ``gt``.
    """
    pairs = read_pairs(before_folder, after_folder)
    truth: dict[str, Path] = {}
    if gt is not None:
        truth = {file.stem: file.path for file in list_images(provide_folder(gt, "gt"))}
        if missing := sorted({before.stem for before, _ in pairs} - truth.keys()):
            raise InputError(
                f"gt: {gt} lacks {len(missing)} of {len(pairs)} images: {listed(missing)}; "
                "give it the same file names as the inputs, or leave gt out"
            )
    if all(before.settings == after.settings for before, after in pairs):
        logger.warning("before and after were made from the same inputs by the same networks")
    images: list[ComparedImage] = []
    lost: list[str] = []
    for before, after in pairs:
        named = [Path(name) for name in (before.lq, after.lq) if name]
        lq = next((path for path in named if path.is_file()), None)
        if named and not lq:
            lost.append(before.stem)
        images.append(ComparedImage(before, after, lq, truth.get(before.stem)))
    if lost:
        logger.warning(
            "LR images that are no longer there, left out: %s (%s)",
            listed(sorted(lost)),
            manifest.places_of_lq(before_folder),
        )
    return images


class ComparedFiles:
    """The pictures of one image before and after, read when asked for.

    Args:
        before, after: the two folders.
        image: which one.
        protocol: released: masks come without their border, where nothing is marked then.
    """

    def __init__(
        self,
        before: str,
        after: str,
        image: ComparedImage,
        protocol: Literal["full", "released"] = "full",
    ) -> None:
        self._rows = {"before": (Path(before), image.before), "after": (Path(after), image.after)}
        self._released = protocol == "released"
        self.compared = image

    def image(self, when: str, kind: str) -> Image:
        """Read sr_gan or sr_mse, uint8 ``(H, W, 3)``."""
        folder, row = self._rows[when]
        return read_result(folder, kind, row)

    def mask(self, when: str) -> NDArray[np.bool_]:
        """Read the mask, bool ``(H, W)``."""
        return whole_mask(*self._rows[when], cropped=self._released)

    def map(self) -> NDArray[np.float64]:
        """Read D before, as `desra.io.results.whole_map`."""
        return whole_map(*self._rows["before"])

    def lq(self) -> Image | None:
        """Read the LR image, uint8 ``(h, w, 3)``; None: there is none."""
        compared = self.compared
        return read_rgb8(compared.lq, compared.before.size_of_lq) if compared.lq else None

    def gt(self) -> Image | None:
        """Read the true HR image, uint8 ``(H, W, 3)``; None: there is none."""
        compared = self.compared
        return read_rgb8(compared.gt, compared.before.sr_size) if compared.gt else None


def score(files: ComparedFiles, metrics: Sequence[Metric]) -> Scores:
    """Measure one image.

    Args:
        files: its pictures.
        metrics: the rows, of `desra.metrics.rows`.

    Raises:
        InputError: a file is missing or of the wrong size.
    """
    change = rows.Change(
        stem=files.compared.stem,
        before=files.image("before", "sr_gan"),
        after=files.image("after", "sr_gan"),
        mask=files.mask("before"),
        mask_after=files.mask("after"),
        mse=files.image("before", "sr_mse"),
        lq=files.lq(),
        gt=files.gt(),
    )
    return measure(metrics, change)
