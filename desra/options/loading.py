"""Load options from a YAML file, check them, and turn them back into plain data."""

import hashlib
import json
import logging
import typing
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from desra.options import loss_forms, yaml_text
from desra.options.base import Strict
from desra.options.foreign import is_foreign, translate
from desra.options.values import completed, fields_of, sections_in
from desra.utils.errors import InputError, did_you_mean, listed
from desra.utils.reading import read_text

logger = logging.getLogger("desra")

Options = TypeVar("Options", bound=Strict)
#: An options file of more bytes is none.
_MAX_BYTES = 4 * 2**20


def find_options_file(path: str) -> Path:
    """Return ``path`` or, for a path in ``options/``, the file that ships with desra (for use
    outside a clone).

    Raises:
        InputError: neither exists.
    """
    file = Path(path).expanduser() if path.startswith("~/") else Path(path)
    if is_file(file):
        return file
    if (file := _shipped(path)) is not None:
        return file
    near = "" if _shipped(f"options/{path}") is None else f"; options/{path} ships with desra"
    raise InputError(f"-opt: the options file {path} does not exist{near}")


def _shipped(path: str) -> Path | None:
    """Return the file that ships under the name ``options/...``; None: there is none."""
    parts = Path(path).parts
    if parts[:1] != ("options",) or ".." in parts:
        return None
    package = Path(__file__).parent.parent
    shipped_folders = [
        package / "assets" / "options",  # in an installed wheel
        package.parent / "options",  # in a clone
    ]
    files = (folder.joinpath(*parts[1:]) for folder in shipped_folders)
    return next((file for file in files if is_file(file)), None)


def is_file(path: Path) -> bool:
    """Return whether a path is that of a file; False for names that no file can have."""
    try:
        return path.is_file()
    except (OSError, ValueError):  # too long, or with NUL
        return False


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML file as a dictionary.

    Raises:
        InputError: the file is not readable or not YAML, has a duplicate key, or is no mapping.
    """
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise InputError(f"{path}: is larger than {_MAX_BYTES // 2**20} MiB, and no options")
        text = read_text(path)
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read as text ({error})") from error
    try:
        content = yaml_text.read(text)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    if not isinstance(content, dict):
        raise InputError(f"{path}: must hold `key: value` lines")
    return typing.cast(dict[str, Any], content)


def force(
    content: Mapping[str, Any], assignments: Iterable[str], losses_in: Sequence[str] = ()
) -> dict[str, Any]:
    """Return ``content`` with ``a:b=c`` applied; ``c`` is read as YAML, never evaluated.

    Args:
        content: keys and values as read from YAML.
        assignments: ``a:b=c``, one after the other.
        losses_in: the path of a section with ``losses``, where paths of older forms mean the
            sections that hold now what they name, see :mod:`desra.options.loss_forms`.

    Raises:
        InputError: an assignment without ``=``, with a value that is not YAML, or with a path that
            leads through a value.
    """
    result: dict[str, Any] = json.loads(json.dumps(content, default=str))
    for assignment in assignments:
        path, equals, text = assignment.partition("=")
        if not equals or not path:
            raise InputError(f"--force_yml: '{assignment}' must be written key:subkey=value")
        try:
            value = yaml_text.read(text)
        except InputError as error:
            raise InputError(
                f"--force_yml: the value in '{assignment[:200]}' is not YAML ({error})"
            ) from error
        for keys, setting in _redirected(result, path.split(":"), value, losses_in):
            _place(result, ":".join(keys), setting, "--force_yml")
    return result


def _redirected(
    content: Mapping[str, Any], keys: list[str], value: Any, losses_in: Sequence[str]
) -> list[tuple[list[str], Any]]:
    """What to set for a path, which may be one of an older form."""
    above, inner = keys[: len(losses_in)], keys[len(losses_in) :]
    section: Any = content
    for key in losses_in:
        section = typing.cast(dict[str, Any], section).get(key)
        if not isinstance(section, dict):
            return [(keys, value)]
    if not losses_in or above != list(losses_in) or not inner:
        return [(keys, value)]
    try:
        changes = loss_forms.redirect(typing.cast(dict[str, Any], section), inner, value)
    except InputError as error:
        raise InputError(f"--force_yml: {'.'.join(above)}: {error}") from error
    return [([*above, *path], setting) for path, setting in changes]


def _place(content: dict[str, Any], path: str, value: object, source: str) -> None:
    """Set ``a:b`` in nested sections; missing sections are created.

    Args:
        source: where the value is from, for the message.
    """
    *parents, last = path.split(":")
    place = content
    for key in parents:
        if place.get(key) is None:
            place[key] = {}
        inner: Any = place[key]
        if not isinstance(inner, dict):
            raise InputError(
                f"{source}: '{key}' in '{path}' must be a section of keys, and is a value ({inner})"
            )
        place = typing.cast(dict[str, Any], inner)
    place[last] = value


def _keys_at(model: Any, location: tuple[int | str, ...]) -> list[str]:
    """Return the keys that are known at ``location``, for "did you mean"."""
    for key in location:
        sections = sections_in(fields_of(model).get(str(key)))
        if not sections:
            return []
        model = sections[0]
    return list(fields_of(model))


def _sentence(model: type[BaseModel], error: ErrorDetails) -> str:
    path = ".".join(str(key) for key in error["loc"])
    if error["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
        known = _keys_at(model, error["loc"][:-1])
        return f"{path}: unknown key; {did_you_mean(str(error['loc'][-1]), known)}"
    if error["type"] == "missing":
        return f"{path}: this key is needed"
    message = error["msg"].removeprefix("Value error, ")
    given = "" if error["type"] == "value_error" else f" (given: {error['input']!r})"
    return f"{path + ': ' if path else ''}{message}{given}"


def parse(model: type[Options], content: Mapping[str, Any], source: str) -> Options:
    """Validate keys and values as options.

    Args:
        model: the class of the options.
        content: keys and values as read from YAML.
        source: where they are from, for the message; usually the file.

    Raises:
        InputError: they are wrong; every error is listed, with its key path.
    """
    content, sentences = completed(model, content)
    try:
        if not sentences:
            return model.model_validate(content)
    except ValidationError as error:
        sentences = [_sentence(model, e) for e in error.errors()]
        raise _refusal(source, sentences) from error
    except _MISTAKEN as error:
        raise _refusal(source, [_unexpected(error)]) from error
    raise _refusal(source, sentences)


#: What code that expects values of some type raises at others.
_MISTAKEN = (TypeError, KeyError, AttributeError, IndexError, OverflowError, RecursionError)


def _refusal(source: str, sentences: Iterable[str]) -> InputError:
    return InputError(f"{source}: " + "\n  ".join(["", *sentences]).strip())


def _unexpected(error: Exception) -> str:
    return (
        "a value is of another type than expected, such as a text where a section of keys belongs "
        f"({type(error).__name__}: {error})"
    )


def load(
    model: type[Options],
    path: str | None,
    assignments: Iterable[str] = (),
    values: Mapping[str, Any] | None = None,
) -> Options:
    """Read an options file, apply overrides, and validate it.

    Args:
        model: the class of the options.
        path: the file; None: all options are in ``assignments`` and ``values``.
        assignments: ``a:b=c``, see :func:`force`.
        values: ``a:b`` -> a value, used as it is; ``assignments`` override them.

    Raises:
        InputError: see :func:`read_yaml`, :func:`force`, :func:`parse`.
    """
    file = None if path is None else find_options_file(path)
    content: dict[str, Any] = {} if file is None else read_yaml(file)
    if file is not None and file != Path(path or ""):
        logger.info("options: %s, which ships with desra", file)
    translated = model.reads_basicsr and is_foreign(content)
    if model.reads_basicsr:
        content = _with_sections(content, translated, f"{file}")
    for key, value in (values or {}).items():
        _place(content, key, value, str(file or "command line"))
    for assignment in assignments:
        content = force(content, [assignment], model.losses_in)
        if model.reads_basicsr:
            content = _with_sections(content, translated, f"--force_yml {assignment}")
    if translated:
        content = _translated(content, f"{file}")
    return parse(model, content, str(file or "command line"))


def _with_sections(content: dict[str, Any], ldls: bool, source: str) -> dict[str, Any]:
    """``content`` of a training with every loss a section of ``train.losses``."""
    step: Any = content.get("train")
    if not isinstance(step, dict):
        return content
    try:
        rewritten = loss_forms.rewrite(typing.cast(dict[str, Any], step), ldls=ldls)
    except InputError as error:
        raise InputError(f"{source}: train: {error}") from error
    except _MISTAKEN as error:
        raise _refusal(source, [f"train: {_unexpected(error)}"]) from error
    return content | {"train": rewritten}


def _translated(content: Mapping[str, Any], source: str) -> dict[str, Any]:
    """Translate a file in basicsr's format to desra's keys, and log which keys are ignored."""
    try:
        content, ignored = translate(content)
    except InputError as error:
        raise InputError(f"{source}: {error}") from error
    except _MISTAKEN as error:
        raise _refusal(source, [_unexpected(error)]) from error
    notes = [f"these keys mean nothing here: {', '.join(ignored)}"] if ignored else []
    val: dict[str, Any] = content.get("val") or {}
    folders = [str(val[key]) for key in ("dataroot_lq", "dataroot_gt") if key in val]
    if missing := [folder for folder in folders if not Path(folder).is_dir()]:
        del content["val"]  # folders of the authors, in a file used for its training settings
        notes.append(f"there will be no validation, for there is no folder {listed(missing)}")
    if notes:
        logger.warning("%s: read as basicsr's; %s", source, "; ".join(notes))
    return content


def resolved(options: BaseModel) -> dict[str, Any]:
    """Return all keys and their values, defaults too, as plain data by the names in YAML."""
    return options.model_dump(mode="json", by_alias=True)


def fingerprint(content: Any) -> str:
    """Return a hash of JSON-like content, 12 hexadecimal digits."""
    text = json.dumps(content, sort_keys=True, ensure_ascii=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:12]
