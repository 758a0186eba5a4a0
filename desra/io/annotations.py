"""Read masks drawn or corrected by a human, of any format: LabelMe, COCO, polygons, mask images.

A mask is bool ``(H, W)``, True = artifact, in the size of the SR image. Every shape of a file
counts as an artifact, whatever its label: the mask is their union.
"""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Mapping
from pathlib import Path

from desra.io import coco, polygons
from desra.io.images import image_size, read_drawn_mask
from desra.io.labelme import read_labelme
from desra.io.listing import list_images
from desra.io.rle import RLE
from desra.io.shapes import Counts, Size, Sizes, all_shapes, read_json, stem_of
from desra.utils.errors import InputError, listed

logger = logging.getLogger("desra")


def read_human_masks(
    source: str | os.PathLike[str],
    key: str = "masks",
    sizes: Mapping[str, Size] | None = None,
    counts: Counts = all_shapes,
) -> dict[str, RLE]:
    """Read all masks of a source.

    Args:
        source, key: as for `find_human_masks`.
        sizes: (height, width) of each SR image by stem, which the masks must have; compared before
            a mask is decoded. None: masks of any size up to 2^30 pixels.
        counts: which shapes belong to the masks, from what the file says of one; a mask image has
            none to choose from.

    Returns:
        Stem -> mask as run lengths.

    Raises:
        InputError: no such source, or a file that cannot be read, belongs to no image (all are
            listed), or has another size than its image; or mask images that are black paint on
            white pages, as it seems.
    """
    path = Path(source)
    if not path.exists():
        raise InputError(f"{key}: {path} does not exist; check the path")
    check = Sizes(path, key, sizes)
    if path.is_file():
        masks = _read_file(path, check, counts)
    elif files := _json_files(path):
        by_image = check.by_image((stem_of(file.relative_to(path)), file) for file in files)
        masks = {
            stem: RLE.of(read_labelme(file, check.of(stem), counts))
            for stem, file in by_image.items()
        }
    else:
        masks = _read_mask_images(path, key, check)
    if counts is all_shapes and (
        large := {
            stem: mask for stem, mask in masks.items() if 2 * mask.area > math.prod(mask.size)
        }
    ):
        logger.warning(
            "%s: more than half of the image is marked as artifact in %d of %d masks: %s; look "
            "whether they mean that",
            key,
            len(large),
            len(masks),
            listed(
                [f"{stem} ({mask.area / math.prod(mask.size):.0%})" for stem, mask in large.items()]
            ),
        )
    return masks


def _read_file(path: Path, check: Sizes, counts: Counts) -> dict[str, RLE]:
    """Read a file of all masks: COCO, or polygons by the name of the image."""
    content = read_json(path)
    if polygons.is_such(content):
        return polygons.masks_of(content, path, check, counts)
    return coco.masks_of(content, path, check, counts)


def _read_mask_images(folder: Path, key: str, check: Sizes) -> dict[str, RLE]:
    """Read a folder of mask images.

    Raises:
        InputError: as `read_human_masks`; or most of the masks may be black paint on white pages.
    """
    masks: dict[str, RLE] = {}
    pages: list[str] = []
    for stem, file in check.by_image((f.stem, f.path) for f in list_images(folder)).items():
        check.of(stem)(image_size(file))
        mask, may_be_page = read_drawn_mask(file)
        masks[stem] = RLE.of(mask)
        if may_be_page:
            pages.append(str(file))
    if 2 * len(pages) > len(masks):  # one white mask among others means what they mean
        raise InputError(
            f"{key}: {len(pages)} of {len(masks)} masks in {folder} are white for the most part, "
            f"their border too: {listed(pages)}; white is artifact, so if they are black paint on "
            "a white page, invert them, and if so much is artifact, paint it in red on black"
        )
    return masks


def find_human_masks(
    source: str | os.PathLike[str], sizes: Mapping[str, Size], key: str = "masks"
) -> dict[str, RLE]:
    """Read the masks that a human gave for some of the images, and check that they fit them.

    Args:
        source: a folder of LabelMe files (``<stem>.json``, sub-folders kept; images beside them
            are ignored), a COCO file, a file of polygons as `desra.io.polygons` reads it, or a
            folder of mask images, 0 and 255.
        sizes: (height, width) of each SR image by stem.
        key: the option that names the source, for messages.

    Returns:
        Stem -> mask as run lengths, which need little memory. An image without a file has no
        entry; a file without shapes gives an empty mask: no artifact.

    Raises:
        InputError: no such source, or a file that cannot be read, belongs to no image (all are
            listed), or has another size than its image.
    """
    return read_human_masks(source, key, sizes)


def _json_files(folder: Path) -> list[Path]:
    """Return the JSON files in a folder and its sub-folders, without hidden files and folders."""
    return sorted(
        file
        for file in folder.rglob("*")
        if file.suffix.lower() == ".json"
        and not any(part.startswith(".") for part in file.relative_to(folder).parts)
    )
