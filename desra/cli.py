"""The command line of all stages: -opt, --force_yml, --check, and the exit status."""

import argparse
import errno
import importlib
import logging
import sys
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NoReturn, TypeVar

import yaml

from desra.options.base import Strict
from desra.options.loading import load, resolved
from desra.utils.disk import FULL
from desra.utils.errors import InputError, did_you_mean
from desra.utils.printable import PrintableFormatter, printable
from desra.utils.sigterm import STATUS, ended_by_sigterm

Options = TypeVar("Options", bound=Strict)
#: What a file system refuses, which is no fault of the program.
_TOLD = (
    *FULL,
    errno.ENAMETOOLONG,
    errno.EROFS,
    errno.EACCES,
    errno.EPERM,
)
_STOPPED = "stopped; give the same command again to go on"


def networks(partner: str = "its MSE-trained partner") -> dict[str, tuple[str, str]]:
    """Return the flags of the two networks, which all stages that run them share.

    Args:
        partner: help of the second flag.
    """
    return {
        "--model": (
            "sr_gan:weights",
            "a checkpoint, a name of `desra weights list`, or embedded:gan",
        ),
        "--partner": ("sr_mse:weights", partner),
    }


def called(stage: str) -> str:
    """Return the command of this process: ``desra detect`` or ``python -m desra.detect``."""
    script = Path(sys.argv[0])
    if script.parts[-2:] == ("desra", "__main__.py"):
        return f"python -m desra {stage}"
    return f"desra {stage}" if script.stem == "desra" else f"python -m desra.{stage}"


def _forget_working_folder() -> None:
    """Take the working folder off ``sys.path``, where ``python -m desra.detect`` has put it first.

    It may be a folder of images from anywhere, and a ``requests.py`` in it would run. It stays
    where desra itself is in it. Modules that ``import`` names are found all the same.
    """
    first = Path(sys.path[0] or ".").absolute() if sys.path else None
    by_module = Path(sys.argv[0]).name == "__main__.py"
    if by_module and first == Path.cwd() != Path(__file__).absolute().parent.parent:
        del sys.path[0]


class Parser(argparse.ArgumentParser):
    """An argument parser that suggests a known flag for an unknown one."""

    def error(self, message: str) -> NoReturn:
        """Print the message and exit with status 2, as argparse does."""
        lead, unrecognized, rest = message.partition("unrecognized arguments: ")
        unknown = [word for word in rest.split() if word.startswith("-")]
        if unrecognized and not lead and unknown:
            flags = [flag for action in self._actions for flag in action.option_strings]
            message = "\n  ".join(f"{word}: {_hint(word, flags)}" for word in unknown)
        super().error(message)


def _hint(word: str, flags: Iterable[str]) -> str:
    known = [flag for flag in flags if flag not in ("-h", "--help")]
    otherwise = None if known else "give -h to see those of the command"
    return f"unknown flag; {did_you_mean(word.partition('=')[0], known, otherwise)}"


def add_force_yml(parser: argparse.ArgumentParser, meaning: str) -> None:
    """Add the flag ``--force_yml KEY:SUBKEY=VALUE ...``, which may be given several times.

    Args:
        parser: of a stage.
        meaning: what ``-h`` says of it.
    """
    parser.add_argument(
        "--force_yml",
        nargs="+",
        default=[],
        metavar="KEY:SUBKEY=VALUE",
        action="extend",
        help=meaning,
    )


def main(
    stage: str,
    purpose: str | None,
    model: type[Options],
    work: str | Callable[..., object],
    argv: Sequence[str] | None = None,
    add_arguments: Callable[[argparse.ArgumentParser], None] | None = None,
    flags: Mapping[str, tuple[str, str]] | None = None,
) -> int:
    """Parse the arguments of a stage, validate its options, and run it.

    Args:
        stage: name of its module, for the usage line.
        purpose: its description in ``-h``.
        model: the class of its options.
        work: function of the options, or its name ``module:function``; the module is imported when
            the work begins, as it takes seconds and ``-h`` and ``--check`` do not need it.
        argv: the arguments; None: those of the process.
        add_arguments: adds further flags, which ``work`` gets as keyword arguments.
        flags: flags that set an option: flag -> (its path ``key:subkey``, help). With such flags
            the options file may be left out; a flag overrides the file.

    Returns:
        The exit status, as `status_of`.
    """
    return status_of(lambda: _call(stage, purpose, model, work, argv, add_arguments, flags or {}))


def _call(
    stage: str,
    purpose: str | None,
    model: type[Options],
    work: str | Callable[..., object],
    argv: Sequence[str] | None,
    add_arguments: Callable[[argparse.ArgumentParser], None] | None,
    flags: Mapping[str, tuple[str, str]],
) -> None:
    """Do what `main` says."""
    _forget_working_folder()
    parser = Parser(prog=called(stage), description=purpose)
    parser.add_argument("-opt", required=not flags, metavar="FILE", help="options (YAML)")
    for flag, (key, meaning) in flags.items():
        parser.add_argument(flag, dest=key, metavar=key.split(":")[-1].upper(), help=meaning)
    add_force_yml(parser, "override options; values are read as YAML")
    parser.add_argument(
        "--check", action="store_true", help="validate, print the resolved options, stop"
    )
    if add_arguments is not None:
        add_arguments(parser)
    args = vars(parser.parse_args(argv))
    path, assignments, check = (args.pop(key) for key in ("opt", "force_yml", "check"))
    by_flags = {key: args.pop(key) for key, _ in flags.values()}
    values = {key: value for key, value in by_flags.items() if value is not None}
    required = [
        flag
        for flag, (key, _) in flags.items()
        if model.model_fields[key.split(":")[0]].is_required()
    ]
    if required and not (path or values or assignments):
        parser.error(f"give -opt FILE, or {' and '.join(required)}")

    options = load(model, path, assignments, values)
    if check:
        yaml.safe_dump(resolved(options), sys.stdout, sort_keys=False, allow_unicode=True)
    else:
        _loaded(work)(options, **args)


def _loaded(work: str | Callable[..., object]) -> Callable[..., object]:
    if not isinstance(work, str):
        return work
    module, _, name = work.partition(":")
    return getattr(importlib.import_module(module), name)


def _told_by_the_main_thread(args: threading.ExceptHookArgs) -> None:
    """Print the error of a thread, unless the file system refused what it wrote.

    TensorBoard's thread leaves that error to the main thread, which tells it.
    """
    if not (isinstance(args.exc_value, OSError) and args.exc_value.errno in _TOLD):
        threading.__excepthook__(args)


def status_of(work: Callable[[], object]) -> int:
    """Run the work of a command line, and return its exit status; log messages go to stderr.

    Returns:
        0; 2 for an InputError, whose message goes to stderr, and for what the file system refuses
        (a disk that is full, a name that is too long); 130 at Ctrl-C, 143 at SIGTERM. Any other
        error is raised, so that Python ends with status 1.
    """
    console = logging.StreamHandler(sys.stderr)
    console.setFormatter(PrintableFormatter("%(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[console])
    before, threading.excepthook = threading.excepthook, _told_by_the_main_thread
    try:
        with ended_by_sigterm():
            work()
    except InputError as error:
        print(printable(f"error: {error}"), file=sys.stderr)
        return 2
    except OSError as error:
        if error.errno not in _TOLD:
            raise
        place = "" if error.filename is None else f": {error.filename}"
        print(f"error: {error.strerror}{place}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(_STOPPED, file=sys.stderr)
        return 130
    except SystemExit as end:
        if end.code != STATUS:
            raise
        print(_STOPPED, file=sys.stderr)
        return STATUS
    finally:
        threading.excepthook = before
    return 0
