"""Upscale images with one network. ``python -m desra.upscale -i IN -o OUT --model WEIGHTS``

For the daily use of a network, a finetuned one for example: an image or a folder, of which the
sub-folders are kept. Transparency is upscaled beside the colours; ``-opt options/upscale.yml`` and
``--force_yml`` set all that has no flag.
"""

import logging
import sys
from pathlib import Path

import numpy as np
from tqdm import tqdm

from desra import cli
from desra.data.pictures import resolve_folder
from desra.errors import InputError, Unusable
from desra.images import (
    ImageFile,
    Picture,
    Pixels,
    enlarge,
    image_size,
    list_images,
    read_image,
    remove_unfinished,
    resize,
    scratch,
    write_image,
)
from desra.models import SRModel
from desra.options import UpscaleOptions
from desra.pipeline import overlapped
from desra.png import with_alpha, write_png
from desra.registry import import_modules

logger = logging.getLogger("desra")

FLAGS = {
    "-i": ("input", "an image or a folder"),
    "-o": ("output", "folder for the results"),
    "--model": ("model:weights", "a checkpoint, a name of `desra.weights list`, or embedded:gan"),
    "--outscale": ("outscale", "size of the result in sizes of the input"),
    "--suffix": ("suffix", "added to the name of a file"),
    "--format": ("format", "png, tif, webp or jpg"),
}


def result_of(opt: UpscaleOptions, file: ImageFile) -> Path:
    """Where the result for an image goes."""
    return Path(opt.output) / f"{file.stem}{opt.suffix}.{opt.format}"


def _find(opt: UpscaleOptions) -> list[ImageFile]:
    """The images of the input.

    Raises:
        InputError: there are none, or the results would lie among them.
    """
    source = resolve_folder(opt.input, "lq")
    files = list_images(source)
    output = Path(opt.output).resolve()
    among = source.is_dir() and source.resolve() in (output, *output.parents)
    inputs = {file.path.resolve() for file in files}
    if among or any(result_of(opt, file).resolve() in inputs for file in files):
        raise InputError(
            f"output: {opt.output} lies in the input, which the results would replace or join; "
            "choose a folder outside"
        )
    if output.is_file():
        raise InputError(f"output: {opt.output} is a file, and the results need a folder")
    return files


def _upscaled(
    model: SRModel, opt: UpscaleOptions, picture: Picture
) -> tuple[Pixels, Pixels | None]:
    """The result for an image and its alpha, in the size and depth that the options want."""
    deep = opt.bits == 16 and picture.rgb.dtype == np.uint16
    resized = opt.outscale is not None and opt.outscale != model.scale
    # What is resized is rounded once, at the end.
    bits = 16 if deep or resized else 8
    sr = model(picture.rgb, bits, scratch(*model.result_of(picture.rgb.shape, bits), opt.output))
    alpha = picture.alpha
    if alpha is not None:
        alpha = enlarge(alpha, sr.shape[:2], sr.dtype == np.uint16)
    if opt.outscale is not None and resized:
        height, width = (max(1, round(n * opt.outscale)) for n in picture.rgb.shape[:2])
        sr = resize(sr, (height, width), deep)
        alpha = None if alpha is None else resize(alpha, (height, width), deep)
    return sr, alpha


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
    unusable = Unusable(opt.on_error)
    files = unusable.sort_out(_find(opt), lambda file: image_size(file.path))
    model = SRModel.from_options(opt.model, opt.tile, opt)
    remove_unfinished(opt.output)
    written: list[Path] = []

    def read(file: ImageFile) -> tuple[Path, Picture]:
        return result_of(opt, file), read_image(file.path)

    def work(given: tuple[Path, Picture]) -> tuple[Path, Pixels, Pixels | None]:
        return given[0], *_upscaled(model, opt, given[1])

    results = overlapped(files, read, work, lambda made: _write(*made))
    for result in tqdm(results, total=len(files), desc="upscale", unit="image"):
        with unusable.passing_over():
            written.append(result())
    unusable.refuse_if_all(len(written))
    unusable.sum_up()
    logger.info("written: %s, %d images", opt.output, len(written))
    return written


def main(argv: list[str] | None = None) -> int:
    """The command line."""
    return cli.main("upscale", UpscaleOptions, upscale, argv, flags=FLAGS)


if __name__ == "__main__":
    sys.exit(main())
