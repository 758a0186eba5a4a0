"""What each pixel of an SR image shows: class ids, and the weight of each class (Eq. 9).

>>> segmenter = make_segmenter(options.segment, options.device)   # doctest: +SKIP
>>> weights = segment_weights(options.segment, segmenter.names)   # doctest: +SKIP
>>> D = apply_class_weights(D, segmenter(sr_gan, stem), weights)  # doctest: +SKIP
"""

import hashlib
import logging
import pickle
from collections import Counter
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from safetensors import SafetensorError

from desra.artifacts import ADE20K_INTERVALS, class_intervals, class_weights
from desra.io.files import sha256_of
from desra.io.images import image_size, read_labels
from desra.io.listing import list_images
from desra.options.loading import parse, read_yaml
from desra.options.sections import IntervalTable, SegmentOptions
from desra.utils.device import autocast, select_device, select_precision
from desra.utils.errors import InputError
from desra.utils.reading import read_text

logger = logging.getLogger("desra")

NO_CLASS = (255, 65535)
"""Ids in a label map that mean "no class", unless so many classes have names; they weigh 1."""

_MEAN = (123.675, 116.28, 103.53)  # of ImageNet, RGB on 0..255
_STD = (58.395, 57.12, 57.375)
_LONG, _SHORT = 2048, 640  # the released code's test size: the image is made to fit in between
_SMALLEST = 32  # the product of the network's strides
_CLASSES_AT_ONCE = 8


class Segmenter(Protocol):
    """Class ids of the pixels of a GAN-SR image."""

    @property
    def names(self) -> list[str]:
        """The class names, all different, in the order of their ids from 0."""
        ...

    def __call__(self, image: NDArray[np.uint8], stem: str) -> NDArray[Any]:
        """Return the ids of one image.

        Args:
            image: uint8 (H, W, 3) RGB, the GAN-SR image.
            stem: its name, with its sub-folder.

        Returns:
            Integers (H, W), 0 or more; ids from ``len(names)`` on (`NO_CLASS`) mean "no class".

        Raises:
            InputError: the ids of this image cannot be had.
        """
        ...

    def check(self, stem: str, size: tuple[int, int]) -> None:
        """Refuse an image whose ids cannot be had, from names and headers, before any work.

        Args:
            stem: the image's name, with its sub-folder.
            size: its (height, width).

        Raises:
            InputError: they cannot.
        """
        ...

    def fingerprint(self, stem: str) -> str:
        """Return a hash that changes when the same image would get other ids."""
        ...


def make_segmenter(
    options: SegmentOptions, device: str = "auto", precision: str = "auto"
) -> Segmenter | None:
    """Make the source of class ids that ``options.type`` names; None for ``none``.

    Args:
        options: the section ``segment``.
        device, precision: of the network, as in `desra.utils.device`.

    Raises:
        InputError: a folder, file, package or network that is missing or unusable.
    """
    if options.type == "labels":
        assert options.labels is not None and options.names is not None  # SegmentOptions says so
        return LabelFolder(options.labels, read_names(options.names))
    if options.type == "segformer":
        return SegFormer(options.model, device, precision)
    return None


class LabelFolder:
    """Class ids from gray or palette PNGs that lie in a folder by the names of the SR images.

    Args:
        folder: the folder; sub-folders as those of the SR images.
        names: the class names in the order of their ids.

    Raises:
        InputError: the folder is missing or holds no images, or a name is given twice.
    """

    def __init__(self, folder: str, names: list[str]) -> None:
        self.names = _distinct(names, "segment.names")
        self._folder = folder
        self._files = {file.stem: file.path for file in list_images(folder)}

    def _file(self, stem: str) -> Path:
        if stem not in self._files:
            raise InputError(f"segment.labels: {self._folder} holds no label map {stem}.png")
        return self._files[stem]

    def check(self, stem: str, size: tuple[int, int]) -> None:
        """See `Segmenter.check`."""
        path = self._file(stem)
        height, width = image_size(path)
        if (height, width) != size:
            raise InputError(
                f"{path} is {height}x{width} (height x width), but the SR image {stem} is "
                f"{size[0]}x{size[1]}; label maps are in the size of the SR images"
            )

    def fingerprint(self, stem: str) -> str:
        """See `Segmenter.fingerprint`."""
        return sha256_of(self._file(stem))

    def __call__(self, image: NDArray[np.uint8], stem: str) -> NDArray[Any]:
        """See `Segmenter.__call__`."""
        self.check(stem, (image.shape[0], image.shape[1]))
        ids = read_labels(self._file(stem))
        known = len(self.names)
        unknown = np.unique(ids[(ids >= known) & ~np.isin(ids, NO_CLASS)])
        if unknown.size:
            raise InputError(
                f"{self._file(stem)} has the class id {unknown[0]}, but segment.names has "
                f"{known} names, for the ids 0 to {known - 1} (255 or 65535: no class)"
            )
        return ids


class SegFormer:
    """Class ids by transformers' ``SegformerForSemanticSegmentation``.

    At the test size of DeSRA's released code, whatever the image processor beside the weights
    says: fitted into 2048 x 640 with the aspect kept, bilinear; the logits enlarged to that size
    and then to the image's own, bilinear.

    Args:
        model: a folder of ``save_pretrained``, or a name on huggingface.co.
        device, precision: as in `desra.utils.device`.

    Raises:
        InputError: transformers is not installed, or the network cannot be found or loaded.
    """

    def __init__(self, model: str, device: str = "auto", precision: str = "auto") -> None:
        self._device = select_device(device)
        self._dtype = select_precision(precision, self._device)
        self._net = _load_segformer(model).to(self._device, torch.float32).eval()
        labels: dict[int, str] = self._net.config.id2label
        self.names = _distinct([labels[i] for i in sorted(labels)], f"segment.model: {model}")

    def check(self, stem: str, size: tuple[int, int]) -> None:
        """Refuse nothing: the network takes every image."""

    @cached_property
    def _hash(self) -> str:
        content = hashlib.sha256("\n".join(self.names).encode())
        for name, values in self._net.state_dict().items():
            content.update(name.encode() + values.cpu().numpy().tobytes())
        return content.hexdigest()

    def fingerprint(self, stem: str) -> str:
        """See `Segmenter.fingerprint`; of the weights, the same for all images."""
        return self._hash

    @torch.inference_mode()
    def __call__(self, image: NDArray[np.uint8], stem: str) -> NDArray[Any]:
        """See `Segmenter.__call__`."""
        height, width = image.shape[:2]
        size = network_size(height, width)
        resized = cv2.resize(image, size[::-1], interpolation=cv2.INTER_LINEAR)
        pixels = torch.from_numpy(resized).to(self._device, torch.float32)
        normalised = (pixels - pixels.new_tensor(_MEAN)) / pixels.new_tensor(_STD)
        with autocast(self._device, self._dtype):
            logits = self._net(normalised.permute(2, 0, 1)[None]).logits
        return enlarged_argmax(logits[0].float(), (size, (height, width))).cpu().numpy()


def network_size(height: int, width: int) -> tuple[int, int]:
    """Return (height, width) that an image is resized to for the network.

    The largest of its aspect of which the longer side is at most 2048 and the shorter at most
    640; a side is at least 32, which a SegFormer needs.

    Example:
        >>> network_size(1280, 2000), network_size(320, 320), network_size(512, 4096)
        ((640, 1000), (640, 640), (256, 2048))
    """
    factor = min(_LONG / max(height, width), _SHORT / min(height, width))
    rows, columns = (max(_SMALLEST, int(n * factor + 0.5)) for n in (height, width))
    return rows, columns


def enlarged_argmax(logits: torch.Tensor, sizes: tuple[tuple[int, int], ...]) -> torch.Tensor:
    """Return the class of the largest logit at each pixel of bilinearly enlarged logits.

    A few classes at a time: all 150 of ADE20K at 2048 x 2048 pixels would take 2.5 GB.

    Args:
        logits: float (classes, h, w).
        sizes: (height, width) to go through, the last one that of the result.

    Returns:
        int64, of the last size.
    """
    largest = logits.new_full(sizes[-1], -torch.inf)
    ids = torch.zeros(sizes[-1], dtype=torch.int64, device=logits.device)
    for first in range(0, len(logits), _CLASSES_AT_ONCE):
        part = logits[None, first : first + _CLASSES_AT_ONCE]
        for size in sizes:
            part = F.interpolate(part, size, mode="bilinear", align_corners=False)
        values, indices = part[0].max(dim=0)
        ids = torch.where(values > largest, indices + first, ids)
        largest = torch.maximum(values, largest)
    return ids


def _load_segformer(model: str) -> Any:
    try:
        import transformers  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise InputError(
            "segment.type: segformer needs transformers; run: pip install 'desra[segment]'"
        ) from error
    try:
        # A class of transformers itself, so no code from the folder or the hub is run; weights come
        # from safetensors or, as of the default model, through torch.load with weights_only.
        cls: Any = transformers.SegformerForSemanticSegmentation
        net, loading = cls.from_pretrained(model, weights_only=True, output_loading_info=True)
    except (OSError, ValueError, RuntimeError, SafetensorError, pickle.UnpicklingError) as error:
        raise InputError(
            f"segment.model: {model} cannot be loaded; it must be a folder with the config.json "
            "and weights of a SegFormer, or a model of huggingface.co that is cached or in reach "
            f"({' '.join(str(error).split()).split('. ')[0]})"
        ) from error
    # What a checkpoint lacks, transformers fills with random numbers and a warning.
    if lacking := sorted(loading["missing_keys"]):
        raise InputError(
            f"segment.model: {model} is no whole SegformerForSemanticSegmentation; "
            f"its weights lack {len(lacking)} tensors, such as {lacking[0]}"
        )
    return net


# ------------------------------------------------------------------------------ names and weights


def read_names(names: list[str] | str) -> list[str]:
    """Return class names as they are, or read a text file that has one a line, from id 0 on.

    Raises:
        InputError: the file cannot be read.
    """
    if isinstance(names, list):
        return names
    try:
        text = read_text(names, "utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"segment.names: {names} cannot be read as text ({error})") from error
    return [line.strip() for line in text.rstrip().splitlines()]


def _distinct(names: list[str], source: str) -> list[str]:
    if not names:
        raise InputError(f"{source}: there is no name of a class; give one for each id, from 0 on")
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice or not all(names):
        raise InputError(
            f"{source}: class names must differ and not be empty"
            + (f"; given more than once: {', '.join(twice)}" if any(twice) else "")
        )
    return names


def read_table(path: str | None) -> IntervalTable:
    """Read the interval of each class by name; the paper's for ADE20K if ``path`` is None.

    Raises:
        InputError: the file cannot be read, or is no such table.
    """
    if path is None:
        return IntervalTable(classes=ADE20K_INTERVALS)
    return parse(IntervalTable, read_yaml(Path(path)), f"segment.table: {path}")


def segment_weights(options: SegmentOptions, names: list[str]) -> NDArray[np.float64]:
    """Return the weight of each class id; what the table lacks weighs 1, and a warning says so.

    Names match as in `desra.artifacts.class_intervals`.

    Args:
        options: the section ``segment``.
        names: class names in the order of their ids.

    Returns:
        float64 (len(names),), for `desra.artifacts.apply_class_weights`.

    Raises:
        InputError: see `read_table`.
    """
    table = read_table(options.table)
    intervals = zip(names, class_intervals(names, table.classes), strict=True)
    lacking = [name.strip() for name, interval in intervals if interval is None]
    if lacking:
        logger.warning(
            "%d of %d classes are not in the table of class weights and weigh 1: %s",
            len(lacking),
            len(names),
            ", ".join(lacking),
        )
    return class_weights(names, table.classes, table.intervals)
