"""The scores in words: a line for each image, and a line for each metric of all images together.

Which metrics there are, and what they are called, `desra.metrics.rows` says.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict

from desra.metrics.bootstrap import Interval
from desra.metrics.metric import Metric, Scores, by_base, shown_lines, values_of
from desra.utils.text_table import number, text_table

LEGEND = "[low, high]: 95 % bootstrap interval over images"
CHANGED_IMAGE = "image (-> : before -> after; out, in: outside and inside the mask)"
MASKED_IMAGE = "image (of pixels; correct of predicted, found of true regions)"


def image_table(metrics: Sequence[Metric], images: Mapping[str, Scores], last: str) -> str:
    """Return a table with a line for each image, of the metrics that have a column.

    Args:
        metrics: the rows.
        images: the scores of each image, by its stem.
        last: heading of the last column, which names the images.
    """
    groups = [group for group in by_base(metrics).values() if group[0].column]
    heads = [*(group[0].column for group in groups), last]
    lines = [
        [*(" -> ".join(_cell(metric, scores) for metric in group) for group in groups), stem]
        for stem, scores in images.items()
    ]
    return text_table([heads, *lines], left={len(groups)})


def _cell(metric: Metric, scores: Scores) -> str:
    sums = scores[metric.key]
    if metric.cell:
        return metric.cell.format_map(asdict(sums))
    digits = metric.digits if metric.column_digits is None else metric.column_digits
    return number(metric.value(sums), digits)


def summary(
    metrics: Sequence[Metric], total: Scores, intervals: Mapping[str, Interval | None]
) -> str:
    """Return a ``name: value`` line for each rate and mean, with its interval and its counts.

    Args:
        metrics: the rows.
        total: the scores of all images together.
        intervals: of each rate and mean, by key.
    """
    totals = values_of(metrics, total)
    groups = by_base(shown_lines(metrics, total))
    lines: list[str] = []
    for base, group in groups.items():
        name = _line_name(group[0])
        if not name or group[0].beside:
            continue
        parts = [group, *(other for other in groups.values() if other[0].beside == base)]
        texts = [_part(part, total, intervals) for part in parts]
        notes = [_note(part[-1], total, totals) for part in parts]
        # A note that the next part has too is said once, behind it.
        for place, note in enumerate(notes):
            if note and notes[place + 1 : place + 2] != [note]:
                texts[place] += f" {note}"
        lines.append(f"{name}: {', '.join(texts)}")
    return "\n".join(lines)


def _line_name(metric: Metric) -> str:
    if metric.line is None:
        return metric.title
    return metric.line


def _part(group: Sequence[Metric], total: Scores, intervals: Mapping[str, Interval | None]) -> str:
    first = group[0]
    ends = " -> ".join(
        number(metric.value(total[metric.key]), metric.digits)
        + _interval(intervals[metric.key], metric.digits)
        for metric in group
    )
    unit = f" {first.unit}" if first.unit else ""
    before = f"{first.line} " if first.beside and first.line else ""
    return f"{before}{ends}{unit}"


def _note(metric: Metric, total: Scores, totals: Mapping[str, float | None]) -> str:
    template = metric.note
    if template is None:
        template = "(mean over {count} images)" if metric.kind == "mean" else "over all pixels"
    return template.format_map({**totals, **asdict(total[metric.key])})


def _interval(ends: Sequence[float] | None, digits: int) -> str:
    return f" [{', '.join(number(end, digits) for end in ends)}]" if ends else ""
