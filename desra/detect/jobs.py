"""What detect is asked to look at: LR images, or finished SR pairs; checked by headers."""

from dataclasses import dataclass
from pathlib import Path

from desra.data.embedded import provide_folder
from desra.detectors.segment import Segmenter
from desra.io.images import common_size, image_size
from desra.io.listing import ImageFile, list_images, pair_by_stem, refuse_output_in
from desra.options.detect import DetectOptions
from desra.utils.errors import InputError


@dataclass(frozen=True)
class Job:
    """One image to look at: an LR image, or a finished pair, perhaps with its LR image."""

    stem: str
    lq: Path | None
    finished: tuple[Path, Path] | None  # sr_gan, sr_mse

    @property
    def files(self) -> tuple[Path, ...]:
        """All that the results depend on."""
        return ((self.lq,) if self.lq else ()) + (self.finished or ())


def find_jobs(opt: DetectOptions) -> list[Job]:
    """Find the images that ``input`` names.

    Raises:
        InputError: a folder is missing or empty, images do not pair up, or the results would lie
            among the inputs.
    """
    folders = opt.input
    for key, folder in folders:
        if folder is not None:
            refuse_output_in(folder, opt.output, f"input.{key}")
    lq = list_images(provide_folder(folders.lq, "lq")) if folders.lq else []
    if folders.sr_gan is None or folders.sr_mse is None:
        return [Job(file.stem, file.path, None) for file in lq]
    names = ("input.sr_gan", "input.sr_mse")
    pairs = pair_by_stem(list_images(folders.sr_gan), list_images(folders.sr_mse), names)
    inputs: list[ImageFile | None] = [None] * len(pairs)
    if lq:
        gan = [pair[0] for pair in pairs]
        inputs = [low for _, low in pair_by_stem(gan, lq, ("input.sr_gan", "input.lq"))]
    return [
        Job(gan.stem, low.path if low else None, (gan.path, mse.path))
        for (gan, mse), low in zip(pairs, inputs, strict=True)
    ]


def sr_size(job: Job, scale: int, max_pixels: int | None = None) -> tuple[int, int]:
    """Read (height, width) of the SR images from headers.

    Raises:
        InputError: a header that cannot be read, or a finished pair of unequal sizes.
    """
    if job.finished:
        return common_size(*job.finished)
    assert job.lq is not None  # a job has one or the other
    height, width = image_size(job.lq, max_pixels)
    return height * scale, width * scale


def check(job: Job, scale: int, segmenter: Segmenter | None, max_pixels: int | None = None) -> None:
    """Check by the headers whether a job can be done.

    Raises:
        InputError: it cannot.
    """
    size = sr_size(job, scale, max_pixels)
    if segmenter is not None:
        segmenter.check(job.stem, size)
    if job.finished and job.lq:
        expected = tuple(scale * n for n in image_size(job.lq))
        if size != expected:
            raise InputError(
                f"{job.finished[0]} is {size}, not {scale} times {job.lq} ({expected})"
            )
