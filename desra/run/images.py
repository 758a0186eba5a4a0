"""The images of a run: listed anew before each round, copied, and each kept on its side.

A copy stays what it was when it was finetuned on, wherever the folder that it came from goes. What
is held out is never finetuned on: content, not names, tells images apart.
"""

import logging
from collections.abc import Iterable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from desra.data.embedded import provide_folder
from desra.io.files import atomic_write, sha256_of
from desra.io.ledger import Ledger
from desra.io.listing import list_images, refuse_output_in
from desra.options.run import RunOptions
from desra.run.lineage import SIDES, Lineage
from desra.utils.errors import InputError, listed
from desra.utils.reading import read_bytes

logger = logging.getLogger("desra")


class New(NamedTuple):
    """An image that joins the run."""

    stem: str
    source: Path
    sha256: str


def folder_of(output: Path, side: str) -> Path:
    """Return the folder of the copies of a side."""
    return output / "images" / side


def luck(sha: str, seed: int) -> float:
    """Return a number in [0, 1) that content and seed decide."""
    return int.from_bytes(sha256(f"{seed}:{sha}".encode()).digest()[:8], "big") / 2**64


def new_images(opt: RunOptions, lineage: Lineage, number: int) -> dict[str, list[New]]:
    """List the images that would join in a round, by side; nothing is written.

    Raises:
        InputError: a folder is missing or without images, or the results would lie in it.
    """
    known = {entry["sha256"] for side in SIDES for entry in lineage.images(side).values()}
    first = not known
    sources = [opt.input.lq, *opt.input.add[: number - 1]]
    heldout: list[New] = []
    if opt.holdout is not None:
        heldout = list(_unknown(_listed(opt, [opt.holdout], "holdout"), known))
    fresh = list(_unknown(_listed(opt, sources, "input.lq"), known))
    if opt.holdout is not None:
        return {"heldout": heldout, "finetuned": fresh}
    if not first:
        chosen = {new for new in fresh if luck(new.sha256, opt.manual_seed) < opt.holdout_share}
    else:  # a share of few images, to the nearest whole number
        by_luck = sorted(fresh, key=lambda new: luck(new.sha256, opt.manual_seed))
        chosen = set(by_luck[: round(opt.holdout_share * len(fresh))])
    return {
        "heldout": [new for new in fresh if new in chosen],
        "finetuned": [new for new in fresh if new not in chosen],
    }


def _listed(opt: RunOptions, sources: Iterable[str], key: str) -> Iterator[New]:
    for source in sources:
        folder = provide_folder(source, "lq")
        refuse_output_in(folder, opt.output, key)
        for file in list_images(folder):
            yield New(file.stem, file.path, sha256_of(file.path))


def _unknown(images: Iterable[New], known: set[str]) -> Iterator[New]:
    """Yield the images whose SHA-256 is not in ``known``, and add it."""
    for image in images:
        if image.sha256 not in known:
            known.add(image.sha256)
            yield image


def take_in(opt: RunOptions, lineage: Lineage, number: int, ledger: Ledger) -> dict[str, list[str]]:
    """Copy the images that join in a round and enter it into the lineage.

    Args:
        opt: the options.
        lineage: what was done before.
        number: of the round.
        ledger: of the run's folder; it knows the copies.

    Returns:
        The stems that joined, by side.

    Raises:
        InputError: as :func:`new_images`, or there is nothing to finetune on.
    """
    joined: dict[str, list[str]] = {}
    for side, images in new_images(opt, lineage, number).items():
        folder, entries = folder_of(Path(opt.output), side), lineage.images(side)
        joined[side] = []
        for image in images:
            # Cameras number their files, so folders that are added hold names of others.
            stem = image.stem
            if stem in entries:
                stem = f"{stem}_{image.sha256[:6]}"
            with atomic_write(folder / f"{stem}{image.source.suffix}") as file:
                file.write(read_bytes(image.source))
            entries[stem] = {
                "sha256": image.sha256,
                "source": str(image.source),
                "round": number,
            }
            joined[side].append(stem)
        _remove_others(folder, set(entries), ledger)
    if not lineage.images("finetuned"):
        raise InputError(
            f"input.lq: no image of {opt.input.lq} is left to finetune on, for all are held out; "
            "give more images or another holdout"
        )
    return joined


def _others(folder: Path, stems: set[str]) -> list[Path]:
    """List the images of a folder of copies that are none of the run's."""
    if not folder.is_dir() or not any(folder.iterdir()):
        return []
    return [file.path for file in list_images(folder) if file.stem not in stems]


def refuse_foreign(output: Path, lineage: Lineage, ledger: Ledger) -> None:
    """Refuse images that lie among the copies and that the run did not put there.

    Raises:
        InputError: there are any.
    """
    for side in SIDES:
        ledger.refuse_foreign(_others(folder_of(output, side), set(lineage.images(side))))


def _remove_others(folder: Path, stems: set[str], ledger: Ledger) -> None:
    """Delete what was copied before a process was killed, and is not wanted any more."""
    removed = [path for path in _others(folder, stems) if ledger.remove(path)]
    if removed:
        logger.info("removed from %s: %s", folder, listed(path.name for path in removed))
