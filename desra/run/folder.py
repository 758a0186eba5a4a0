"""The folder of a run: what it writes there, and how an earlier version's is recognised."""

import re
from pathlib import Path, PurePosixPath
from typing import Any

from desra.detect.folder import KIND as DETECT
from desra.evaluate.folder import KIND as EVALUATE
from desra.io.ledger import Kind
from desra.report.folder import KIND as REPORT
from desra.train.run_folder import KIND as TRAIN
from desra.utils.reading import parse_json, read_bytes


def _lineage(folder: Path) -> dict[str, Any]:
    """Read the lineage in a folder; empty if there is none."""
    try:
        content = parse_json(read_bytes(folder / "lineage.json"))
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


_SIDES = "(finetuned|heldout)"
_IMAGES = rf"images/{_SIDES}/.+"
_REVIEWED = rf"(original|round_\d+)/{_SIDES}/reviewed/.+\.json"

KIND = Kind(
    "run",
    re.compile(rf"net_g\.pth|options\.yml|lineage\.json|rounds\.json|{_IMAGES}|{_REVIEWED}"),
    _is_earlier,
    states=frozenset({"options.yml", "lineage.json", "rounds.json"}),
    inner=(
        (re.compile(rf"(original|round_\d+)/{_SIDES}"), DETECT),
        (re.compile(r"round_\d+/train"), TRAIN),
        (re.compile(r"round_\d+/scores/[^/]+"), EVALUATE),
        (re.compile(rf"report/{_SIDES}"), REPORT),
    ),
    by_hand=re.compile(_REVIEWED),
    of_earlier=_of_earlier,
)
