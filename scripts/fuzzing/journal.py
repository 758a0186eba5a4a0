"""The file that counts as a run goes on, so that one which ends abruptly goes on from there."""

import contextlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any


class Journal:
    """A file of JSON lines: what run it is of, then one line for each case that was tried.

    Several processes may write into it at once.

    Args:
        path: the file.
        run: what decides which cases there are.

    Raises:
        SystemExit: the file is of another run.
    """

    def __init__(self, path: Path, run: Mapping[str, Any]):
        self._path = path
        head = json.dumps(run)
        if not path.is_file():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(head + "\n", encoding="utf-8")
        with path.open(encoding="utf-8") as file:
            if file.readline() != head + "\n":
                raise SystemExit(
                    f"fuzz.py: {path} counts the cases of another run (kinds, cases, seed); give "
                    "another --journal, or delete it"
                )

    def add(self, number: int, entry: Mapping[str, Any]) -> None:
        """Write down what came of a case."""
        line = json.dumps({"number": number, **entry}) + "\n"
        descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND)
        try:
            os.write(descriptor, line.encode())
        finally:
            os.close(descriptor)

    def entries(self) -> Iterator[dict[str, Any]]:
        """Yield what was written down; a line that is cut off is passed over."""
        with self._path.open(encoding="utf-8") as file:
            next(file)
            for line in file:
                with contextlib.suppress(ValueError):
                    yield json.loads(line)

    def left(self, numbers: Iterable[int]) -> list[int]:
        """Return the numbers of the cases that are not written down."""
        done = {entry["number"] for entry in self.entries()}
        return [number for number in numbers if number not in done]
