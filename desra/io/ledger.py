"""Know what a stage wrote: the one rule by which files are replaced or deleted.

Each stage keeps a ledger in its output folder, ``.desra_<kind>.jsonl``. The first line says whose
folder it is (``kind``, ``version``); each further line is a file that was written (``file``,
``size``, ``time`` of change, ``sha256``), entered before the file takes its place. A file that the
ledger does not know, or that was changed since, is never replaced and never deleted.

Folders of versions that kept no ledger are recognised by their content (`Kind.earlier`); what has
the names that such a stage gives (`Kind.files`) is taken for its own.
"""

from __future__ import annotations

import json
import os
import re
import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

import yaml
from pydantic import BaseModel

from desra.io import files
from desra.io.files import StrPath, sha256_of
from desra.options.loading import resolved
from desra.utils.disk import told_if_full
from desra.utils.errors import InputError, listed
from desra.utils.reading import parse_json, read_bytes, read_text

VERSION = 1
_NONE = re.compile(r"(?!)")
_LOCKS = re.compile(r"\.run(\.\w+)?\.lock")  # see `desra.io.lock.lock_name`


@dataclass(frozen=True)
class Kind:
    """A stage that writes a folder.

    Attributes:
        name: of the stage.
        files: what it writes, as a pattern of paths below its folder.
        earlier: whether a folder without a ledger was written by an earlier version of it.
        states: names of files that the stage reads and checks itself before it replaces them.
        digests: whether each file is entered; else the first line alone vouches for `files`.
        streams: files written bit by bit, such as logs, which are not entered; as a pattern.
        parts: what may be deleted by its name alone, whatever it holds; as a pattern.
        inner: the folders below its own that other stages write, as patterns, and their kinds.
        by_hand: copies of what a person made, which are never deleted; as a pattern.
        of_earlier: whether a name in a folder that an earlier version wrote is of its own.
    """

    name: str
    files: re.Pattern[str]
    earlier: Callable[[Path], bool]
    states: frozenset[str] = frozenset()
    digests: bool = True
    streams: re.Pattern[str] = _NONE
    parts: re.Pattern[str] = _NONE
    inner: tuple[tuple[re.Pattern[str], Kind], ...] = ()
    by_hand: re.Pattern[str] = _NONE
    of_earlier: Callable[[Path, str], bool] = lambda folder, name: True

    @property
    def ledger(self) -> str:
        """Name of its ledger."""
        return f".desra_{self.name}.jsonl"

    def enters(self, name: str) -> bool:
        """Return whether size and digest of a file stand in the ledger, by its name."""
        return self.digests and name not in self.states and not self.streams.fullmatch(name)


class Ledger:
    """The ledger of an output folder; as a context, `atomic_write` obeys it and enters into it.

    Args:
        folder: the output folder; it need not exist.
        kind: of the stage.
        key: the option that names the folder, for messages.
        beside: files outside the folder that the stage also writes.

    Raises:
        InputError: the name is empty, or the ledger is of another version or damaged.
    """

    def __init__(
        self, folder: str | Path, kind: Kind, key: str = "output", beside: Iterable[str] = ()
    ) -> None:
        if not str(folder):
            raise InputError(f"{key}: is empty; name a folder for the results")
        self.kind, self.key = kind, key
        self.folder = Path(os.path.abspath(folder))
        self.path = self.folder / kind.ledger
        self._beside = {os.path.abspath(path) for path in beside}
        self._entries: dict[str, set[tuple[int, str]]] = {}
        self._times: dict[str, set[tuple[int, int]]] = {}  # size and time of change
        self._lock = threading.Lock()
        self._torn = False
        self._earlier = False
        self._inner_ledgers: dict[Path, Ledger] = {}
        self.exists = self._read()
        if not self.exists:
            self._earlier = self.folder.is_dir() and kind.earlier(self.folder)

    def _read(self) -> bool:
        try:
            *lines, rest = read_bytes(self.path).split(b"\n")
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError as error:
            raise InputError(
                f"{self.key}: {self.path} cannot be read ({error.strerror})"
            ) from error
        self._torn = bool(rest)
        if not lines:  # of a process that was killed as it began
            return False
        head = _parsed(lines[0])
        if head.get("kind") != self.kind.name or head.get("version") != VERSION:
            raise InputError(
                f"{self.key}: {self.path} is no list of what desra.{self.kind.name} wrote that "
                "this version knows, so nothing in this folder is replaced; choose another folder"
            )
        self._earlier = head.get("earlier") is True
        for line in map(_parsed, lines[1:]):
            name, size, digest = (line.get(key) for key in ("file", "size", "sha256"))
            if isinstance(name, str) and isinstance(size, int) and isinstance(digest, str):
                self._entries.setdefault(name, set()).add((size, digest))
                if isinstance(time := line.get("time"), int):
                    self._times.setdefault(name, set()).add((size, time))
        return True

    @property
    def ours(self) -> bool:
        """Whether the stage has written in the folder, in this version or an earlier one."""
        return self.exists or self._earlier

    def name_of(self, path: StrPath) -> str | None:
        """Return the name of a file in the ledger; None: it does not belong to the folder."""
        whole = os.path.abspath(path)
        relative = os.path.relpath(whole, self.folder)
        if relative.split(os.sep)[0] in (os.pardir, os.curdir) or os.path.isabs(relative):
            return Path(whole).as_posix() if whole in self._beside else None
        name = Path(relative).as_posix()
        return name if whole in self._beside or self.kind.files.fullmatch(name) else None

    def owns(self, path: str | Path) -> bool:
        """Return whether a file that exists is, byte for byte, what the stage wrote there."""
        name = self.name_of(path)
        if name is None or not self.ours or os.path.islink(path) or not os.path.isfile(path):
            return False
        if not self.kind.enters(name):
            return True
        entries = self._entries.get(name)
        if entries is None:
            earlier = self._earlier and self.kind.files.fullmatch(name) is not None
            return earlier and self.kind.of_earlier(self.folder, name)
        size = os.path.getsize(path)
        return size in {size for size, _ in entries} and (size, sha256_of(path)) in entries

    def is_changed(self, path: Path) -> bool:
        """Return whether a file that is there is known, and has another content than was written.

        One that is missing is not changed.
        """
        entries = self._entries.get(self.name_of(path) or "")
        return bool(entries) and os.path.lexists(path) and not self.owns(path)

    def is_whole(self, path: Path, verify: bool = False) -> bool:
        """Return whether a file is there as it was written, as far as the ledger tells.

        Size and time of change are compared; only where the time is another, the SHA-256 too.

        Args:
            path: the file.
            verify: compare the SHA-256 in any case.
        """
        if not path.is_file():
            return False
        name = self.name_of(path) or ""
        if not self._entries.get(name):
            return True
        stat = path.stat()
        if not verify and (stat.st_size, stat.st_mtime_ns) in self._times.get(name, ()):
            return True
        return self.owns(path)

    def refuse_foreign(self, paths: Iterable[str | Path]) -> None:
        """Refuse to replace what the stage did not write; called before any work.

        Args:
            paths: the files that will be written.

        Raises:
            InputError: some of them exist and are not the stage's own.
        """
        foreign = [str(p) for p in paths if os.path.lexists(p) and not self.owns(p)]
        if foreign:
            raise InputError(
                f"{self.key}: {self.folder} holds files that the results would replace, and that "
                f"desra.{self.kind.name} did not write or that were changed since: "
                f"{listed(foreign)}; move them away, or choose another {self.key}"
            )

    def refuse_foreign_file(self, path: Path) -> None:
        """Refuse to replace one file, see `refuse_foreign`; `atomic_write` calls it."""
        if self.kind.digests:
            self.refuse_foreign([path])

    def enter(self, path: Path, content: Path) -> None:
        """Enter a file that is about to take its place; `atomic_write` calls it.

        Args:
            path: its place.
            content: where it is now.
        """
        name = self.name_of(path)
        if name is None or not self.kind.enters(name):
            return
        self.begin()
        stat = content.stat()  # its time of change stays when it takes its place
        size, time, digest = stat.st_size, stat.st_mtime_ns, sha256_of(content)
        self._append({"file": name, "size": size, "time": time, "sha256": digest})
        self._entries.setdefault(name, set()).add((size, digest))
        self._times.setdefault(name, set()).add((size, time))

    def _append(self, line: Mapping[str, Any]) -> None:
        with told_if_full(self.path), self._lock, self.path.open("ab") as file:
            file.write(b"\n" * self._torn + json.dumps(line).encode() + b"\n")
            self._torn = False

    def begin(self) -> None:
        """Make the folder the stage's own.

        Raises:
            InputError: it cannot be written.
        """
        if self.exists:
            return
        head: dict[str, Any] = {"kind": self.kind.name, "version": VERSION}
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            if os.path.lexists(self.path):  # the torn first line of a killed process
                self.path.unlink()
            self._torn = False
            self._append(head | {"earlier": True} if self._earlier else head)
        except OSError as error:
            raise InputError(
                f"{self.key}: {self.folder} cannot be written ({error.strerror}); "
                "choose a folder that can be written"
            ) from error
        self.exists = True

    def __enter__(self) -> Ledger:
        self.begin()
        files.watch(self)
        return self

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        # At a second Ctrl-C a thread may still be writing. What it writes is entered too: else the
        # next process would take it for somebody else's.
        if error is None or isinstance(error, Exception):
            files.unwatch(self)

    def remove(self, path: Path) -> bool:
        """Delete a file if it is the stage's own, and return whether it was."""
        if not self.owns(path):
            return False
        path.unlink()
        return True

    # ---------------------------------------------------------------------------------- emptying

    def empty(self, inputs: Iterable[tuple[str, Path]], keep: Iterable[str] = ()) -> None:
        """Delete all that the stage wrote in its folder; the ledger begins anew.

        Args:
            inputs: key path and path of all that the stage is to read.
            keep: names in the folder that stay, such as that of a lock.

        Raises:
            InputError: the folder is a link, is not the stage's, or holds anything that it did not
                write, that was changed since or that is to be read; nothing is deleted then.
        """
        folder, kind = self.folder, self.kind
        inside = [p for p in _walk(folder) if p.relative_to(folder).as_posix() not in keep]
        if not inside:
            return
        end = f"so nothing in it is deleted; choose another {self.key}, or delete it yourself"
        if folder.is_symlink():
            raise InputError(f"{self.key}: {folder} is a link to {folder.resolve()}, {end}")
        if not self.ours:
            raise InputError(
                f"{self.key}: {folder} is not marked as written by desra.{kind.name} and does not "
                f"look like it, {end}"
            )
        judged = [(self._judged(p), str(p.relative_to(folder))) for p in inside]
        foreign, changed = ([n for j, n in judged if j == kept] for kept in ("foreign", "changed"))
        held = [f"what desra.{kind.name} did not write ({listed(foreign)})"] * bool(foreign)
        held += [f"what a person made, or what was changed since ({listed(changed)})"] * bool(
            changed
        )
        if held:
            raise InputError(f"{self.key}: {folder} holds {' and '.join(held)}, {end}")
        refuse_inputs_in([folder], inputs, self.key, "would be deleted")
        self.begin()  # a killed process leaves a folder that is known
        for path in inside:
            if path != self.path:
                path.unlink()
        for where, _, _ in os.walk(folder, topdown=False):
            if where != str(folder) and not os.listdir(where):
                os.rmdir(where)
        self.path.unlink(missing_ok=True)
        self._entries, self._times, self.exists, self._earlier = {}, {}, False, False
        self._inner_ledgers = {}

    def _judged(self, path: Path) -> Literal["ours", "changed", "foreign"]:
        """Return whose a file below the folder is: what is ours may be deleted."""
        kind, name = self.kind, path.relative_to(self.folder).as_posix()
        if path.is_symlink() or not path.is_file():
            return "foreign"
        if name == kind.ledger or any(p.fullmatch(path.name) for p in (files.UNFINISHED, _LOCKS)):
            return "ours"
        if kind.by_hand.fullmatch(name):
            return "changed"
        if kind.parts.fullmatch(name):
            return "ours"
        if not kind.files.fullmatch(name):
            inner = self._inner(path)
            return inner._judged(path) if inner else "foreign"
        if self.owns(path):
            return "ours"
        return "changed" if name in self._entries else "foreign"

    def _inner(self, path: Path) -> Ledger | None:
        """Return the ledger of the stage that writes where a file below the folder lies."""
        for place in path.relative_to(self.folder).parents:
            for pattern, kind in self.kind.inner:
                if pattern.fullmatch(place.as_posix()):
                    if place not in self._inner_ledgers:
                        self._inner_ledgers[place] = Ledger(self.folder / place, kind, self.key)
                    return self._inner_ledgers[place]
        return None


@contextmanager
def single_file(path: Path, stage: str, key: str = "-o") -> Generator[None]:
    """Let `atomic_write` replace a file that a person named only if the stage wrote it there.

    The ledger lies beside the file.

    Args:
        path: the file.
        stage: its name.
        key: the option that names the file, for messages.

    Raises:
        InputError: the file exists, and the stage did not write it or it was changed since; raised
            before the block is entered, so all work belongs into the block.
    """
    kind = Kind(stage, re.compile(re.escape(path.name)), lambda folder: False)
    ledger = Ledger(path.parent, kind, key)
    if os.path.lexists(path) and not path.is_dir() and not ledger.owns(path):
        raise InputError(
            f"{key}: {path} exists, and desra.{stage} did not write it or it was changed since; "
            "move it away, or choose another name"
        )
    files.watch(ledger)
    try:
        yield
    finally:
        files.unwatch(ledger)


def _parsed(line: bytes) -> dict[str, Any]:
    try:
        content = parse_json(line)
    except (ValueError, RecursionError):
        return {}
    return cast("dict[str, Any]", content) if isinstance(content, dict) else {}


def _walk(folder: Path) -> Iterator[Path]:
    """Yield all files and links below a folder; links are not followed."""
    for where, folders, names in os.walk(folder):
        links = [name for name in folders if os.path.islink(os.path.join(where, name))]
        yield from (Path(where, name) for name in (*names, *links))


def inputs_of(options: BaseModel, but: Iterable[str]) -> list[tuple[str, Path]]:
    """List what exists of the files and folders that options name.

    Args:
        options: of a stage.
        but: keys that name outputs.

    Returns:
        Key path and path of each.
    """
    outputs = set(but)
    return [
        (key, Path(value))
        for key, value in _strings(resolved(options), "")
        if key not in outputs and _exists(value)
    ]


def _strings(content: Any, key: str) -> Iterator[tuple[str, str]]:
    if isinstance(content, str):
        yield key, content
    elif isinstance(content, dict):
        for name, value in cast("dict[Any, Any]", content).items():
            yield from _strings(value, f"{key}.{name}" if key else str(name))
    elif isinstance(content, list | tuple):
        for value in cast("list[Any]", content):
            yield from _strings(value, key)


def _exists(value: str) -> bool:
    try:
        return bool(value) and os.path.exists(value)
    except ValueError:  # a NUL
        return False


def refuse_inputs_in(
    written: Iterable[str | Path],
    inputs: Iterable[tuple[str, str | Path]],
    key: str,
    fate: str = "would be replaced",
) -> None:
    """Refuse inputs that are, or lie in, what a stage writes.

    Args:
        written: files, and folders that the stage fills.
        inputs: key path and path of what it reads.
        key: the option that names the output.
        fate: of the input.

    Raises:
        InputError: there is one; both paths are named.
    """
    places = [Path(path).resolve() for path in written]
    for name, path in inputs:
        whole = Path(path).resolve()
        for place in places:
            if place == whole or place in whole.parents:
                raise InputError(
                    f"{key}: {name} ({path}) lies in {place}, which this stage writes, so it "
                    f"{fate}; choose another {key}, or move the input"
                )


#: What PyYAML itself raises at a tag such as ``!!timestamp`` with a text that is none.
_BY_YAML = (ValueError, LookupError, TypeError, AttributeError, RecursionError)


def machine_written(path: Path) -> dict[str, Any]:
    """Return the options in a file that `desra.io.manifest.write_options` wrote, else nothing."""
    try:
        text = read_text(path)
        content = yaml.safe_load(text)
        same = yaml.safe_dump(content, sort_keys=False, allow_unicode=True) == text
    except (OSError, yaml.YAMLError, *_BY_YAML):
        return {}
    return cast("dict[str, Any]", content) if same and isinstance(content, dict) else {}
