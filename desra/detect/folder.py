"""The output folder of detect: what it writes there, and how an earlier version's is recognised."""

import re
from pathlib import Path

from desra.io import manifest
from desra.io.ledger import Kind, machine_written
from desra.utils.errors import InputError

#: Exports of all masks in one file, by the names of the option ``export``.
COCO = {"coco": "coco.json", "coco_polygons": "coco_polygons.json"}
#: Exports of a file for each image, which are also the names of their folders.
LABELME = ("labelme", "labelme_polygons")
#: Folders that detect fills.
FILLED = (*manifest.KINDS, "deleted")


def _is_earlier(folder: Path) -> bool:
    """Return whether a folder without a ledger holds a manifest and the options that made it."""
    if not (folder / manifest.FILE).is_file():
        return False
    try:
        manifest.read(folder)
    except InputError:
        return False
    return {"input", "output", "mask"} <= machine_written(folder / manifest.OPTIONS).keys()


def _of_earlier(folder: Path, name: str) -> bool:
    """Return whether a file is what an earlier version wrote: a LabelMe file may be a person's."""
    return not name.startswith("labelme/")


KIND = Kind(
    "detect",
    re.compile(
        r"options\.yml|manifest\.jsonl|coco(_polygons)?\.json"
        r"|labelme(_polygons)?/.+\.json"
        rf"|({'|'.join(FILLED)})/.+\.png"
    ),
    _is_earlier,
    states=frozenset({manifest.FILE, manifest.OPTIONS}),
    of_earlier=_of_earlier,
)
