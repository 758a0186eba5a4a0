"""What is left to remove in a folder that detect wrote, and what came nearest where nothing is."""

from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from desra.artifacts import find_regions, full_size_mask
from desra.io import manifest
from desra.io.results import similarity, whole_mask
from desra.options.detect import DetectOptions


def counted(opt: DetectOptions, folder: Path) -> int:
    """Count the regions of more than ``mask.min_area`` in the masks of a folder.

    The masks may hold smaller ones too.

    Args:
        opt: what counts.
        folder: what detect wrote.
    """
    total = 0
    for row in manifest.read_results(folder, "output").values():
        if row.regions:
            areas = find_regions(whole_mask(folder, row)).areas[1:]
            total += int(np.sum(areas > opt.mask.resolve(row.sr_size, row.scale).min_area))
    return total


class Nearest(NamedTuple):
    """The largest region of an image, whatever its area, and the area that it must exceed."""

    stem: str
    area: int
    min_area: int


def nearest(opt: DetectOptions, folder: Path) -> Nearest | None:
    """Return the image nearest to having an artifact; None: no pixel is below the threshold.

    Args:
        opt: what counts.
        folder: what detect wrote.
    """
    best: Nearest | None = None
    whole = replace(opt.mask, min_area=0)
    for row in manifest.read_results(folder, "output").values():
        D = similarity(folder, row)
        mask = full_size_mask(D, row.sr_size, whole.resolve(row.sr_size, row.scale))
        area = int(find_regions(mask).areas[1:].max(initial=0))
        wanted = int(opt.mask.resolve(row.sr_size, row.scale).min_area)
        if area and (best is None or area * best.min_area > best.area * wanted):
            best = Nearest(row.stem, area, wanted)
    return best
