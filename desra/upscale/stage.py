"""Upscaling images one after the other, with or without their artifacts."""

import logging
from contextlib import closing
from pathlib import Path
from typing import Literal

import numpy as np
from tqdm import tqdm

from desra.artifacts import bands
from desra.data.embedded import provide_folder
from desra.finder import ArtifactFinder, log_seams
from desra.io.files import scratch
from desra.io.images import Picture, Pixels, enlarge, image_size, read_image, resize, write_image
from desra.io.ledger import Ledger
from desra.io.listing import ImageFile, list_images, refuse_output_in
from desra.io.lock import held_folder
from desra.io.png import with_alpha, write_png
from desra.networks.pair import SRPair
from desra.options.upscale import UpscaleOptions
from desra.registry import import_modules
from desra.upscale.folder import KIND
from desra.utils.errors import InputError, Unusable
from desra.utils.pipeline import overlapped

logger = logging.getLogger("desra")


def result_of(opt: UpscaleOptions, file: ImageFile) -> Path:
    """Return where the result for an image goes."""
    return Path(opt.output) / f"{file.stem}{opt.suffix}.{opt.format}"


def _find(opt: UpscaleOptions) -> list[ImageFile]:
    """Find the images of the input.

    Raises:
        InputError: there are none, or the results would lie among them.
    """
    source = provide_folder(opt.input, "lq")
    files = list_images(source)
    refuse_output_in(source, opt.output, "input")
    inputs = {file.path.resolve() for file in files}
    if any(result_of(opt, file).resolve() in inputs for file in files):
        raise InputError(
            f"output: {opt.output} holds the input, which the result would replace; "
            "choose another folder, or a suffix"
        )
    if Path(opt.output).is_file():
        raise InputError(f"output: {opt.output} is a file, and the results need a folder")
    return files


class Upscaler:
    """All that upscaling one image takes, loaded once.

    Args:
        opt: the options.

    Raises:
        InputError: weights that cannot be used, two networks of unequal scale, or a detector that
            is unknown or needs what is not there.
    """

    def __init__(self, opt: UpscaleOptions):
        self.opt, self.seams = opt, list[float | None]()
        self.finder: ArtifactFinder | None = None
        if opt.deletion is None:
            opt = opt.model_copy(update={"sr_mse": None})
        self.pair = SRPair.from_options(opt)
        if opt.deletion is not None:
            self.finder = ArtifactFinder.from_options(opt, pair=self.pair, folder=opt.output)

    def __call__(self, picture: Picture) -> tuple[Pixels, Pixels | None]:
        """Upscale an image and its alpha, to the size and depth that the options want."""
        opt, outscale = self.opt, self.opt.outscale
        deep = opt.bits == 16 and picture.rgb.dtype == np.uint16
        resized = outscale is not None and outscale != self.pair.scale
        # What is resized is rounded once, at the end.
        sr = self._sr(picture.rgb, 16 if deep or resized else 8)
        alpha = picture.alpha
        if alpha is not None:
            alpha = enlarge(alpha, sr.shape[:2], sr.dtype == np.uint16)
        if outscale is not None and resized:
            height, width = (max(1, round(n * outscale)) for n in picture.rgb.shape[:2])
            sr = resize(sr, (height, width), deep)
            alpha = None if alpha is None else resize(alpha, (height, width), deep)
        return sr, alpha

    def _sr(self, lq: Pixels, bits: Literal[8, 16]) -> Pixels:
        """Run the network, and delete its artifacts if that is wanted."""
        if self.finder is None:
            shape, dtype = self.pair.gan.result_of(lq.shape, bits)
            return self.pair.gan(lq, bits, scratch(shape, dtype, self.opt.output))
        artifacts = self.finder(lq, bits=bits)
        self.seams.append(artifacts.seam())
        for rows in bands(len(artifacts.mask)):
            artifacts.gan[rows] = artifacts.deleted(rows)
        return artifacts.gan


def _write(path: Path, image: Pixels, alpha: Pixels | None) -> Path:
    if path.suffix == ".png":
        write_png(path, len(image), lambda rows: with_alpha(image[rows], alpha, rows))
    else:
        write_image(path, image, alpha)
    return path


def upscale(opt: UpscaleOptions) -> list[Path]:
    """Upscale images with one SR network.

    Args:
        opt: the options.

    Returns:
        The files that were written, in the order of the inputs.

    Raises:
        InputError: wrong options or input; said before anything is written, but for an image whose
            header is whole and whose pixels are damaged.
    """
    import_modules(opt.imports)
    ledger = Ledger(opt.output, KIND)
    unusable = Unusable(opt.on_error)
    files = unusable.sort_out(_find(opt), lambda file: image_size(file.path, opt.max_pixels))
    ledger.refuse_foreign(result_of(opt, file) for file in files)
    upscaler = Upscaler(opt)
    with held_folder(opt.output, KIND, "output", part=KIND.name) as ledger, ledger:
        written = _upscale(opt, files, upscaler, unusable)
    unusable.refuse_if_all(len(written))
    log_seams(upscaler.seams)
    unusable.sum_up()
    logger.info("written: %s, %d images", opt.output, len(written))
    return written


def _upscale(
    opt: UpscaleOptions, files: list[ImageFile], upscaler: Upscaler, unusable: Unusable
) -> list[Path]:
    """Upscale the images and return what was written."""
    written: list[Path] = []

    def read(file: ImageFile) -> tuple[Path, Picture]:
        picture = read_image(file.path)
        if picture.notes:  # such as colours converted, or frames left out
            logger.info("%s: %s", file.path, "; ".join(picture.notes))
        return result_of(opt, file), picture

    def work(given: tuple[Path, Picture]) -> tuple[Path, Pixels, Pixels | None]:
        return given[0], *upscaler(given[1])

    # Closed at Ctrl-C too: nothing is written any more when the folder is let go of.
    with closing(overlapped(files, read, work, lambda made: _write(*made))) as results:
        for result in tqdm(results, total=len(files), desc="upscale", unit="image"):
            with unusable.passing_over():
                written.append(result())
    return written
