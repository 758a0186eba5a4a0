"""Detectors by name, and what each of them looks at."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from functools import update_wrapper
from typing import TypeAlias

from desra.artifacts import WindowSpec, bands
from desra.detectors.images import INPUTS, Images, Map
from desra.registry import Registry, find
from desra.utils.errors import InputError

Function: TypeAlias = Callable[[Images, WindowSpec], Map]

DETECTOR_REGISTRY = Registry("detector")

_PAPERS = WindowSpec()


class Detector:
    """A similarity map as a function of images, with the inputs that it looks at.

    Attributes:
        needs: the inputs beside ``gan`` that it can't do without, by the fields of `Images`.
        uses: what else it looks at where it is there.
        local: whether each value depends on nothing but gan, mse, gt and flipped in its window, so
            that large images can be done in bands.
        reads_window: whether more of the window than its border plays a part.
        fingerprint: gives what changes when its results do though name and options stay, such as a
            hash of its weights, so that detect makes masks anew that are out of date.
    """

    def __init__(
        self,
        function: Function,
        needs: Collection[str],
        uses: Collection[str],
        local: bool,
        reads_window: bool,
        fingerprint: str | Callable[[], str],
        on_device: Callable[[Images, WindowSpec, str], Map] | None,
    ) -> None:
        update_wrapper(self, function)
        self.name: str = function.__name__
        self.needs, self.uses = frozenset(needs), frozenset(uses)
        self.local, self.reads_window = local, reads_window
        self.fingerprint: Callable[[], str] = (
            (lambda: fingerprint) if isinstance(fingerprint, str) else fingerprint
        )
        self._function, self._on_device = function, on_device

    def __call__(self, images: Images, window: WindowSpec = _PAPERS, device: str = "cpu") -> Map:
        """Return the similarity map of images: 1 where they are alike, low at an artifact.

        Args:
            images: of what there is, it gets what it needs or uses, in 8 bits, so that a run in
                memory and one from files agree.
            window: the patch.
            device: "cuda" (with a number or not): a detector that can computes there.

        Returns:
            float64 ``(H - 2b, W - 2b)`` in [0, 1], ``b = window.border``; without elements for an
            image smaller than the window.

        Raises:
            InputError: an input that it needs is missing.
            ValueError: images that do not fit together.
        """
        self.check(images.kinds)
        return self._map(images.only(self.needs | self.uses), window, device)

    def bands(
        self, images: Images, window: WindowSpec = _PAPERS, device: str = "cpu"
    ) -> Iterator[tuple[slice, Map]]:
        """Yield the map from top to bottom; that of a local detector in bands, which bound memory.

        Arguments and errors are those of a call.

        Yields:
            The rows of the map, and float64 ``(rows, W - 2b)``: the same values as all at once.
        """
        height, _ = window.map_size(images.gan.shape)
        if not self.local or height == 0:
            yield slice(0, height), self(images, window, device)
            return
        self.check(images.kinds)
        for rows in bands(height):
            seen = slice(rows.start, rows.stop + 2 * window.border)
            yield rows, self._map(images.only(self.needs | self.uses, seen), window, device)

    def wants(self, kind: str) -> bool:
        """Return whether it looks at an input: mse, lq, gt, flipped or features."""
        return kind in self.needs | self.uses

    def check(self, available: Collection[str], key: str = "detector") -> None:
        """Refuse images that lack what it needs.

        Args:
            available: the inputs that every image has, by the fields of `Images`.
            key: the section in YAML that names the detector, for messages.

        Raises:
            InputError: names what is missing.
        """
        missing = self.needs - set(available)
        if not missing:
            return
        what = f"{key}.type: '{self.name}' needs"
        if "features" in missing:
            raise InputError(f"{what} {INPUTS['features']}, and no network gives features yet")
        words = " and ".join(INPUTS[kind] for kind in sorted(missing))
        if "flipped" in missing:
            raise InputError(
                f"{what} {words}, and finished images have none; give LR images and the networks, "
                "or choose another detector"
            )
        raise InputError(f"{what} {words} of every image; give it, or choose another detector")

    def _map(self, images: Images, window: WindowSpec, device: str) -> Map:
        if self._on_device is not None and device.startswith("cuda"):
            return self._on_device(images, window, device)
        return self._function(images, window)


def register(
    *needs: str,
    uses: Collection[str] = (),
    local: bool = False,
    reads_window: bool = True,
    fingerprint: str | Callable[[], str] = "",
    on_device: Callable[[Images, WindowSpec, str], Map] | None = None,
) -> Callable[[Function], Detector]:
    """Register a function as the `Detector` of its name.

    Args:
        needs, uses, local, reads_window: as the attributes of `Detector`.
        fingerprint: likewise, or a text such as the number of a version.
        on_device: the same map computed on a device of torch, whose name is its third argument.

    Raises:
        ValueError: an input that there is not.
    """
    if unknown := {*needs, *uses} - INPUTS.keys():
        raise ValueError(
            f"a detector may need or use {', '.join(INPUTS)}, not {', '.join(sorted(unknown))}"
        )

    def add(function: Function) -> Detector:
        detector = Detector(function, needs, uses, local, reads_window, fingerprint, on_device)
        DETECTOR_REGISTRY.register(detector)
        return detector

    return add


def find_detector(
    name: str, available: Collection[str] = tuple(INPUTS), key: str = "detector"
) -> Detector:
    """Find the detector of a name, if the inputs that it needs are there.

    Args:
        name: its name.
        available, key: as of `Detector.check`.

    Raises:
        InputError: an unknown name, or an input that is missing.
    """
    detector: Detector = find(DETECTOR_REGISTRY, name, key)
    detector.check(available, key)
    return detector
