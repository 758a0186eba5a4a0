"""How the rounds went: a table for the console, and one for reports (``rounds.json``)."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from desra.io.files import write_json
from desra.metrics import rows as metric_rows
from desra.metrics.metric import Metric
from desra.run.lineage import SIDES, Lineage, Record
from desra.utils.text_table import number, text_table

FILE = "rounds.json"
NAMES = {"heldout": "held out", "finetuned": "finetuned on"}

_FIRST = ("regions left", "removed", "added")  # columns, before all others
_BOUNDED = "removed"  # the column that has its interval beside it in the file
_NO_CURVE = ("added",)

Cell = Callable[[Metric, Mapping[str, Any]], Any]


def shown() -> dict[str, Metric]:
    """Return the metrics that are shown of a round: heading -> row of `desra.metrics.rows`."""
    metrics = {m.rounds: m for m in metric_rows.CHANGE if m.rounds and m.when != "before"}
    return {heading: metrics[heading] for heading in dict.fromkeys([*_FIRST, *metrics])}


def scored(lineage: Lineage, side: str) -> list[tuple[Record, Mapping[str, Any]]]:
    """Return the rounds that were evaluated on a side, and their scores there."""
    return [
        (record, record.scores[side])
        for record in lineage.rounds
        if record.scores is not None and side in record.scores
    ]


def _text(metric: Metric, scores: Mapping[str, Any]) -> str:
    """Return a value and, where it is known, its confidence interval."""
    value, interval = scores.get(metric.key), scores["intervals"].get(metric.key)
    if interval is None or value is None:
        return number(value, metric.digits)
    low, high = (number(bound, metric.digits) for bound in interval)
    return f"{number(value, metric.digits)} [{low}, {high}]"


def _value(metric: Metric, scores: Mapping[str, Any]) -> Any:
    return scores.get(metric.key)


def _rows(lineage: Lineage, side: str, cell: Cell) -> Iterator[list[Any]]:
    """Yield the rows of a side; round 0 is the network before the first, by the last's images."""
    rounds = scored(lineage, side)
    if not rounds:
        return
    before = {f"{m.base}_after": m for m in metric_rows.CHANGE if m.when == "before"}
    metrics = shown().values()
    last = {**rounds[-1][1], "intervals": {}}
    yield [0, *(cell(before[m.key], last) if m.key in before else None for m in metrics), ""]
    for record, scores in rounds:
        verdict = "" if record.kept else "given up"
        yield [record.round, *(cell(metric, scores) for metric in metrics), verdict]


def text(lineage: Lineage) -> str:
    """Return a line for each round and side; empty before the first evaluation."""
    blocks: list[str] = []
    heads = ["round", *shown(), ""]
    for side in SIDES:
        lines = [["-" if c is None else str(c) for c in row] for row in _rows(lineage, side, _text)]
        if not lines:
            continue
        count = len(lineage.images(side))
        blocks.append(f"{count} images {NAMES[side]}:\n{text_table([heads, *lines])}")
    return "\n\n".join(blocks)


def note(lineage: Lineage, sample_area: float) -> str:
    """Say how the table is to be read."""
    lower = [
        heading
        for heading, metric in shown().items()
        if metric.kind == "mean" and metric.better == "lower"
    ]
    sentences = [
        "Each round against the network before the first (round 0). Removed: the share of its",
        "regions of which less than half is still detected; the rest of one may be left.",
        "Outside: of its masks.",
        f"PSNR and detail: to what it made. {', '.join(lower)}: lower is better.",
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
    """Write ``rounds.json``: title, note, columns, rows, and a curve for each column."""
    rows = [[NAMES[side], *row] for side in SIDES for row in _rows(lineage, side, _value)]
    columns = ["images", "round", *shown(), "verdict"]
    bounds = list(_bounds(lineage, shown()[_BOUNDED].key))
    if any(low is not None for low, _ in bounds):
        place = columns.index(_BOUNDED) + 1
        columns[place:place] = [f"{_BOUNDED}, low", f"{_BOUNDED}, high"]
        for row, (low, high) in zip(rows, bounds, strict=True):
            row[place:place] = [low, high]
    headings = [heading for heading in shown() if heading not in (_BOUNDED, *_NO_CURVE)]
    write_json(
        folder / FILE,
        {
            "title": "Rounds",
            "note": note(lineage, sample_area),
            "columns": columns,
            "rows": rows,
            "curves": [_curve(heading, columns, rows) for heading in (_BOUNDED, *headings)],
        },
    )


def _bounds(lineage: Lineage, key: str) -> Iterator[Sequence[float | None]]:
    """Yield the interval of a metric for each row of the table."""
    for side in SIDES:
        rounds = scored(lineage, side)
        if rounds:
            yield (None, None)
        for _, scores in rounds:
            yield scores["intervals"].get(key) or (None, None)


def _curve(heading: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> dict[str, Any]:
    """Return a column over the rounds: a line for each side, and for each bound of an interval."""
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
