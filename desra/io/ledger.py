"""Know what a stage wrote: the one rule by which files are replaced or deleted.

Each stage keeps a ledger in its output folder, ``.desra_<kind>.jsonl``. The first line says whose
folder it is (``kind``, ``version``); each further line is a file that was written (``file``,
``size``, ``sha256``), entered before the file takes its place. A file that the ledger does not
know, or that was changed since, is never replaced and never deleted.

Folders of versions that kept no ledger are recognised by their content (`Kind.earlier`); what has
the names that such a stage gives (`Kind.files`) is taken for its own.
"""

from __future__ import annotations

import json
import os
import re
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import yaml
from pydantic import BaseModel

from desra.io import files
from desra.io.files import StrPath, sha256_of
from desra.options.loading import resolved
from desra.utils.errors import InputError, listed
from desra.utils.reading import read_bytes, read_text

VERSION = 1


@dataclass(frozen=True)
class Kind:
    """A stage that writes a folder.

    Attributes:
        name: of the stage.
        files: what it writes, as a pattern of paths below its folder.
        earlier: whether a folder without a ledger was written by an earlier version of it.
        states: names of files that the stage reads and checks itself before it replaces them.
        digests: whether each file is entered; else the first line alone vouches for `files`.
        parts: what other stages write below its folder, by their own ledgers; as a pattern.
        entered: names that are deleted only if the ledger knows them, as a pattern.
        of_earlier: whether a name in a folder that an earlier version wrote is of its own.
    """

    name: str
    files: re.Pattern[str]
    earlier: Callable[[Path], bool]
    states: frozenset[str] = frozenset()
    digests: bool = True
    parts: re.Pattern[str] = re.compile(r"(?!)")
    entered: re.Pattern[str] = re.compile(r"(?!)")
    of_earlier: Callable[[Path, str], bool] = lambda folder, name: True

    @property
    def ledger(self) -> str:
        """Name of its ledger."""
        return f".desra_{self.name}.jsonl"


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
        self._lock = threading.Lock()
        self._torn = False
        self._earlier = False
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
        if name in self.kind.states or not self.kind.digests:
            return True
        entries = self._entries.get(name)
        if entries is None:
            earlier = self._earlier and self.kind.files.fullmatch(name) is not None
            return earlier and self.kind.of_earlier(self.folder, name)
        size = os.path.getsize(path)
        return size in {size for size, _ in entries} and (size, sha256_of(path)) in entries

    def has_size(self, path: Path) -> bool:
        """Return whether a file is there, in the size that it was written in if that is known."""
        if not path.is_file():
            return False
        entries = self._entries.get(self.name_of(path) or "")
        return not entries or path.stat().st_size in {size for size, _ in entries}

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
        if name is None or not self.kind.digests or name in self.kind.states:
            return
        entry = content.stat().st_size, sha256_of(content)
        if entry not in self._entries.get(name, ()):
            self._append({"file": name, "size": entry[0], "sha256": entry[1]})
            self._entries.setdefault(name, set()).add(entry)

    def _append(self, line: Mapping[str, Any]) -> None:
        with self._lock, self.path.open("ab") as file:
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

    def __exit__(self, *_: object) -> None:
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
                write or that is to be read; nothing is deleted then.
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
        if foreign := [str(p.relative_to(folder)) for p in inside if not self._may_delete(p)]:
            raise InputError(
                f"{self.key}: {folder} holds what desra.{kind.name} did not write "
                f"({listed(foreign)}), {end}"
            )
        refuse_inputs_in([folder], inputs, self.key, "would be deleted")
        self.begin()  # a killed process leaves a folder that is known
        for path in inside:
            if path != self.path:
                path.unlink()
        for where, _, _ in os.walk(folder, topdown=False):
            if where != str(folder) and not os.listdir(where):
                os.rmdir(where)
        self.path.unlink(missing_ok=True)
        self._entries, self.exists, self._earlier = {}, False, False

    def _may_delete(self, path: Path) -> bool:
        name = path.relative_to(self.folder).as_posix()
        if path.is_symlink() or not path.is_file():
            return False
        if name == self.kind.ledger or files.UNFINISHED.fullmatch(path.name):
            return True
        if self.kind.entered.fullmatch(name) and name not in self._entries:
            return self._earlier and self.kind.of_earlier(self.folder, name)
        return any(p.fullmatch(name) for p in (self.kind.files, self.kind.parts))


def _parsed(line: bytes) -> dict[str, Any]:
    try:
        content = json.loads(line)
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
