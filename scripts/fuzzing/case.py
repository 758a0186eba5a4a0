"""A case: files that go over the good ones, and a command."""

import base64
import json
import os
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Case:
    """A command of a stage in a folder of good files, of which some are replaced.

    Attributes:
        kind: what is malformed.
        stage: name of the package whose ``main`` is called.
        argv: its arguments; paths are relative to the folder.
        files: path -> content, over the good files; None: the file is removed. An empty folder is
            meant by a path that ends in a slash, a FIFO by one that ends in ``|``, a socket by
            ``=``, a link to a device that has no end by ``@``.
        writes: files and folders of the good ones that the command may change.
    """

    kind: str
    stage: str
    argv: tuple[str, ...]
    files: dict[str, bytes | None] = field(default_factory=dict)
    writes: tuple[str, ...] = ("out",)

    def to_json(self, **notes: Any) -> str:
        """Return the case as JSON, with notes beside it."""
        files = {
            path: None if content is None else base64.b64encode(content).decode()
            for path, content in self.files.items()
        }
        parts = {"kind": self.kind, "stage": self.stage, "argv": self.argv, "writes": self.writes}
        return json.dumps({**notes, **parts, "files": files}, indent=1)

    @classmethod
    def read(cls, path: Path) -> "Case":
        """Read a case that `to_json` wrote."""
        content = json.loads(path.read_text(encoding="utf-8"))
        files = {
            path: None if text is None else base64.b64decode(text)
            for path, text in content["files"].items()
        }
        writes, argv = tuple(content["writes"]), tuple(content["argv"])
        return cls(content["kind"], content["stage"], argv, files, writes)

    def place(self, folder: Path) -> None:
        """Write the files of the case into a folder."""
        for name, content in self.files.items():
            path = folder / name.rstrip("/|=@")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.unlink(missing_ok=True)
            if name.endswith("/"):
                path.mkdir()
            elif name.endswith("|"):
                os.mkfifo(path)
            elif name.endswith("="):
                os.mknod(path, stat.S_IFSOCK | 0o600)
            elif name.endswith("@"):
                path.symlink_to("/dev/zero")
            elif content is not None:
                path.write_bytes(content)
