"""The folder of a run: what it writes there, and how an earlier version's is recognised."""

import json
import re
from pathlib import Path, PurePosixPath
from typing import Any

from desra.detect.folder import KIND as DETECT
from desra.evaluate.folder import KIND as EVALUATE
from desra.io.ledger import Kind
from desra.io.lock import LOCK, lock_name
from desra.report.folder import KIND as REPORT
from desra.train.run_folder import KIND as TRAIN
from desra.utils.reading import read_bytes


def _lineage(folder: Path) -> dict[str, Any]:
    """Read the lineage in a folder; empty if there is none."""
    try:
        content = json.loads(read_bytes(folder / "lineage.json"))
    except (OSError, ValueError, RecursionError):
        return {}
    keys = {"identity", "images", "rounds", "options", "original"}
    known = isinstance(content, dict) and keys <= content.keys()
    return content if known and isinstance(content["images"], dict) else {}


def _is_earlier(folder: Path) -> bool:
    """Return whether a folder without a ledger holds the lineage of a run."""
    return bool(_lineage(folder))


def _of_earlier(folder: Path, name: str) -> bool:
    """Return whether a file is one of an earlier version's run: of copies, those it tells of."""
    parts = PurePosixPath(name).parts
    if parts[0] != "images":
        return True
    stem = PurePosixPath(*parts[2:]).with_suffix("").as_posix()
    images = _lineage(folder).get("images", {}).get(parts[1])
    return isinstance(images, dict) and stem in images


def _of(kind: Kind) -> str:
    """Return a pattern of the files of a stage, and of what it keeps beside them."""
    locks = (LOCK, lock_name(kind.name))
    hidden = "|".join(map(re.escape, (kind.ledger, *locks)))
    return rf"(?:{kind.files.pattern}|{hidden}|(?:.+/)?\.[0-9a-f]{{16}}\.tmp)"


_SIDES = "(finetuned|heldout)"
_IMAGES = rf"images/{_SIDES}/.+"

KIND = Kind(
    "run",
    re.compile(rf"net_g\.pth|options\.yml|lineage\.json|rounds\.json|{_IMAGES}"),
    _is_earlier,
    states=frozenset({"options.yml", "lineage.json", "rounds.json"}),
    parts=re.compile(
        rf"{re.escape(LOCK)}"
        rf"|(original|round_\d+)/{_SIDES}/(?:{_of(DETECT)}|reviewed/.+\.json)"
        rf"|round_\d+/train/{_of(TRAIN)}"
        rf"|round_\d+/scores/[^/]+/{_of(EVALUATE)}"
        rf"|report/{_SIDES}/{_of(REPORT)}"
    ),
    entered=re.compile(_IMAGES),
    of_earlier=_of_earlier,
)
