"""Compare two output folders: byte for byte, but for what tells of time and of order.

What is excused:

- ``manifest.jsonl``, ``lineage.json``: the values of ``seconds``; how long a step took.
- ``.desra_*.jsonl``, the ledgers: the values of ``time``, the order of the lines, torn ones, what
  a file held before or that is gone (an interrupted training saves its state once more), and the
  digest of a state.
- ``training_states/latest.state``: how pickle shares equal texts. All values, their types and the
  bits of all tensors count.
- ``train.log``: all but that it is there; each line has a time. So with ``tb/events.*``, whose
  names hold times.
"""

import json
import re
from pathlib import Path
from typing import Any

_EVENTS = re.compile(r"events\.out\.tfevents\..*")


def files_of(folder: Path) -> dict[str, Any]:
    """Return path -> content of each file of a folder, without what is excused."""
    return {
        _EVENTS.sub("events", path.relative_to(folder).as_posix()): _content(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file() or path.is_symlink()
    }


def differences(reference: dict[str, Any], result: dict[str, Any]) -> list[str]:
    """Return what of the result is not as in the reference, a sentence each."""
    missing = [f"{name} is missing" for name in sorted(reference.keys() - result.keys())]
    more = [f"{name} is left over" for name in sorted(result.keys() - reference.keys())]
    other = [
        f"{name} differs"
        for name in sorted(reference.keys() & result.keys())
        if reference[name] != result[name]
    ]
    return other + missing + more


def _content(path: Path) -> Any:
    if path.name == "train.log" or _EVENTS.fullmatch(path.name):
        return None
    if path.name.startswith(".desra_"):
        lines = (_parsed(line) for line in path.read_bytes().split(b"\n"))
        rows = {line.get("file"): _timeless(line, "time") for line in lines if line is not None}
        there = {n: row for n, row in rows.items() if (path.parent / (n or "")).exists()}
        return {n: None if n and n.endswith(".state") else row for n, row in there.items()}
    if path.name == "manifest.jsonl":
        return [_timeless(json.loads(line)) for line in path.read_bytes().splitlines()]
    if path.name == "lineage.json":
        return _timeless(json.loads(path.read_bytes()))
    if path.suffix == ".state":
        import torch

        return _plain(torch.load(path, map_location="cpu", weights_only=True))
    return path.read_bytes()


def _plain(content: Any) -> Any:
    """Return the values of a state with their types, tensors as bytes."""
    import torch

    if isinstance(content, torch.Tensor):
        flat = content.contiguous().reshape(-1).view(torch.uint8)
        return str(content.dtype), tuple(content.shape), flat.numpy().tobytes()
    name = type(content).__name__
    if isinstance(content, dict):
        return name, [(key, _plain(value)) for key, value in content.items()]
    if isinstance(content, list | tuple):
        return name, [_plain(value) for value in content]
    return name, content


def _parsed(line: bytes) -> Any:
    try:
        return json.loads(line)
    except ValueError:
        return None


def _timeless(content: Any, name: str = "seconds") -> Any:
    """Return JSON without the values of a key that holds times; the key stays."""
    if isinstance(content, list):
        return [_timeless(value, name) for value in content]
    if not isinstance(content, dict):
        return content
    return {
        key: _names(value) if key == name else _timeless(value, name)
        for key, value in content.items()
    }


def _names(times: Any) -> list[str] | None:
    """Return what the times are of, where they are several."""
    return sorted(times) if isinstance(times, dict) else None
