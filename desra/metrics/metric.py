"""What a metric is: one row, from which files, tables and intervals follow.

`desra.metrics.rows` lists them. A metric measures one image as something that adds up over images;
the value of one image and that of all come from the same function of these sums.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from operator import attrgetter
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from desra.metrics.bootstrap import Interval, intervals
from desra.metrics.sums import Mean, Sums

When = Literal["before", "after"]

#: What was measured on one image, or on several together: key of a metric -> its sums.
Scores = dict[str, Sums]


@dataclass(frozen=True, kw_only=True)
class Tile:
    """How a metric stands at the top of a report.

    Attributes:
        heading: of its tile; empty: it stands in the note of another one.
        note: below the value; in the note of another tile, a template with ``{percent}``.
        digits: of the value.
        beside: the key of the metric in whose note it stands.
    """

    heading: str = ""
    note: str = ""
    digits: int = 1
    beside: str = ""


@dataclass(frozen=True, kw_only=True)
class Metric:
    """One row of the scores.

    Attributes:
        key: its name in ``scores.json``; where it is measured before and after a finetuning, two
            metrics have ``<base>_before`` and ``<base>_after``.
        when: which of the two it is; None for a metric that stands alone.
        label: its name for people.
        measure: from what is compared of one image to something that adds up over images.
        value: from the sums of one image or of several to a number; None: undefined, and a PSNR
            may be infinite.
        kind: "count": adds up, and has no interval; "pooled": sums of all images, divided once;
            "mean": the mean over images.
        digits: behind the point, on paper.
        unit: such as "dB"; empty: none.
        better: which way is up; None: neither.
        total_only: it has no meaning for a single image.
        needs: what must be given to measure it, such as "gt"; the lines of what has one need are
            left out where none of them has a value.
        undefined: why it may have no value, for the log; empty: not said.
        line: its name in the printed lines; None: the label; empty: it has no line of its own.
        beside: the base of the metric on whose printed line it stands; ``line`` goes before it.
        note: what is printed behind the value; a template of the fields of its sums and of the
            totals by key. None: what the kind says.
        column: its heading in the printed table of images; empty: not there.
        column_digits: digits there; None: the same.
        cell: a template for that table, of the fields of the sums; empty: the value.
        rounds: its heading in the rounds of a run; empty: not there. Of two metrics before and
            after, that after is shown of a round.
        tile: how it stands at the top of a report; None: not there.
    """

    key: str
    label: str
    measure: Callable[[Any], Sums]
    value: Callable[[Any], float | None] = attrgetter("value")
    when: When | None = None
    kind: Literal["count", "pooled", "mean"] = "pooled"
    digits: int = 2
    unit: str = ""
    better: Literal["higher", "lower"] | None = None
    total_only: bool = False
    needs: str = ""
    undefined: str = ""
    line: str | None = None
    beside: str = ""
    note: str | None = None
    column: str = ""
    column_digits: int | None = None
    cell: str = ""
    rounds: str = ""
    tile: Tile | None = None

    @property
    def base(self) -> str:
        """The key without ``_before`` or ``_after``."""
        return self.key.removesuffix(f"_{self.when}") if self.when else self.key

    @property
    def has_interval(self) -> bool:
        """Whether it is a rate or a mean, which has a confidence interval."""
        return self.kind != "count"

    @property
    def title(self) -> str:
        """The label; before and after it is said where lower is better."""
        lower = self.when is not None and self.kind != "count" and self.better == "lower"
        return f"{self.label} (lower is better)" if lower else self.label


def before_and_after(
    base: str, label: str, measure: Callable[[Any, When], Sums], **more: Any
) -> tuple[Metric, Metric]:
    """Return the two metrics ``<base>_before`` and ``<base>_after``.

    Args:
        base: the key of both without its ending.
        label: the name of both for people.
        measure: as that of a metric; also gets "before" or "after".
        more: further attributes of both.
    """

    def one(when: When) -> Metric:
        def measured(comparison: Any) -> Sums:
            return measure(comparison, when)

        return Metric(key=f"{base}_{when}", label=label, measure=measured, when=when, **more)

    return one("before"), one("after")


def by_base(metrics: Iterable[Metric]) -> dict[str, list[Metric]]:
    """Group metrics: base -> the metric, or the two before and after, in the order of the first."""
    groups: dict[str, list[Metric]] = {}
    for metric in metrics:
        groups.setdefault(metric.base, []).append(metric)
    return groups


def measure(metrics: Sequence[Metric], comparison: Any) -> Scores:
    """Measure one image.

    An image has a part in a mean of before and after only where both are defined and finite, so
    that the two are means over the same images.

    Args:
        metrics: the rows.
        comparison: what they measure, of `desra.metrics.rows`.
    """
    scores = {metric.key: metric.measure(comparison) for metric in metrics}
    for pair in by_base(metrics).values():
        if len(pair) == 2 and pair[0].kind == "mean":
            values = values_of(pair, scores)
            if None in values.values():
                scores.update(dict.fromkeys(values, Mean()))
    return scores


def total_of(scores: Iterable[Scores]) -> Scores:
    """Return the scores of all images together; there is at least one."""
    first, *others = scores
    total = dict(first)
    for other in others:
        total = {key: sums + other[key] for key, sums in total.items()}
    return total


def values_of(metrics: Iterable[Metric], scores: Scores) -> dict[str, float | None]:
    """Return the value of each metric by its key; None: undefined; a PSNR may be infinite."""
    return {metric.key: metric.value(scores[metric.key]) for metric in metrics}


def intervals_of(
    metrics: Sequence[Metric], images: Sequence[Scores], resamples: int = 2000, seed: int = 0
) -> dict[str, Interval]:
    """Return the bootstrap interval of each rate and mean, by key.

    Args:
        metrics: the rows; those that only count have no interval.
        images: the scores of each image.
        resamples, seed: as in `desra.metrics.bootstrap.intervals`.
    """
    rated = [metric for metric in metrics if metric.has_interval]
    whole = total_of(images)
    lengths = [len(whole[metric.key].numbers_of(whole[metric.key])) for metric in rated]
    ends = np.cumsum([0, *lengths])

    def row(scores: Scores) -> list[float]:
        lists = (whole[metric.key].numbers_of(scores[metric.key]) for metric in rated)
        return list(chain.from_iterable(lists))

    def rates(numbers: NDArray[np.float64]) -> dict[str, float | None]:
        drawn: Scores = {
            metric.key: whole[metric.key].from_numbers(numbers[start:end].tolist())
            for metric, start, end in zip(rated, ends[:-1], ends[1:], strict=True)
        }
        return values_of(rated, drawn)

    return intervals(np.array([row(scores) for scores in images]), rates, resamples, seed)


def to_json(
    metrics: Sequence[Metric], scores: Mapping[str, Scores], resamples: int = 2000, seed: int = 0
) -> dict[str, Any]:
    """Return ``total``, ``intervals`` and ``images`` of ``scores.json``; null where undefined.

    Args:
        metrics: the rows.
        scores: of each image, by its stem; at least one.
        resamples, seed: as in `desra.metrics.bootstrap.intervals`.
    """
    of_one = [metric for metric in metrics if not metric.total_only]
    return {
        "total": _finite(values_of(metrics, total_of(scores.values()))),
        "intervals": intervals_of(metrics, list(scores.values()), resamples, seed),
        "images": {stem: _finite(values_of(of_one, image)) for stem, image in scores.items()},
    }


def _finite(values: Mapping[str, float | None]) -> dict[str, float | None]:
    return {k: None if v is None or math.isinf(v) else v for k, v in values.items()}


def shown_lines(metrics: Iterable[Metric], total: Scores) -> Iterator[Metric]:
    """Yield the metrics that are printed: without those whose need nobody met."""
    metrics = list(metrics)
    met = {m.needs for m in metrics if m.value(total[m.key]) is not None}
    for metric in metrics:
        if metric.has_interval and (not metric.needs or metric.needs in met):
            yield metric
