"""Option files of basicsr, Real-ESRGAN and LDL, said in our own keys.

A pure translation; that of losses is in :mod:`desra.options.loss_forms`. What a key means there
was looked up in basicsr 1.4.2, where some of it lies in
the code of its models rather than in the file: RealESRGANModel degrades the sharpened photograph,
ESRGANModel's loss is relativistic, a missing ``ema_decay`` is 0.
"""

from collections.abc import Mapping
from typing import Any, cast

from desra.options import loss_forms
from desra.options.base import CommonOptions
from desra.options.degradation import Degradation
from desra.options.keys import Content, Keys
from desra.options.train import (
    DatasetsOptions,
    LoggerOptions,
    PathOptions,
    StepOptions,
    TrainOptions,
    ValOptions,
)
from desra.utils.errors import InputError, did_you_mean

# LDL's own names of the models among them.
_RELATIVISTIC = {"ESRGANModel", "ESRGANArtifactsDisModel"}
_REAL_ESRGAN = {"RealESRGANModel", "RealESRGANArtifactsDisModel"}
_PLAIN = {"SRModel", "SwinIRModel", "SRGANModel", "RealESRNetModel"}
MODELS = _PLAIN | _REAL_ESRGAN | _RELATIVISTIC
"""Their models; here all of them are DeSRAModel."""

DATASETS = {
    "RealESRGANDataset": "DegradedDataset",
    "PairedImageDataset": "PairedDataset",
    "RealESRGANPairedDataset": "PairedDataset",
}
"""Their datasets by the names of ours."""

ARGUMENTS = {
    "DegradedDataset": {
        "dataroot_gt",
        "meta_info",
        "gt_size",
        "crop_pad_size",
        "degradation",
        "gt_usm",
        "use_hflip",
        "use_rot",
        "seed",
    },
    "PairedDataset": {
        "dataroot_gt",
        "dataroot_lq",
        "meta_info",
        "filename_tmpl",
        "gt_size",
        "gt_usm",
        "use_hflip",
        "use_rot",
        "seed",
    },
}
"""What our datasets take, beside what the training gives them."""

_FLAGS = ("l1_gt_usm", "percep_gt_usm", "gan_gt_usm")
_KERNEL_SIZE = 21
_CROP_PAD_SIZE = 400  # a number in RealESRGANDataset's code

# Only their files have these.
_SIGNS = {"num_gpu", "dist_params", "queue_size", "high_order_degradation"}
_SIGNS_TRAIN = {"batch_size_per_gpu", "num_worker_per_gpu", "io_backend", "dataset_enlarge_ratio"}


def is_foreign(content: Mapping[str, Any]) -> bool:
    """Return whether a file for training is of basicsr's kind: by names and keys of its own."""
    datasets: Any = content.get("datasets")
    train: Any = cast(Content, datasets).get("train") if isinstance(datasets, dict) else None
    dataset = cast(Content, train) if isinstance(train, dict) else {}
    named = str(content.get("model_type")) in MODELS or str(dataset.get("type")) in DATASETS
    return named or bool(_SIGNS & set(content) or _SIGNS_TRAIN & set(dataset))


def translate(content: Mapping[str, Any]) -> tuple[Content, list[str]]:
    """Translate a file of basicsr's kind to our keys; our own keys may stand in it too.

    Args:
        content: keys and values as read from YAML.

    Returns:
        What :class:`desra.options.TrainOptions` takes, and the paths of those keys that basicsr
        knows but that mean nothing here.

    Raises:
        InputError: keys that neither knows, all at once; a model, or a treatment of the images,
            that is not known here.
    """
    top = Keys(dict(content))
    model = _model(top.take("model_type", "DeSRAModel"))
    ours: Content = {
        "model_type": "DeSRAModel",
        "manual_seed": top.take("manual_seed") or 0,
        "path": _path(top.section("path")),
        "logger": _logger(top.section("logger")),
    }
    if top.take_given(["num_gpu"]) and content["num_gpu"] == 0:
        ours["device"] = "cpu"
    elif content.get("num_gpu", "auto") != "auto":
        top.note("num_gpu")  # torchrun says how many processes there are
    top.ignore(["dist_params", "find_unused_parameters", "queue_size"])

    high_order = bool(top.take("high_order_degradation", True))
    sharpened = {key: bool(top.take(key, False)) for key in _FLAGS}
    step = _step(top.section("train"), model)
    if top.take("gt_usm") and high_order:  # RealESRNetModel's, which leaves pairs as they are
        sharpened |= {"l1_gt_usm": True, "percep_gt_usm": _has_perceptual(step)}
    ours["train"] = sharpened | step
    usm = any(sharpened.values()) or (model in _REAL_ESRGAN and high_order)
    datasets = top.section("datasets")
    ours["datasets"] = _datasets(top, datasets, usm, high_order)
    ours |= _validation(top, datasets)

    common = {field.alias or name for name, field in CommonOptions.model_fields.items()}
    ours |= top.take_given(common | set(TrainOptions.model_fields) - {"imports"})
    if unknown := top.unknown():
        raise InputError("\n  ".join(["", *unknown]).strip())
    return ours, top.ignored()


def _model(name: Any) -> str:
    known = sorted({"DeSRAModel"} | MODELS)
    if str(name) not in known:
        hint = did_you_mean(str(name), known)
        raise InputError(f"model_type: '{name}' cannot be trained here; {hint}")
    return str(name)


def _path(path: Keys) -> Content:
    for network, kept in (("g", "params_ema"), ("d", "params")):
        path.expect(f"strict_load_{network}", True)
        path.expect(f"param_key_{network}", kept)
    path.expect("resume_state", None)  # the same command resumes by itself
    path.ignore(["ignore_resume_networks"])
    return path.take_given(PathOptions.model_fields)


def _logger(logger: Keys) -> Content:
    logger.expect("use_tb_logger", True)
    logger.ignore(["wandb"])
    return logger.take_given(LoggerOptions.model_fields)


def _step(step: Keys, model: str) -> Content:
    """``train``; its losses, see :mod:`desra.options.loss_forms`."""
    ours: Content = {"ema_decay": 0, "net_d_init_iters": 0}  # what theirs are where not given
    losses = step.take_given({*loss_forms.OLD_KEYS, loss_forms.LDLS_KEY, "losses"})
    try:
        ours |= loss_forms.rewrite(losses, ldls=True)
    except InputError as error:
        raise InputError(f"train: {error}") from error
    sections = ours.get("losses")
    gan: Any = cast(Content, sections).get("gan") if isinstance(sections, dict) else None
    if model in _RELATIVISTIC and isinstance(gan, dict):
        cast(Content, gan).setdefault("relativistic", True)
    warmup = step.take("warmup_iter", -1)
    ours["warmup_iter"] = 0 if warmup == -1 else warmup
    if (scheduler := step.take("scheduler")) is not None:
        ours["scheduler"] = _scheduler(scheduler)
    return ours | step.take_given(StepOptions.model_fields)


def _has_perceptual(step: Content) -> bool:
    sections: Any = step.get("losses")
    return isinstance(sections, dict) and bool(cast(Content, sections).get("percep"))


def _scheduler(scheduler: Any) -> Any:
    """Theirs are MultiStepLR, with restarts or without, and one of torch's or of basicsr's name."""
    if not isinstance(scheduler, dict):
        return scheduler
    spec = cast(Content, scheduler)
    if spec.get("type") in ("MultiStepLR", "MultiStepRestartLR"):
        kind = "MultiStepRestartLR" if "restarts" in spec else "MultiStepLR"
        return {**spec, "type": kind}
    return spec


def _validation(top: Keys, datasets: Keys) -> Content:
    """``val``: theirs says how often, on the images of ``datasets.val``.

    Theirs saves a picture of each and knows more scores; of more than one set the first is taken.
    """
    if not top.has("val"):
        datasets.ignore(datasets.starting("val") + datasets.starting("test"))
        return {}
    val = top.section("val")
    own = val.take_given(ValOptions.model_fields)
    val.ignore(["save_img", "pbar", "metrics", "suffix"])
    images: Any = datasets.peek("val")
    spec = cast(Content, images) if isinstance(images, dict) else {}
    pairs = {key: spec.get(key) for key in ("dataroot_lq", "dataroot_gt")}
    paired = DATASETS.get(str(spec.get("type"))) == "PairedDataset" and all(pairs.values())
    if paired and spec.get("filename_tmpl", "{}") == "{}":
        datasets.take("val")
        own |= pairs
    datasets.ignore(datasets.starting("val") + datasets.starting("test"))
    if not (own.keys() & {"dataroot", *pairs}):  # nothing that could be scored
        top.note("val")
        return {}
    return {"val": own}


def _datasets(top: Keys, datasets: Keys, usm: bool, high_order: bool) -> Content:
    """``datasets``, with what stands about them at the top of the file."""
    train = datasets.section("train")
    ours: Content = {}
    for own, theirs in (
        ("batch_size", "batch_size_per_gpu"),
        ("num_workers", "num_worker_per_gpu"),
    ):
        if (value := train.take(theirs)) is not None:
            ours[own] = value
    train.ignore(["name", "phase", "dataset_enlarge_ratio", "prefetch_mode", "num_prefetch_queue"])
    train.ignore(["pin_memory", "persistent_workers"])
    train.expect("use_shuffle", True)
    _refuse_other_images(train)

    name = train.take("type")
    kind = DATASETS.get(str(name), name)
    spec: Content = {"type": kind}
    if (flip := train.take("use_flip")) is not None:  # an older name
        spec["use_hflip"] = flip
    if kind == "DegradedDataset":
        if not high_order:
            raise InputError(
                "high_order_degradation: false needs pairs of images, so datasets.train.type must "
                f"be RealESRGANPairedDataset, not {name}"
            )
        spec |= _degraded(top, train, usm)
    else:
        top.ignore(Degradation.model_fields)
        train.ignore([*Degradation.model_fields, "blur_kernel_size", "blur_kernel_size2"])
        size = top.take("gt_size")
        if size is not None and (own := train.take("gt_size", size)) is not None:
            spec["gt_size"] = own
            if own != size:
                top.note("gt_size")
    if kind == "PairedDataset":
        spec["gt_usm"] = usm
        if (listed := train.take("meta_info_file")) is not None:
            spec["meta_info"] = listed
    arguments = ARGUMENTS.get(str(kind))
    spec |= train.take_rest() if arguments is None else train.take_given({*arguments, "share"})
    ours["train"] = {key: value for key, value in spec.items() if value is not None}
    return ours | datasets.take_given(DatasetsOptions.model_fields)


def _degraded(top: Keys, train: Keys, usm: bool) -> Content:
    """Their degradation is described in two places, and by two crops."""
    for key in ("blur_kernel_size", "blur_kernel_size2"):
        train.expect(key, _KERNEL_SIZE)  # theirs does not look at it either
    spec: Content = {"gt_usm": usm}
    own, size = train.take("gt_size"), top.take("gt_size")
    if size is not None and own not in (None, size):
        train.note("gt_size")  # theirs crops by the one at the top
    spec["gt_size"] = own if size is None else size
    if isinstance(spec["gt_size"], int):
        spec["crop_pad_size"] = max(_CROP_PAD_SIZE, spec["gt_size"])
    parts = [keys.take_given(Degradation.model_fields) for keys in (top, train)]
    spec["degradation"] = parts[0] | parts[1] | train.section("degradation").take_rest()
    return spec


def _refuse_other_images(train: Keys) -> None:
    """What would make other images than the files hold.

    Raises:
        InputError: it is asked for.
    """
    backend = train.take("io_backend")
    kind: Any = cast(Content, backend).get("type") if isinstance(backend, dict) else backend
    if kind not in (None, "disk"):
        raise InputError(
            f"{train.path('io_backend')}: '{kind}' is not read here; unpack the images into a "
            "folder and set io_backend:type=disk"
        )
    for key in ("mean", "std"):
        if train.take(key) is not None:
            raise InputError(f"{train.path(key)}: images are not normalised here; set it to null")
    if train.take("color") not in (None, "rgb"):
        raise InputError(f"{train.path('color')}: images are RGB here; leave the key out")
