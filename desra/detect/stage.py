"""Finding artifacts in images, one after the other."""

import logging
import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from desra.artifacts import apply_class_weights, crop_to, find_regions
from desra.detect.agreement import Agreement
from desra.detect.folder import COCO, FILLED, KIND, LABELME
from desra.detect.jobs import Job, check, find_jobs, sr_size
from desra.detectors import Detector, Images
from desra.detectors.segment import Segmenter, make_segmenter, segment_weights
from desra.finder import ArtifactFinder, Artifacts, log_seams
from desra.io import drawing, manifest
from desra.io.annotations import find_human_masks
from desra.io.coco import write_coco
from desra.io.files import sha256_of
from desra.io.images import Picture, Pixels, enlarge, read_image, to_uint8
from desra.io.labelme import write_labelme
from desra.io.ledger import Ledger, inputs_of, refuse_inputs_in
from desra.io.lock import held_folder
from desra.io.png import with_alpha, write_png
from desra.io.results import whole_mask
from desra.networks import checkpoints
from desra.networks.pair import partner_of
from desra.options.detect import DetectOptions
from desra.options.loading import fingerprint, resolved
from desra.registry import import_modules
from desra.utils.disk import told_if_full
from desra.utils.errors import Unusable, listed
from desra.utils.pipeline import overlapped

logger = logging.getLogger("desra")


def _settings_hash(opt: DetectOptions, detector: Detector) -> str:
    """Return a hash of all that decides results but what belongs to a single image."""
    settings = resolved(opt)
    if own := detector.fingerprint():
        settings["detector"]["fingerprint"] = own
    for key in (
        "input",
        "output",
        "on_error",
        "segment",
        "masks",
        "export",
        "max_pixels",
        "verify",
    ):
        del settings[key]
    if opt.deletion is None:  # folders from before there was such a key stay valid
        del settings["deletion"]
    if opt.input.sr_gan is not None:
        for key in ("sr_gan", "sr_mse", "tile"):
            del settings[key]
        if opt.segment.type != "segformer":  # then no network runs
            del settings["device"], settings["precision"]
    else:
        for key, section in (("sr_gan", opt.sr_gan), ("sr_mse", opt.sr_mse)):
            if section is not None:
                settings[key]["weights"] = sha256_of(checkpoints.resolve(section.weights))
    return fingerprint(settings)


class _Clock(dict[str, float]):
    """Seconds by name of stage."""

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self[stage] = round(self.get(stage, 0.0) + time.perf_counter() - start, 4)


@dataclass(frozen=True, eq=False)
class Loaded:
    """A job and its files, read."""

    job: Job
    lq: Picture | None
    finished: tuple[Picture, Picture] | None  # sr_gan, sr_mse
    seconds: _Clock


@dataclass(frozen=True, eq=False)
class JobResult:
    """What detection made of a job.

    Attributes:
        loaded: the job.
        artifacts: SR images, map and mask.
        alpha: (H, W) in their type, or None.
        regions: how many there are in the mask.
        seam: the step in colour at the seams of the deletion; None without.
        notes: what was converted.
    """

    loaded: Loaded
    artifacts: Artifacts
    alpha: Pixels | None
    regions: int
    seam: float | None
    notes: tuple[str, ...]


class Detection:
    """All that finding artifacts in one image takes, loaded once.

    Args:
        opt: the options.
        jobs: what will be asked for.
        segmenter: the source of class ids, if there is one.

    Raises:
        InputError: weights, a table of classes or human masks that cannot be used.
    """

    def __init__(self, opt: DetectOptions, jobs: list[Job], segmenter: Segmenter | None):
        self.opt, self.segmenter, self._agreement = opt, segmenter, Agreement()
        given: set[str] | None = None
        if opt.input.sr_gan is not None:
            given = {"mse", "lq"} if all(job.lq for job in jobs) else {"mse"}
        self.finder = ArtifactFinder.from_options(opt, given=given, folder=opt.output)
        self.weights = segment_weights(opt.segment, segmenter.names) if segmenter else np.ones(0)
        sizes = {job.stem: sr_size(job, opt.scale) for job in jobs}
        self.human = find_human_masks(opt.masks, sizes) if opt.masks else {}
        self._settings = _settings_hash(opt, self.finder.detector)
        self.hashes = {job.stem: self._hash_of(job) for job in jobs}

    def _hash_of(self, job: Job) -> str:
        """Return a hash that changes when the results of the job would."""
        human, segmenter = self.human.get(job.stem), self.segmenter
        classes = None
        if segmenter is not None:
            classes = [segmenter.fingerprint(job.stem), segmenter.names, self.weights.tolist()]
        files = [sha256_of(path) for path in job.files]
        return fingerprint([self._settings, files, classes, human.counts if human else None])

    def read(self, job: Job) -> Loaded:
        """Read what the job needs.

        Raises:
            InputError: a file is damaged.
        """
        seconds = _Clock()
        with seconds("read"):
            lq = read_image(job.lq) if job.lq else None
            finished = None
            if job.finished:
                gan, mse = (read_image(path) for path in job.finished)
                finished = gan, mse
        return Loaded(job, lq, finished, seconds)

    def find(self, loaded: Loaded) -> JobResult:
        """Find the artifacts of a job; what is large lies on disk."""
        job, seconds = loaded.job, loaded.seconds
        with seconds("sr"):
            images, alpha, notes = self._images(loaded)
            self._agreement.check(images)
        weigh = None
        if self.segmenter is not None:
            with seconds("segment"):
                labels = self.segmenter(to_uint8(images.gan), job.stem)
                labels = crop_to(labels, self.finder.window.map_size(images.gan.shape))
                weigh = partial(_weighted, labels=labels, weights=self.weights)
        with seconds("map"):
            artifacts = self.finder.look(images, weigh)
        with seconds("mask"):
            if job.stem in self.human:
                artifacts = replace(artifacts, drawn=self.human[job.stem].mask())
                notes.append("mask: by a human")
            regions = find_regions(artifacts.mask).count
        seam = None
        if self.opt.deletion is not None:
            with seconds("seam"):
                seam = artifacts.seam()
        return JobResult(loaded, artifacts, alpha, regions, seam, tuple(notes))

    def _images(self, loaded: Loaded) -> tuple[Images, Pixels | None, list[str]]:
        """Return the images of a job, alpha in SR size, and what was converted."""
        stem, picture, scale = loaded.job.stem, loaded.lq, self.opt.scale
        notes = list(picture.notes) if picture else []
        if loaded.finished:
            gan, mse = loaded.finished
            notes += [f"sr_gan: {n}" for n in gan.notes] + [f"sr_mse: {n}" for n in mse.notes]
            lq = picture.rgb if picture else None
            if gan.rgb.dtype == mse.rgb.dtype:
                images = Images(gan.rgb, mse.rgb, lq, scale=scale, stem=stem)
                return images, gan.alpha, notes
            # The pseudo ground truth is made of both.
            notes.append("rounded to 8 bits, as the partner is")
            return Images(gan.rgb8, mse.rgb8, lq, scale=scale, stem=stem), gan.alpha8, notes
        assert picture is not None  # jobs are of one kind
        deep = self.opt.sr_bits == 16 and picture.rgb.dtype == np.uint16
        images = self.finder.upscale(picture.rgb, stem, 16 if deep else 8)
        alpha = picture.alpha
        if alpha is not None:
            alpha = enlarge(alpha, images.gan.shape[:2], deep)
        return images, alpha, notes

    def write(self, result: JobResult, ledger: Ledger) -> manifest.Row:
        """Write the files of an image and return its row of the manifest."""
        job, lq, seconds = result.loaded.job, result.loaded.lq, result.loaded.seconds
        mask = result.artifacts.mask
        with seconds("write"):
            self._write_files(result, ledger)
        return manifest.Row(
            stem=job.stem,
            lq=str(job.lq) if job.lq else None,
            lq_size=(lq.rgb.shape[0], lq.rgb.shape[1]) if lq else None,
            sr_size=(mask.shape[0], mask.shape[1]),
            scale=self.opt.scale,
            mask_pixels=int(mask.sum()),
            regions=result.regions,
            mean_D=result.artifacts.mean,
            seconds=dict(seconds),
            settings=self.hashes[job.stem],
            notes=result.notes,
            seam=result.seam,
        )

    def _write_files(self, result: JobResult, ledger: Ledger) -> None:
        artifacts, alpha = result.artifacts, result.alpha
        gan, mse, mask = artifacts.gan, artifacts.mse, artifacts.mask
        drawn = drawing.Overlay(mask)
        colour: dict[str, Callable[[slice], Pixels]] = {
            "sr_gan": lambda rows: with_alpha(gan[rows], alpha, rows),
            "sr_mse": lambda rows: with_alpha(mse[rows], alpha, rows),
            "pseudo_gt": lambda rows: with_alpha(artifacts.pseudo_gt(rows), alpha, rows),
            "overlay": lambda rows: drawn.rows(to_uint8(gan[rows]), rows.start),
        }
        if self.opt.deletion is None:
            ledger.remove(self._file(result, "deleted"))  # of other settings
        else:
            colour["deleted"] = lambda rows: with_alpha(artifacts.deleted(rows), alpha, rows)
        for kind, rows_of in colour.items():
            write_png(self._file(result, kind), len(gan), rows_of)
        if artifacts.map.size == 0:  # an image smaller than the window
            write_png(self._file(result, "map"), 1, np.zeros((1, 1), np.uint8).__getitem__)
        else:
            write_png(self._file(result, "map"), len(artifacts.map), artifacts.map8)
            if self.opt.protocol == "released":
                mask = crop_to(mask, artifacts.map.shape)
        write_png(self._file(result, "mask"), len(mask), mask.__getitem__)

    def _file(self, result: JobResult, kind: str) -> Path:
        return manifest.result(Path(self.opt.output), kind, result.loaded.job.stem)


def _weighted(
    D: NDArray[np.float64], rows: slice, labels: NDArray[Any], weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    return apply_class_weights(D, labels[rows], weights)


def _export(opt: DetectOptions, rows: list[manifest.Row]) -> None:
    """Write the masks for annotation tools; files that are there may have been corrected: kept."""
    out = Path(opt.output)
    for kind in (kind for kind in LABELME if kind in opt.export):
        for row in rows:
            path = out / kind / f"{row.stem}.json"
            if path.exists():
                logger.warning("kept: %s (delete it to have it written anew)", path)
            else:
                picture = manifest.result(out, "sr_gan", row.stem)
                polygons = kind == "labelme_polygons"
                write_labelme(path, whole_mask(out, row), picture, polygons=polygons)
    for kind, name in _coco_files(opt).items():
        masks = ((f"{row.stem}.png", whole_mask(out, row)) for row in rows)
        write_coco(out / name, masks, polygons=kind == "coco_polygons")


def _coco_files(opt: DetectOptions) -> dict[str, str]:
    """Return the COCO files that the options ask for, by the names of ``export``."""
    return {kind: name for kind, name in COCO.items() if kind in opt.export}


def _log_table(rows: list[manifest.Row], shown: int = 10) -> None:
    """Log the images, those with most masked pixels first."""
    marked = sorted((r for r in rows if r.regions), key=lambda r: -r.mask_share)
    total = sum(r.regions for r in rows)
    logger.info("artifacts in %d of %d images, %d regions", len(marked), len(rows), total)
    if marked:
        logger.info("%8s %11s %7s  %s", "masked", "regions", "mean D", "image (worst first)")
    for row in marked[:shown]:
        mean_D = math.nan if row.mean_D is None else row.mean_D
        logger.info("%7.2f%% %11d %7.3f  %s", 100 * row.mask_share, row.regions, mean_D, row.stem)


def _files(opt: DetectOptions, stem: str) -> list[Path]:
    """List the images that are written for an image."""
    kinds = (*manifest.KINDS, *(["deleted"] if opt.deletion else []))
    return [manifest.result(Path(opt.output), kind, stem) for kind in kinds]


def _is_done(opt: DetectOptions, stem: str, known: Mapping[str, manifest.Row]) -> bool:
    """Return whether the manifest vouches for an image and its files are still there."""
    return stem in known and all(path.is_file() for path in _files(opt, stem))


def _todo(
    opt: DetectOptions, detection: "Detection", jobs: list[Job], ledger: Ledger
) -> tuple[dict[str, manifest.Row], list[Job]]:
    """Return the rows that are up to date, and the jobs that are still to be done.

    Raises:
        InputError: what they write would replace files that detect did not write.
    """
    out = Path(opt.output)
    known = {
        stem: row
        for stem, row in manifest.read(out).items()
        if detection.hashes.get(stem) == row.settings
    }
    todo = [job for job in jobs if not _is_done(opt, job.stem, known)]
    coco = [out / name for name in _coco_files(opt).values()]
    files = [path for job in todo for path in _files(opt, job.stem)]
    ledger.refuse_foreign([out / manifest.FILE, out / manifest.OPTIONS, *coco, *files])
    return known, todo


def detect(opt: DetectOptions) -> list[manifest.Row]:
    """Find the artifacts of a GAN-SR network.

    Args:
        opt: the options.

    Returns:
        A row for each image, in the order of the inputs.

    Raises:
        InputError: wrong options or input; said before anything is written, but for an image whose
            header is whole and whose pixels are damaged.
    """
    import_modules(opt.imports)
    ledger, out = Ledger(opt.output, KIND), Path(opt.output)
    names = (*FILLED, manifest.FILE, manifest.OPTIONS, *_coco_files(opt).values())
    refuse_inputs_in([out / name for name in names], inputs_of(opt, ("output",)), "output")
    if opt.input.lq is not None:
        opt = opt.model_copy(update={"sr_mse": partner_of(opt.sr_gan, opt.sr_mse)})
    segmenter = make_segmenter(opt.segment, opt.device, opt.precision)
    unusable = Unusable(opt.on_error)
    jobs = unusable.sort_out(
        find_jobs(opt), lambda job: check(job, opt.scale, segmenter, opt.max_pixels)
    )
    detection = Detection(opt, jobs, segmenter)
    _todo(opt, detection, jobs, ledger)  # said before a folder is made
    with held_folder(out, KIND, "output", part=KIND.name) as ledger, ledger:
        rows = _detect(opt, detection, jobs, ledger, unusable)
    _log_table(rows)
    log_seams(row.seam for row in rows)
    unusable.sum_up()
    logger.info("written: %s", out)
    return rows


def _detect(
    opt: DetectOptions, detection: Detection, jobs: list[Job], ledger: Ledger, unusable: Unusable
) -> list[manifest.Row]:
    """Do the jobs that are not done, and return the rows of all."""
    out = Path(opt.output)
    known, todo = _todo(opt, detection, jobs, ledger)
    # What is known but out of date must not stand beside the new results.
    manifest.write(out, known.values())
    manifest.write_options(out, opt)
    rows = {job.stem: known[job.stem] for job in jobs if job not in todo}
    kept = [
        str(path)
        for stem in rows
        for path in _files(opt, stem)
        if not ledger.is_whole(path, opt.verify)
    ]
    if kept:
        logger.warning(
            "changed since detect wrote them, by hand or damage, and kept as they are: %s; delete "
            "one to have it made anew",
            listed(kept),
        )
    bar = tqdm(total=len(jobs), initial=len(rows), desc="detect", unit="image")
    log = out / manifest.FILE
    with bar, told_if_full(log), log.open("a", encoding="utf-8") as file:

        def write(result: JobResult) -> manifest.Row:
            row = detection.write(result, ledger)
            file.write(manifest.to_line(row))
            file.flush()
            return row

        # Closed at Ctrl-C too: nothing is written any more when the folder is let go of.
        with closing(overlapped(todo, detection.read, detection.find, write)) as results:
            for written in results:
                with unusable.passing_over():
                    row = written()
                    rows[row.stem] = row
                bar.update()
    finished = [rows[job.stem] for job in jobs if job.stem in rows]
    manifest.write(out, finished)
    unusable.refuse_if_all(len(finished))
    _export(opt, finished)
    return finished
