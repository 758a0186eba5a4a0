"""Compare two output folders: byte for byte, but for what tells of time and of order.

What is excused:

- ``manifest.jsonl``, ``lineage.json``: the values of ``seconds``; how long a step took.
- ``.desra_*.jsonl``, the ledgers: the order of the lines, and torn ones. A file whose place was not
  taken yet as the process ended is entered already.
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
        return {line for line in path.read_bytes().split(b"\n") if _is_whole(line)}
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


def _is_whole(line: bytes) -> bool:
    try:
        json.loads(line)
    except ValueError:
        return False
    return True


def _timeless(content: Any) -> Any:
    """Return JSON without the values of ``seconds``; their keys stay."""
    if isinstance(content, list):
        return [_timeless(value) for value in content]
    if not isinstance(content, dict):
        return content
    return {
        key: sorted(value) if key == "seconds" else _timeless(value)
        for key, value in content.items()
    }
