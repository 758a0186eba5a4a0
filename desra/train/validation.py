"""Scores on whole images while a network learns, and the best checkpoint by one of them."""

import logging
import math
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from desra.data.paired_dataset import found_pairs
from desra.detectors import Images
from desra.finder import ArtifactFinder, warn_if_other
from desra.io import manifest
from desra.io.images import image_size, read_mask, read_rgb8
from desra.io.rle import RLE
from desra.metrics.mask_scores import ChangeCounts, Sums, count_change
from desra.metrics.quality import Detail, Mean, SquaredError, detail, psnr, squared_error, ssim
from desra.models.base_model import TrainableModel
from desra.networks.load import as_network
from desra.networks.sr_network import SRNetwork
from desra.options.loading import resolved
from desra.options.train import TrainOptions, ValOptions
from desra.utils import distributed
from desra.utils.errors import InputError, refuse_if_any, sort_out

logger = logging.getLogger("desra")


@dataclass(frozen=True)
class Subject:
    """An image to score: its LR image, its truth, and what detect made of it, if it did."""

    lq: Path
    gt: Path
    folder: Path | None = None
    stem: str = ""

    def result(self, kind: str) -> Path:
        """Return the path of one of detect's files."""
        assert self.folder is not None
        return manifest.result(self.folder, kind, self.stem)


@dataclass(frozen=True)
class Tally(Sums):
    """What is measured on one image; added up, on several.

    Attributes:
        psnr, ssim: to the truth.
        outside, detail: to the network before, outside the mask.
        change: regions that went and came.
    """

    psnr: Mean = field(default_factory=Mean)
    ssim: Mean = field(default_factory=Mean)
    outside: SquaredError = field(default_factory=SquaredError)
    detail: Detail = field(default_factory=Detail)
    change: ChangeCounts = field(default_factory=ChangeCounts)

    def scores(self) -> dict[str, float]:
        """Return scores by name; what is undefined is left out, as the PSNR of equal images."""
        scores = {
            "psnr": self.psnr.value,
            "ssim": self.ssim.value,
            "psnr_outside": self.outside.psnr,
            "detail_kept": self.detail.kept,
            "removal": self.change.removal_rate,
            "addition": self.change.addition_rate,
        }
        return {k: v for k, v in scores.items() if v is not None and math.isfinite(v)}


class Scoring:
    """How networks are measured on the images of ``val``.

    Args:
        val: the section.
        scale: of the networks.

    Attributes:
        subjects: the images, in order.

    Raises:
        InputError: files are missing, unreadable or not of matching sizes (said together); no such
            detector, or one that needs what is not there.
    """

    def __init__(self, val: ValOptions, scale: int):
        self._scale, self._finder = scale, None
        if val.dataroot is not None:
            self._finder = ArtifactFinder.from_options(val, given={"mse", "lq"}, section="val.")
            warn_if_other(val, val.dataroot, "val.")
        self.subjects = _subjects(val, scale)[: val.max_images]
        _, faults = sort_out(self.subjects, self._check)
        refuse_if_any(faults, "val: these images cannot be scored")
        self._before: dict[str, RLE] = {}  # what is found by the network before, by stem

    def _check(self, subject: Subject) -> None:
        if subject.folder:
            manifest.refuse_missing_lq(subject.folder, subject.stem, subject.lq)
        height, width = image_size(subject.lq)
        large = height * self._scale, width * self._scale
        kinds = ("sr_gan", "sr_mse", "mask") if subject.folder else ()
        for path in (subject.gt, *map(subject.result, kinds)):
            if image_size(path) != large:
                raise InputError(f"{path} is not {self._scale} times as large as {subject.lq}")

    def __call__(self, subject: Subject, upscale: SRNetwork) -> Tally:
        """Measure a network on one image.

        Raises:
            InputError: a file is missing or unreadable.
        """
        lq = read_rgb8(subject.lq)
        now = upscale(lq)
        gt = read_rgb8(subject.gt)
        to_truth = Mean.of(psnr(gt, now)), Mean.of(ssim(gt, now))
        if self._finder is None:
            return Tally(*to_truth)

        before, mse = (read_rgb8(subject.result(kind)) for kind in ("sr_gan", "sr_mse"))
        images = Images(before, mse, lq, scale=self._scale)
        clean = ~read_mask(subject.result("mask"))
        if subject.stem not in self._before:
            self._before[subject.stem] = RLE.of(self._finder.look(images).mask)
        found_before = self._before[subject.stem].mask()
        return Tally(
            *to_truth,
            outside=squared_error(before, now, clean),
            detail=detail(before, now, clean),
            change=count_change(found_before, self._finder.look(replace(images, gan=now)).mask),
        )


class Validation:
    """The images of ``val`` while a network learns.

    Args:
        opt: the options of the run, with ``val``.

    Raises:
        InputError: as `Scoring`.
    """

    def __init__(self, opt: TrainOptions):
        assert opt.val is not None
        self._opt, self._val = opt, opt.val
        self._scoring = Scoring(opt.val, opt.scale)

    def __call__(self, model: TrainableModel) -> dict[str, float]:
        """Measure the weights that would be saved now, by name; processes share the images.

        Args:
            model: what learns.
        """
        val = self._val
        network = as_network(model.averaged().cpu().float())
        upscale = SRNetwork(
            network.for_any_size(),
            self._opt.scale,
            str(model.device),
            self._opt.precision,
            val.tile,
        )
        own = self._scoring.subjects[distributed.rank() :: distributed.world_size()]
        total = sum((self._scoring(subject, upscale) for subject in own), start=Tally())
        first, *others = distributed.all_gather(total)
        return sum(others, start=first).scores()


def _subjects(val: ValOptions, scale: int) -> list[Subject]:
    """Find the images of ``val``, in order.

    Raises:
        InputError: there are none, or they have no LR image, or another scale.
    """
    if val.dataroot is None:
        assert val.dataroot_lq is not None and val.dataroot_gt is not None  # ValOptions has seen to
        return [Subject(*p) for p in found_pairs(Path(val.dataroot_lq), Path(val.dataroot_gt))]
    folder = Path(val.dataroot)
    rows = manifest.read_results(val.dataroot, "val.dataroot").values()
    if lost := [row.stem for row in rows if row.lq is None or row.scale != scale]:
        raise InputError(
            f"val.dataroot: {folder} holds results without an LR image or not at scale {scale}, "
            f"such as {lost[0]}; detect again with input.lq and that scale"
        )
    return [
        Subject(Path(row.lq), manifest.result(folder, "pseudo_gt", row.stem), folder, row.stem)
        for row in rows
        if row.lq is not None
    ]


# ------------------------------------------------------------------------------ the best so far


@dataclass
class Best:
    """The best score so far, and for how many validations there has been none better.

    Attributes:
        kind: what is compared: the name of the score and the images that it is taken on.
        value, iteration: of the best; None and 0 before the first validation.
        since: validations without a better one.
    """

    kind: str
    value: float | None = None
    iteration: int = 0
    since: int = 0

    @classmethod
    def resumed(cls, val: ValOptions, state: dict[str, Any] | None) -> "Best":
        """Return what a state says, or a fresh start where other images or scores are chosen."""
        settings = resolved(val)
        for key in ("val_freq", "patience", "tile"):
            del settings[key]
        best = cls(str(sorted(settings.items())))
        if state is None or state["kind"] != best.kind:
            return best
        return cls(**state)

    def state(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self)

    def take(self, value: float, iteration: int) -> bool:
        """Take a new score, and return whether it is better than all before."""
        better = self.value is None or value > self.value
        if better:
            self.value, self.iteration, self.since = value, iteration, 0
        else:
            self.since += 1
        return better
