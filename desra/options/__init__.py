"""Typed, strict options: every key described, an unknown key answered with path and neighbour.

A YAML file becomes one frozen object; nothing in it is ever evaluated. Sections that describe a
registered class (``network_g``, ``pixel_opt``, a dataset) hold ``type`` and that class's own
arguments, which :mod:`desra.registry` checks against the class.

A module for each stage, what they share in ``base`` and ``sections``, reading and checking in
``loading``, what differs between two in ``comparing``; all public names are here.
"""

from desra.options.app import AppOptions
from desra.options.base import (
    CommonOptions,
    Component,
    NotNegative,
    Positive,
    Probability,
    Range,
    Strict,
)
from desra.options.calibrate import CalibrateInputOptions, CalibrateOptions
from desra.options.comparing import differences, flat
from desra.options.degradation import Degradation
from desra.options.detect import (
    PARTNER,
    DetectOptions,
    InputOptions,
    MaskOptions,
    NetworkOptions,
    TileOptions,
)
from desra.options.evaluate import BootstrapOptions, EvaluateOptions, MaskFoldersOptions
from desra.options.loading import (
    find_options_file,
    fingerprint,
    force,
    load,
    parse,
    read_yaml,
    resolved,
)
from desra.options.report import ReportOptions
from desra.options.run import RunInputOptions, RunOptions
from desra.options.sections import (
    DeletionOptions,
    DetectorOptions,
    IntervalTable,
    SegmentOptions,
    WindowOptions,
)
from desra.options.sweep import SweepOptions
from desra.options.train import (
    DatasetOptions,
    DatasetsOptions,
    GANLossOptions,
    LoggerOptions,
    MaskedLossOptions,
    OptimizerOptions,
    PathOptions,
    PerceptualLossOptions,
    PixelLossOptions,
    PreserveLossOptions,
    SchedulerOptions,
    StepOptions,
    TrainOptions,
    ValOptions,
)
from desra.options.upscale import UpscaleOptions

__all__ = [
    "PARTNER",
    "AppOptions",
    "BootstrapOptions",
    "CalibrateInputOptions",
    "CalibrateOptions",
    "CommonOptions",
    "Component",
    "DatasetOptions",
    "DatasetsOptions",
    "Degradation",
    "DeletionOptions",
    "DetectOptions",
    "DetectorOptions",
    "EvaluateOptions",
    "GANLossOptions",
    "InputOptions",
    "IntervalTable",
    "LoggerOptions",
    "MaskFoldersOptions",
    "MaskOptions",
    "MaskedLossOptions",
    "NetworkOptions",
    "NotNegative",
    "OptimizerOptions",
    "PathOptions",
    "PerceptualLossOptions",
    "PixelLossOptions",
    "Positive",
    "PreserveLossOptions",
    "Probability",
    "Range",
    "ReportOptions",
    "RunInputOptions",
    "RunOptions",
    "SchedulerOptions",
    "SegmentOptions",
    "StepOptions",
    "Strict",
    "SweepOptions",
    "TileOptions",
    "TrainOptions",
    "UpscaleOptions",
    "ValOptions",
    "WindowOptions",
    "differences",
    "find_options_file",
    "fingerprint",
    "flat",
    "force",
    "load",
    "parse",
    "read_yaml",
    "resolved",
]
