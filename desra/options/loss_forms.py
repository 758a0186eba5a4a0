"""Losses in the forms of other files, said in ours: ``train.losses``, one section by name.

Two other forms are read. basicsr's files and desra 0.1.0's have a key for each kind of loss
(``pixel_opt``, ``gan_opt``, ...) and flags beside them (``l1_gt_usm``, ``gan_mode``).
traiNNer-redux has a list (``losses: [{type: l1loss, loss_weight: 1.0}]``).

Pure functions on the section ``train``.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple, cast

from desra.options.keys import Content
from desra.utils.errors import InputError


class _Slot(NamedTuple):
    """What a key of the old form becomes: the name of a loss, and what its section began with."""

    name: str
    defaults: Content


_KEEP: Content = {"towards": "before", "inside": 0.0}
SLOTS = {
    "pixel_opt": _Slot("pix", {}),
    "texture_opt": _Slot("tex", {}),
    "artifact_opt": _Slot("art", {}),
    "ldl_opt": _Slot("ldl", {"type": "LDLLoss"}),
    "preserve_opt": _Slot("keep", {"type": "L1Loss"} | _KEEP),
    "preserve_texture_opt": _Slot("keep_tex", {"type": "LocalStdLoss"} | _KEEP),
    "perceptual_opt": _Slot("percep", {"type": "PerceptualLoss"}),
    "gan_opt": _Slot("gan", {"type": "GANLoss"}),
}
"""The keys of basicsr and of desra 0.1.0, in the order in which these losses are summed."""
_FLAGS = {
    "l1_gt_usm": ("pix", "tex"),
    "percep_gt_usm": ("percep",),
    "gan_gt_usm": ("gan",),
}
_MODE = "gan_mode"
OLD_KEYS = {*SLOTS, *_FLAGS, _MODE}
"""Keys of the section ``train`` that are read but that our own form does not have."""
LDLS_KEY = "artifacts_opt"
"""LDL's own name of ``ldl_opt``; in our files it would be a misspelt ``artifact_opt``."""

_ORDER = [slot.name for slot in SLOTS.values()]
_OWN = {"type", "weight", "inside", "outside", "towards", "reduction"}

#: traiNNer-redux's types -> the name of the loss here, and its type.
_TRAINNERS = {
    "l1loss": ("pix", "L1Loss"),
    "mseloss": ("pix", "MSELoss"),
    "charbonnierloss": ("pix", "CharbonnierLoss"),
    "perceptualloss": ("percep", "PerceptualLoss"),
    "ldlloss": ("ldl", "LDLLoss"),
    "ganloss": ("gan", "GANLoss"),
}
_TRAINNERS_LAYERS = {"conv1_2": 0.1, "conv2_2": 0.1, "conv3_4": 1, "conv4_4": 1, "conv5_4": 1}
_CRITERIA = {"l1": "L1Loss", "l2": "MSELoss", "charbonnier": "CharbonnierLoss"}


def rewrite(
    step: Mapping[str, Any], below: Mapping[str, Any] | None = None, ldls: bool = False
) -> Content:
    """Return a section ``train`` with all losses in ``losses``, in the order of their sum.

    A flag whose losses are not there stays: they may still come, see :func:`refuse_idle_flags`.

    Args:
        step: the section in any of the forms, or the part of it that goes over ``below``.
        below: the section, in our form, that ``step`` goes over; None: ``step`` stands alone.
        ldls: also read LDL's own key, ``artifacts_opt``.

    Raises:
        InputError: a loss is given in two forms, a flag has another value than it may have, or a
            loss of traiNNer-redux has no counterpart.
    """
    result = {key: value for key, value in step.items() if key not in {*SLOTS, "losses"}}
    sections = _by_name(step.get("losses"))
    if not isinstance(sections, dict):
        return dict(step)  # validation says that it is not a section
    losses = cast(Content, sections)
    under = _losses(below or {})
    keys = {key: key for key in SLOTS} | ({LDLS_KEY: "ldl_opt"} if ldls else {})
    for key, slot_key in keys.items():
        if key not in step:
            continue
        name = SLOTS[slot_key].name
        if name in losses:
            raise InputError(f"{key} and losses.{name} are the same loss; give only one of them")
        losses[name] = _section(slot_key, step[key], under.get(name))
        result.pop(key, None)
    for flag in (*_FLAGS, _MODE):
        if flag not in step:
            continue
        key, value = _setting(flag, step[flag])
        for name in _FLAGS.get(flag, ("gan",)):
            section, lower = losses.get(name), under.get(name)
            if isinstance(section, dict) or (name not in losses and isinstance(lower, dict)):
                cast(Content, losses.setdefault(name, {})).setdefault(key, value)
                result.pop(flag, None)
    if losses or "losses" in step:
        known = [name for name in _ORDER if name in losses]
        others = [name for name in losses if name not in known]
        result["losses"] = {name: losses[name] for name in known + others}
    return result


def refuse_idle_flags(step: Mapping[str, Any]) -> Content:
    """Return a rewritten section ``train`` without the flags that change no loss of it.

    They go where they ask for nothing, and where their loss was turned off by null.

    Raises:
        InputError: a flag asks for something, and nothing is said of its loss.
    """
    losses, result = _losses(step), dict(step)
    for flag in (*_FLAGS, _MODE):
        value = result.pop(flag, None)
        names = _FLAGS.get(flag, ("gan",))
        if value not in (None, False, "standard") and not any(name in losses for name in names):
            wanted = " or ".join(f"losses.{name}" for name in names)
            raise InputError(f"{flag}: not used without {wanted}; add it, or leave this out")
    return result


def redirect(step: Mapping[str, Any], keys: list[str], value: Any) -> list[tuple[list[str], Any]]:
    """Return what to set in ``step`` for an old path: key paths and their values, in order.

    Args:
        step: the section ``train``, rewritten.
        keys: the path inside it, such as ``["pixel_opt", "inside"]``.
        value: what is asked for there.

    Returns:
        The path itself where it is no old one, or where nothing is there yet that it would change.

    Raises:
        InputError: a flag has another value than it may have.
    """
    losses = _losses(step)
    first, *inner = keys
    if first == "losses" and inner[1:] == ["loss_weight"]:
        return [(["losses", inner[0], "weight"], value)]
    if first in _FLAGS or first == _MODE:
        key, setting = _setting(first, value)
        names = _FLAGS.get(first, ("gan",))
        there = [name for name in names if isinstance(losses.get(name), dict)]
        changes = [(["losses", name, key], setting) for name in there]
        return changes or [(keys, value)]
    if first not in SLOTS or SLOTS[first].name not in losses:
        return [(keys, value)]
    name, existing = SLOTS[first].name, losses[SLOTS[first].name]
    place = ["losses", name]
    if not inner:
        return [(place, _section(first, value, None))]
    changes: list[tuple[list[str], Any]] = []
    if not isinstance(existing, dict):
        existing = dict(SLOTS[first].defaults)
        changes.append((place, existing))
    inner = ["weight", *inner[1:]] if inner[0] == "loss_weight" else inner
    if first == "ldl_opt" and (inner[0] == "type" or inner[0] not in _OWN):
        criterion = cast(Content, existing).get("criterion", "L1Loss")
        if isinstance(criterion, str):
            changes.append(([*place, "criterion"], {"type": criterion}))
        inner = ["criterion", *inner]
    return [*changes, ([*place, *inner], value)]


def _losses(step: Mapping[str, Any]) -> Content:
    losses: Any = step.get("losses")
    return dict(cast(Content, losses)) if isinstance(losses, dict) else {}


def _by_name(losses: Any) -> Any:
    """``losses`` as sections by name; what is neither a mapping nor a list stays."""
    if losses is None:
        return {}
    if isinstance(losses, list):
        return _from_list(cast(list[Any], losses))
    if not isinstance(losses, dict):
        return losses
    sections = cast(dict[str, Any], losses)
    return {name: _renamed(section, f"losses.{name}") for name, section in sections.items()}


def _renamed(section: Any, path: str) -> Any:
    """A section with ``weight`` for basicsr's ``loss_weight``."""
    if not isinstance(section, dict) or "loss_weight" not in section:
        return dict(cast(Content, section)) if isinstance(section, dict) else section
    content = cast(Content, section)
    if "weight" in content:
        raise InputError(f"{path}: weight and loss_weight are the same; give only one of them")
    return {"weight" if key == "loss_weight" else key: content[key] for key in content}


def _section(key: str, value: Any, existing: Any) -> Any:
    """What stands under an old key, as a section of ``losses``, to go over ``existing``."""
    section = _renamed(value, key)
    if not isinstance(section, dict):
        return section
    content = cast(Content, section)
    old = cast(Content, existing) if isinstance(existing, dict) else {}
    if key == "ldl_opt":
        content = _with_criterion(content, old)
    replaces = not old or content.get("type", old.get("type")) != old.get("type")
    return SLOTS[key].defaults | content if replaces else content


def _with_criterion(section: Content, existing: Content) -> Content:
    """``ldl_opt`` named the pixel loss that LDL's map weighs; here that is ``criterion``."""
    arguments = {k: v for k, v in section.items() if k == "type" or k not in _OWN}
    rest = {k: v for k, v in section.items() if k not in arguments}
    if not arguments:
        return rest
    criterion: Any = existing.get("criterion", "L1Loss")
    old = {"type": criterion} if isinstance(criterion, str) else dict(criterion)
    if arguments.get("type", old["type"]) == old["type"]:
        arguments = old | arguments
    return {"criterion": arguments if len(arguments) > 1 else arguments["type"]} | rest


def _setting(flag: str, value: Any) -> tuple[str, Any]:
    """The key of a section that a flag sets, and its value."""
    if flag == _MODE:
        if value not in ("standard", "relativistic"):
            raise InputError(f"{flag}: must be standard or relativistic (given: {value!r})")
        return "relativistic", value == "relativistic"
    if not isinstance(value, bool):
        raise InputError(f"{flag}: must be true or false (given: {value!r})")
    return "towards", "gt_usm" if value else "gt"


def _from_list(items: list[Any]) -> Content:
    """traiNNer-redux's list as sections by name; a weight of 0 turns a loss off, as there."""
    losses: Content = {}
    for number, item in enumerate(items):
        path = f"losses[{number}]"
        if not isinstance(item, dict) or "type" not in item:
            raise InputError(f"{path}: must be a section with a type (given: {item!r})")
        spec = cast(Content, _renamed(item, path))
        kind = str(spec["type"]).lower()
        if kind not in _TRAINNERS:
            raise InputError(
                f"{path}: {spec['type']} of traiNNer-redux has no counterpart here (these have: "
                f"{', '.join(_TRAINNERS)}); leave it out, or give losses as sections by name, with "
                "a class of your own"
            )
        stem, spec["type"] = _TRAINNERS[kind]
        if kind == "ganloss":
            spec.setdefault("gan_type", "vanilla")
        if kind == "ldlloss":
            criterion = spec.get("criterion", "l1")
            if criterion not in _CRITERIA:
                raise InputError(f"{path}: criterion must be one of {', '.join(_CRITERIA)}")
            spec["criterion"] = _CRITERIA[criterion]
        if kind == "perceptualloss" and spec.get("criterion") != "l1":
            raise InputError(
                f"{path}: of traiNNer-redux's {kind} only criterion: l1 has a counterpart here"
            )
        if kind == "perceptualloss" and spec.get("layer_weights") is None:
            spec["layer_weights"] = dict(_TRAINNERS_LAYERS)
        taken = sum(name == stem or name.startswith(f"{stem}_") for name in losses)
        name = f"{stem}_{taken + 1}" if taken else stem
        losses[name] = None if spec.get("weight") == 0 else spec
    return losses
