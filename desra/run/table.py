"""How the rounds went: a table for the console, and one for reports (``rounds.json``)."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from desra.io.files import write_json
from desra.run.lineage import SIDES, Lineage, Record
from desra.utils.text_table import text_table

FILE = "rounds.json"
NAMES = {"heldout": "held out", "finetuned": "finetuned on"}

#: What is shown of a round: heading -> key of scores.json.
COLUMNS = {
    "regions left": "regions_after",
    "removed": "removal_rate",
    "added": "regions_added",
    "PSNR outside (dB)": "psnr_outside",
    "detail kept": "detail_kept",
    "NIQE": "niqe_after",
}
#: Of the network before the first round.
BEFORE = {"regions left": "regions_before", "NIQE": "niqe_before"}

_DIGITS = {"removed": 2, "PSNR outside (dB)": 2, "detail kept": 3, "NIQE": 2}


def scored(lineage: Lineage, side: str) -> list[tuple[Record, Mapping[str, Any]]]:
    """The rounds that were evaluated on a side, and their scores there."""
    return [
        (record, record.scores[side])
        for record in lineage.rounds
        if record.scores is not None and side in record.scores
    ]


def _text(heading: str, value: float | None) -> str:
    return "-" if value is None else f"{value:.{_DIGITS.get(heading, 0)}f}"


def _cell(heading: str, key: str, scores: Mapping[str, Any]) -> str:
    """A value and, where it is known, its confidence interval."""
    text, interval = _text(heading, scores[key]), scores["intervals"].get(key)
    if interval is None or scores[key] is None:
        return text
    low, high = (_text(heading, bound) for bound in interval)
    return f"{text} [{low}, {high}]"


def _rows(
    lineage: Lineage, side: str, cell: Callable[[str, str, Mapping[str, Any]], Any]
) -> Iterator[list[Any]]:
    """Round 0 is the network before the first round, by the images of the last."""
    rounds = scored(lineage, side)
    if not rounds:
        return
    last = {**rounds[-1][1], "intervals": {}}
    yield [0, *(cell(h, BEFORE[h], last) if h in BEFORE else None for h in COLUMNS), ""]
    for record, scores in rounds:
        verdict = "" if record.kept else "given up"
        yield [record.round, *(cell(h, key, scores) for h, key in COLUMNS.items()), verdict]


def text(lineage: Lineage) -> str:
    """For the console: a line for each round and side; empty before the first evaluation."""
    blocks: list[str] = []
    heads = ["round", *COLUMNS, ""]
    for side in SIDES:
        rows = [["-" if c is None else str(c) for c in row] for row in _rows(lineage, side, _cell)]
        if not rows:
            continue
        count = len(lineage.images(side))
        blocks.append(f"{count} images {NAMES[side]}:\n{text_table([heads, *rows])}")
    return "\n\n".join(blocks)


def note(lineage: Lineage, sample_area: float) -> str:
    """How the table is to be read."""
    sentences = [
        "Each round against the network before the first (round 0). Removed: the share of its",
        "regions of which less than half is still detected; the rest of one may be left.",
        "Outside: of its masks.",
        "PSNR and detail: to what it made. NIQE: lower is better.",
    ]
    if lineage.images("heldout"):
        smaller = f", where regions of {sample_area:g} times the area count" * (sample_area < 1)
        sentences.append(f"What counts is held out; the others were finetuned on{smaller}.")
    else:
        sentences.append(
            "No image was held out: all were finetuned on, so on others less will be removed."
        )
    return " ".join(sentences)


def write(lineage: Lineage, folder: Path, sample_area: float) -> None:
    """``rounds.json``: title, note, columns, rows, and a curve for each column."""
    rows = [
        [NAMES[side], *row]
        for side in SIDES
        for row in _rows(lineage, side, lambda _heading, key, scores: scores[key])
    ]
    for row, (low, high) in zip(rows, _removal_bounds(lineage), strict=True):
        row[4:4] = [low, high]
    columns = ["images", "round", *COLUMNS, "verdict"]
    columns[4:4] = ["removed, low", "removed, high"]
    if all(row[4] is None for row in rows):  # without intervals
        columns[4:6] = []
        rows = [row[:4] + row[6:] for row in rows]
    write_json(
        folder / FILE,
        {
            "title": "Rounds",
            "note": note(lineage, sample_area),
            "columns": columns,
            "rows": rows,
            "curves": [_curve(heading, columns, rows) for heading in ("removed", *_OTHER_CURVES)],
        },
    )


_OTHER_CURVES = ("regions left", "PSNR outside (dB)", "detail kept", "NIQE")


def _removal_bounds(lineage: Lineage) -> Iterator[Sequence[float | None]]:
    for side in SIDES:
        rounds = scored(lineage, side)
        if rounds:
            yield (None, None)
        for _, scores in rounds:
            yield scores["intervals"].get("removal_rate") or (None, None)


def _curve(heading: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> dict[str, Any]:
    """A column over the rounds, a line for each side, and one for each bound of an interval."""
    series: list[dict[str, Any]] = []
    for name in NAMES.values():
        for column in (heading, f"{heading}, low", f"{heading}, high"):
            if column not in columns:
                continue
            place = columns.index(column)
            points = [(r[1], r[place]) for r in rows if r[0] == name and r[place] is not None]
            if points:
                x, y = (list(values) for values in zip(*points, strict=True))
                series.append({"name": name + column.removeprefix(heading), "x": x, "y": y})
    return {"title": heading, "x": "round", "y": heading, "series": series}
