"""Stage 1: find artifacts. ``python -m desra.detect -opt options/detect.yml``

For each LR image: GAN-SR and MSE-SR, the similarity map D, the mask, and the pseudo ground truth.
Writes ``<output>/{sr_gan,sr_mse,map,mask,overlay,pseudo_gt}/<stem>.png`` (``mask`` full size, 0 or
255; ``map`` 255 D, smaller by the window's border) and ``<output>/manifest.jsonl``.

What a row of the manifest vouches for is not made again, unless the settings or the input changed.
"""

import logging
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np
from tqdm import tqdm

from desra import checkpoints, cli, drawing, manifest
from desra.artifacts import (
    artifact_map,
    components,
    compose_pseudo_gt,
    full_size_mask,
)
from desra.data.pictures import resolve_folder
from desra.errors import InputError
from desra.images import ImageFile, image_size, list_images, pair_by_stem, read_image, write_image
from desra.models import SRImages, SRModel, SRPair
from desra.options import DetectOptions, NetworkOptions, fingerprint, resolved
from desra.registry import import_modules, register_own
from desra.tiling import Tiles

logger = logging.getLogger("desra")


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
    """The images that ``input`` names.

    Raises:
        InputError: a folder is missing or empty, or images do not pair up.
    """
    given = opt.input
    lq = list_images(resolve_folder(given.lq, "lq")) if given.lq else []
    if given.sr_gan is None or given.sr_mse is None:
        return [Job(file.stem, file.path, None) for file in lq]
    names = ("input.sr_gan", "input.sr_mse")
    pairs = pair_by_stem(list_images(given.sr_gan), list_images(given.sr_mse), names)
    inputs: list[ImageFile | None] = [None] * len(pairs)
    if lq:
        gan = [pair[0] for pair in pairs]
        inputs = [low for _, low in pair_by_stem(gan, lq, ("input.sr_gan", "input.lq"))]
    return [
        Job(gan.stem, low.path if low else None, (gan.path, mse.path))
        for (gan, mse), low in zip(pairs, inputs, strict=True)
    ]


def _fault(job: Job, scale: int) -> str | None:
    """Why a job cannot be done, as far as headers tell; None if it can."""
    try:
        sizes = [image_size(path) for path in job.files]
    except InputError as error:
        return str(error)
    if job.finished and sizes[-1] != sizes[-2]:
        gan, mse = job.finished
        return f"{gan} and {mse} differ in size: {sizes[-2]} and {sizes[-1]}"
    if job.finished and job.lq:
        expected = tuple(scale * n for n in sizes[0])
        if sizes[1] != expected:
            return f"{job.finished[0]} is {sizes[1]}, not {scale} times {job.lq} ({expected})"
    return None


def _preflight(jobs: list[Job], opt: DetectOptions) -> list[Job]:
    """The jobs that can be done; the others are listed, and stop the work if so wanted."""
    faults = {job.stem: fault for job in jobs if (fault := _fault(job, opt.scale))}
    if faults and (opt.on_error == "stop" or len(faults) == len(jobs)):
        raise InputError(
            "these inputs cannot be used (on_error: skip passes over them):\n  "
            + "\n  ".join(faults.values())
        )
    for fault in faults.values():
        logger.warning("skipped: %s", fault)
    return [job for job in jobs if job.stem not in faults]


def load_pair(opt: DetectOptions) -> SRPair:
    """The two networks of the options.

    Raises:
        InputError: weights that cannot be loaded, or are of another scale.
    """
    tiles = Tiles(opt.tile.size, opt.tile.overlap)

    def load(section: NetworkOptions) -> SRModel:
        spec = section.network_g.spec() if section.network_g else None
        return SRModel.from_checkpoint(
            section.weights, spec, opt.scale,
            device=opt.device, precision=opt.precision, tiles=tiles,
        )  # fmt: skip

    return SRPair(load(opt.sr_gan), load(opt.sr_mse))


def _settings_hash(opt: DetectOptions) -> str:
    """A hash of all that decides the results except the input images."""
    settings = resolved(opt)
    for key in ("input", "output", "on_error"):
        del settings[key]
    if opt.input.sr_gan is not None:
        for key in ("sr_gan", "sr_mse", "tile", "device", "precision"):
            del settings[key]
    else:
        for key, section in (("sr_gan", opt.sr_gan), ("sr_mse", opt.sr_mse)):
            content = checkpoints.resolve(section.weights).read_bytes()
            settings[key]["weights"] = sha256(content).hexdigest()
    return fingerprint(settings)


def _job_hash(settings: str, job: Job) -> str:
    return fingerprint([settings, [sha256(path.read_bytes()).hexdigest() for path in job.files]])


class _Clock(dict[str, float]):
    """Seconds by name of stage."""

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self[stage] = round(self.get(stage, 0.0) + time.perf_counter() - start, 4)


def _run(job: Job, pair: SRPair | None, opt: DetectOptions, settings: str) -> manifest.Row:
    """Do one job, write its files, return its row."""
    seconds = _Clock()
    out = Path(opt.output)
    with seconds("read"):
        lq = read_image(job.lq) if job.lq else None
        notes = list(lq.notes) if lq else []
        if job.finished:
            gan, mse = (read_image(path) for path in job.finished)
            images = SRImages(job.stem, mse=mse.rgb8, gan=gan.rgb8)
            notes += [f"sr_gan: {n}" for n in gan.notes] + [f"sr_mse: {n}" for n in mse.notes]
    if not job.finished:
        assert pair is not None and lq is not None
        with seconds("sr"):
            images = pair(lq.rgb8, job.stem)
    with seconds("map"):
        D = artifact_map(images.mse, images.gan, opt.window.spec())
    with seconds("mask"):
        mask = full_size_mask(D, images.gan.shape, opt.mask.rule())
    with seconds("write"):
        results = {
            "sr_gan": images.gan,
            "sr_mse": images.mse,
            "map": np.round(D * 255).astype(np.uint8) if D.size else np.zeros((1, 1), np.uint8),
            "mask": mask,
            "overlay": drawing.overlay(images.gan, mask),
            "pseudo_gt": compose_pseudo_gt(images.mse, images.gan, mask),
        }
        for kind in manifest.KINDS:
            write_image(manifest.result(out, kind, job.stem), results[kind])
    height, width = mask.shape
    return manifest.Row(
        stem=job.stem,
        lq=str(job.lq) if job.lq else None,
        lq_size=(lq.rgb.shape[0], lq.rgb.shape[1]) if lq else None,
        sr_size=(height, width),
        scale=opt.scale,
        mask_pixels=int(mask.sum()),
        components=components(mask).count,
        mean_D=float(D.mean()) if D.size else None,
        seconds=dict(seconds),
        settings=settings,
        notes=tuple(notes),
    )


def _log_table(rows: list[manifest.Row], shown: int = 10) -> None:
    """The images with most masked pixels first."""
    found = sorted((r for r in rows if r.components), key=lambda r: -r.mask_share)
    total = sum(r.components for r in rows)
    logger.info("artifacts in %d of %d images, %d components", len(found), len(rows), total)
    if found:
        logger.info("%8s %11s %7s  %s", "masked", "components", "mean D", "image (worst first)")
    for row in found[:shown]:
        logger.info(
            "%7.2f%% %11d %7.3f  %s", 100 * row.mask_share, row.components, row.mean_D, row.stem
        )


def detect(opt: DetectOptions) -> list[manifest.Row]:
    """Find the artifacts of a GAN-SR network.

    Args:
        opt: the options.

    Returns:
        A row for each image, in the order of the inputs.

    Raises:
        InputError: wrong options or input; said before anything is written.
    """
    register_own()
    import_modules(opt.imports)
    jobs = _preflight(find_jobs(opt), opt)
    pair = None if opt.input.sr_gan is not None else load_pair(opt)

    out = Path(opt.output)
    known = manifest.read(out)
    settings = _settings_hash(opt)
    rows: list[manifest.Row] = []
    out.mkdir(parents=True, exist_ok=True)
    # What is known but out of date must not stand beside the new results.
    hashes = {job.stem: _job_hash(settings, job) for job in jobs}
    manifest.write(out, (r for s, r in known.items() if hashes.get(s) == r.settings))
    with (out / manifest.FILE).open("a", encoding="utf-8") as file:
        for job in tqdm(jobs, desc="detect", unit="image"):
            row = known.get(job.stem)
            files = [manifest.result(out, kind, job.stem) for kind in manifest.KINDS]
            whole = row is not None and all(path.is_file() for path in files)
            if row is None or row.settings != hashes[job.stem] or not whole:
                row = _run(job, pair, opt, hashes[job.stem])
                file.write(manifest.to_line(row))
                file.flush()
            rows.append(row)
    manifest.write(out, rows)
    _log_table(rows)
    logger.info("written: %s", out)
    return rows


def main(argv: list[str] | None = None) -> int:
    """The command line."""
    return cli.main("detect", DetectOptions, detect, argv)


if __name__ == "__main__":
    sys.exit(main())
