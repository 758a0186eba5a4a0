"""basicsr's registries, with its classes and desra's, and functions that build objects from YAML.

A class that a user registers with ``ARCH_REGISTRY.register()`` can be named in YAML; desra's own
classes are registered at the first look-up. This is the only module that imports basicsr; others
import from here what they need of it (blur kernels, NIQE, the class of registries).

basicsr 1.4.2 imports ``torchvision.transforms.functional_tensor``, which torchvision 0.17 removed;
the one function that it needs is now in ``torchvision.transforms.functional``. Where torchvision
has no such module, one with just that function is made before basicsr is imported.
"""

import importlib
import importlib.util
import inspect
import os
import pkgutil
import sys
import traceback
import types
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch

from desra.utils.arguments import shown, signature_of, wrong_argument
from desra.utils.errors import InputError, did_you_mean

_REMOVED = "torchvision.transforms.functional_tensor"


def _restore_functional_tensor() -> None:
    if _REMOVED in sys.modules or importlib.util.find_spec(_REMOVED) is not None:
        return
    from torchvision.transforms.functional import rgb_to_grayscale

    module = types.ModuleType(_REMOVED, "Stands in for the module that torchvision 0.17 removed.")
    module.__dict__["rgb_to_grayscale"] = rgb_to_grayscale
    sys.modules[_REMOVED] = module


_restore_functional_tensor()

# isort: split
# Importing any part of basicsr imports all of it, which fills its registries.
from basicsr.archs import vgg_arch  # noqa: E402
from basicsr.data import degradations as kernels  # noqa: E402
from basicsr.losses.basic_loss import PerceptualLoss as BasicsrPerceptualLoss  # noqa: E402
from basicsr.losses.gan_loss import GANLoss as BasicsrGANLoss  # noqa: E402
from basicsr.metrics.niqe import calculate_niqe  # noqa: E402
from basicsr.models.lr_scheduler import CosineAnnealingRestartLR, MultiStepRestartLR  # noqa: E402
from basicsr.utils.img_process_util import usm_sharp  # noqa: E402
from basicsr.utils.registry import (  # noqa: E402
    ARCH_REGISTRY,
    DATASET_REGISTRY,
    LOSS_REGISTRY,
    MODEL_REGISTRY,
    Registry,
)

__all__ = [
    "ARCH_REGISTRY",
    "DATASET_REGISTRY",
    "LOSS_REGISTRY",
    "MODEL_REGISTRY",
    "VGG_FOLDER",
    "BasicsrGANLoss",
    "BasicsrPerceptualLoss",
    "CosineAnnealingRestartLR",
    "MultiStepRestartLR",
    "build",
    "calculate_niqe",
    "construct",
    "find",
    "import_modules",
    "kernels",
    "usm_sharp",
    "vgg_from",
]

#: Where basicsr looks for VGG weights.
VGG_FOLDER = vgg_arch.VGG_PRETRAIN_PATH.rpartition("/")[0]

# basicsr registers the classes that Real-ESRGAN also registers under this suffix.
_SUFFIX = "_basicsr"
# desra registers the classes that take the place of one of basicsr's under this suffix.
_OWN_SUFFIX = "_desra"
# Folders of desra whose modules register classes -> how the names of these modules end.
_REGISTERING = {"archs": "_arch", "losses": "_loss", "data": "_dataset", "models": "_model"}


def _register_own() -> None:
    """Import the modules of desra that register classes: as in basicsr, those of four folders with
    certain endings.

    At the first look-up and by name, since those modules import this one. Nothing of them is used
    here (``tests/test_layers.py`` knows this exception).
    """
    for folder, ending in _REGISTERING.items():
        package = importlib.import_module(f"desra.{folder}")
        for module in pkgutil.iter_modules(package.__path__):
            if module.name.endswith(ending):
                importlib.import_module(f"desra.{folder}.{module.name}")


@contextmanager
def _working_folder_last() -> Generator[None]:
    """Search the working folder for modules, after all packages, while inside only.

    In front of the packages, or for longer, any file of a folder of images that has the name of a
    module (``requests.py``) would run.
    """
    folder = os.getcwd()
    if folder in sys.path or "" in sys.path:
        yield
        return
    sys.path.append(folder)
    try:
        yield
    finally:
        sys.path.remove(folder)


def import_modules(names: Iterable[str]) -> None:
    """Import a user's modules, which register classes (the option ``import``).

    They run: an options file with ``import:`` is a program. The working folder is searched after
    the installed packages, and only here.

    Raises:
        InputError: a module cannot be imported.
    """
    for name in names:
        try:
            with _working_folder_last():
                importlib.import_module(name)
        except (Exception, SystemExit) as error:
            raise InputError(
                f"import: the module '{name}' cannot be imported "
                f"({type(error).__name__}: {error}); check its name and that it lies in the "
                "working folder or is installed"
            ) from error


def find(registry: Registry, name: str, key: str) -> Any:
    """Return the class registered under ``name``, or under a suffixed form of it.

    desra's form comes first: its ``GANLoss`` and ``PerceptualLoss`` take the place of basicsr's.

    Args:
        registry: one of basicsr's registries.
        name: the ``type`` in YAML.
        key: the key path in YAML, for the message.

    Raises:
        InputError: no such name; a similar one is suggested.
    """
    _register_own()
    known = dict(iter(registry))
    for candidate in (name + _OWN_SUFFIX, name, name + _SUFFIX):
        if candidate in known:
            return known[candidate]
    names = sorted({n.removesuffix(_SUFFIX).removesuffix(_OWN_SUFFIX) for n in known})
    raise InputError(
        f"{key}.type: '{name}' is not registered; {did_you_mean(name, names)} "
        "(a class of your own is loaded with `import: [your_module]`)"
    )


def build(registry: Registry, spec: Mapping[str, Any], key: str, **extra: Any) -> Any:
    """Build the object that a YAML section describes: ``type`` names its class, the other keys are
    the arguments.

    Args:
        registry: one of basicsr's registries.
        spec: the section, with ``type``.
        key: the key path in YAML, for messages.
        extra: further arguments; they override those of the section.

    Raises:
        InputError: an unknown ``type``, or arguments or values that the class does not take.
    """
    arguments = {k: v for k, v in spec.items() if k != "type"}
    cls = find(registry, spec["type"], key)
    with _refusing_files():
        if registry is ARCH_REGISTRY:
            _refuse_huge(cls, key, arguments)
        try:
            return construct(cls, key, arguments, extra=extra)
        except _FileRefusedError as error:
            raise InputError(
                f"{key}: {cls.__name__} would load or download a file while it is built, which "
                f"is not safe (given: {shown(arguments)}); leave the path out and give weights by "
                "path.pretrain_network_g or sr_gan.weights, or take another type"
            ) from error


#: Blocks, layers or strides that a network may have.
_MAX_BLOCKS = 512
#: Weights that a network may have: 8 GB in float32, a hundred times those of x4plus.
_MAX_WEIGHTS = 2 * 10**9


def _refuse_huge(cls: Callable[..., Any], key: str, arguments: Mapping[str, Any]) -> None:
    """Refuse a network that would take minutes or all memory to build.

    Raises:
        InputError: it has too many blocks or weights.
    """
    unusual = False
    for name, value in arguments.items():
        numbers = list(value) if isinstance(value, list) else [value]
        largest = max((n for n in numbers if type(n) in (int, float)), default=0)
        unusual = unusual or largest > _MAX_BLOCKS
        counts = name.startswith(("num_block", "num_conv", "num_group", "num_str", "depth"))
        if (counts and largest > _MAX_BLOCKS) or largest > 2**16:
            most = _MAX_BLOCKS if counts else 2**16
            raise InputError(f"{key}.{name}: must be at most {most} (given: {largest})")
    if not unusual:
        return
    try:
        with torch.device("meta"):
            weights = sum(weight.numel() for weight in cls(**arguments).parameters())
    except Exception:  # it is built in earnest next, and then said
        return
    if weights > _MAX_WEIGHTS:
        raise InputError(
            f"{key}: {getattr(cls, '__name__', cls)} would have {weights} weights, more than "
            f"{_MAX_WEIGHTS} (given: {shown(arguments)})"
        )


class _FileRefusedError(BaseException):
    """A constructor of basicsr was about to load or download a file.

    No Exception, so that no constructor takes it for one of its own.
    """


@contextmanager
def _refusing_files() -> Generator[None]:
    """Refuse files that basicsr's constructors load by ``torch.load`` as they are, which may run
    what a file says, or download, while inside.

    Others load as before: desra by its own reader, and a user's modules, which are programs anyway.
    """
    load, download = torch.load, torch.hub.download_url_to_file

    def guarded_load(*arguments: Any, **options: Any) -> Any:
        caller = str(sys._getframe(1).f_globals.get("__name__"))  # pyright: ignore
        if caller.startswith("basicsr.") or caller == "torch.hub":
            raise _FileRefusedError
        return load(*arguments, **options)

    def guarded_download(*_arguments: Any, **_options: Any) -> Any:
        raise _FileRefusedError

    torch.load, torch.hub.download_url_to_file = guarded_load, guarded_download
    try:
        yield
    finally:
        torch.load, torch.hub.download_url_to_file = load, download


def construct(
    cls: Callable[..., Any],
    key: str,
    arguments: Mapping[str, Any],
    first: Sequence[Any] = (),
    extra: Mapping[str, Any] | None = None,
) -> Any:
    """Build an object of a class with the arguments of a YAML section.

    Args:
        cls: the class, or a function that returns the object.
        key: the section's key path in YAML, for messages.
        arguments: those of the section.
        first: positional arguments, which do not come from the section.
        extra: further ones by name; they override those of the section.

    Raises:
        InputError: it takes no such arguments or values; the message names these, and what it
            takes.
    """
    name = getattr(cls, "__name__", str(cls))
    takes = f"; it takes {signature_of(cls)}"
    extra = extra or {}
    try:
        inspect.signature(cls).bind(*first, **{**arguments, **extra})
    except TypeError as error:
        raise InputError(f"{key}: {name} does not take these options: {error}{takes}") from error
    if fault := wrong_argument(cls, {k: v for k, v in arguments.items() if k not in extra}):
        raise InputError(f"{key}.{fault}{takes}")
    try:
        return cls(*first, **{**arguments, **extra})
    except InputError:
        raise
    except Exception as error:  # classes refuse values in many ways, or trip over them
        reason = str(error) or "no reason"
        if not isinstance(error, ValueError | NotImplementedError):
            reason = f"{type(error).__name__}: {reason}{_place(cls, error)}"
        if isinstance(error, MemoryError) or "allocate memory" in reason:
            reason = "there is not enough memory for it"
        given = f" (given: {shown(arguments)})" if arguments else ""
        raise InputError(
            f"{key}: {name} does not take these options: {reason}{given}{takes}"
        ) from error


def _place(cls: Any, error: Exception) -> str:
    """Where a user's own class tripped; empty for the classes of a library."""
    if cls.__module__.partition(".")[0] in ("basicsr", "desra", "torch"):
        return ""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f", in {frame.filename}, line {frame.lineno}"


class _Vggs:
    """A replacement for torchvision's module of VGG networks."""

    def __init__(self, features: Callable[[str], Any]) -> None:
        self._features = features

    def __getattr__(self, name: str) -> Callable[..., Any]:
        return lambda **_options: types.SimpleNamespace(features=self._features(name))


@contextmanager
def vgg_from(features: Callable[[str], Any]) -> Generator[None]:
    """Make basicsr's feature extractor take its VGG network from ``features``, while inside.

    By itself it would download the weights, or unpickle a file.

    Args:
        features: returns the convolutional layers, with weights, of a network's name such as vgg19.
    """
    network, path = vgg_arch.vgg, vgg_arch.VGG_PRETRAIN_PATH
    vgg_arch.vgg, vgg_arch.VGG_PRETRAIN_PATH = _Vggs(features), ""
    try:
        yield
    finally:
        vgg_arch.vgg, vgg_arch.VGG_PRETRAIN_PATH = network, path
