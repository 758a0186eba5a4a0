"""Which detector and rule are the defaults, and what brings the paper's."""

from __future__ import annotations

from typing import Any

import pytest

from desra.artifacts import MaskRule
from desra.options.detect import DetectOptions
from desra.options.loading import load, parse
from desra.options.sections import SegmentOptions
from desra.options.train import ValOptions
from desra.options.upscale import UpscaleOptions
from desra.utils.errors import InputError

PAIR = {"input": {"sr_gan": "a", "sr_mse": "b"}, "output": "out"}
CLASSES = {"type": "labels", "labels": "ids", "names": ["a"]}


def of(**given: Any) -> tuple[str, float, float, str]:
    opt = parse(DetectOptions, {**PAIR, **given}, "test")
    return opt.detector.type, opt.mask.threshold, opt.mask.min_area, opt.mask.min_area_unit


OURS = ("evidence", 0.7, 1000, "px_at_x4")
PAPERS = ("relative_local_variance", 0.7, 4000, "px")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, OURS),
        ({"segment": {"type": "none"}}, OURS),
        ({"protocol": "full"}, OURS),
        ({"protocol": "released"}, PAPERS),
        ({"segment": CLASSES}, (PAPERS[0], *OURS[1:])),
        ({"protocol": "released", "detector": {"type": "local_ssim"}}, ("local_ssim", *PAPERS[1:])),
        ({"protocol": "released", "detector": {}}, PAPERS),
        ({"protocol": "released", "mask": {}}, PAPERS),
        ({"protocol": "released", "mask": {"threshold": 0.6}}, (PAPERS[0], 0.6, 4000, "px")),
        ({"protocol": "released", "mask": {"min_area": 5}}, (PAPERS[0], 0.7, 5, "px")),
        (
            {"protocol": "released", "mask": {"dilate": 2, "min_area_unit": "px_per_megapixel"}},
            (PAPERS[0], 0.7, 4000, "px_per_megapixel"),
        ),
        (
            {"protocol": "released", "mask": MaskRule(threshold=0.6)},
            (PAPERS[0], 0.6, 4000, "px"),
        ),
        (
            {"segment": SegmentOptions.model_validate(CLASSES), "mask": {"min_area": 5}},
            (PAPERS[0], 0.7, 5, "px_at_x4"),
        ),
    ],
)
def test_what_belongs_to_the_papers_detector_brings_it(given: dict, expected: tuple) -> None:
    assert of(**given) == expected


def test_what_is_no_section_is_refused_as_ever() -> None:
    with pytest.raises(InputError, match="mask: .*given: 5"):
        of(protocol="released", mask=5)


def test_the_shipped_file_leaves_them_to_the_protocol() -> None:
    for assignments, expected in (([], OURS), (["protocol=released"], PAPERS)):
        opt = load(DetectOptions, "options/detect.yml", assignments)
        mask = opt.mask
        found = opt.detector.type, mask.threshold, mask.min_area, mask.min_area_unit
        assert found == expected


def test_all_stages_have_one_default() -> None:
    detect = parse(DetectOptions, PAIR, "test")
    upscale = parse(UpscaleOptions, {"input": "a", "output": "b"}, "test")
    val = ValOptions(dataroot="found")
    shipped = load(UpscaleOptions, "options/upscale.yml", [])
    for other in (upscale, val, shipped):
        assert (other.detector, other.mask) == (detect.detector, detect.mask)
