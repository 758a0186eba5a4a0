"""Tables and curves of the page: the totals of scores.json, and files of other stages."""

import json
from collections.abc import Mapping
from typing import Annotated, Any, cast

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from desra.metrics.rows import from_older, titles
from desra.options.base import Strict
from desra.options.loading import parse, resolved
from desra.utils.errors import InputError
from desra.utils.reading import read_text

Cell = str | int | float | bool | None

CURVE_POINTS = 256  # of a precision-recall curve; it may have one for each value of D


Pair = Annotated[list[float | None], Field(min_length=2, max_length=2)]


def _finite(scores: dict[str, Any]) -> dict[str, Any]:
    """Refuse numbers that nobody can show."""
    for key, value in scores.items():
        if isinstance(value, int | float) and not abs(value) < 1e15:
            raise ValueError(f"{key} is no finite number ({str(value)[:30]})")
        if not isinstance(value, int | float | str | list | dict | None):
            raise ValueError(f"{key} is no number")
    return scores


_Total = Annotated[dict[str, Any], AfterValidator(_finite)]


class _Scores(BaseModel):
    """The parts of scores.json that the page shows; any may be absent, and others are let be."""

    model_config = ConfigDict(strict=True, extra="ignore", allow_inf_nan=False)

    total: _Total | None = None
    intervals: dict[str, Pair | None] | None = None


class _PRCurve(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore", allow_inf_nan=False)

    recall: list[float] = Field(default_factory=list)
    precision: list[float] = Field(default_factory=list)

    @model_validator(mode="after")
    def _same_length(self) -> "_PRCurve":
        if len(self.recall) != len(self.precision):
            raise ValueError("recall and precision must have the same length")
        return self


class _MaskScores(_Scores):
    pr_curve: _PRCurve | None = None


class _ScoresFile(_Scores):
    images: dict[Any, _Total | None] | None = None  # names that are not UTF-8, too
    masks: _MaskScores | None = None


class Series(Strict):
    """A line of a chart; None where it has a gap."""

    name: str
    x: list[float | None]
    y: list[float | None]

    @model_validator(mode="after")
    def _same_length(self) -> "Series":
        if len(self.x) != len(self.y):
            raise ValueError(
                f"x and y of '{self.name}' must have the same length, not "
                f"{len(self.x)} and {len(self.y)}"
            )
        return self


class Curve(Strict):
    """A chart: its title, the names of its axes, its lines."""

    title: str
    x: str
    y: str
    series: list[Series]


class Table(Strict):
    """A table, curves, or both, with a title and a note."""

    title: str
    note: str = ""
    columns: list[str] = Field(default_factory=list)
    rows: list[list[Cell]] = Field(default_factory=list)
    curves: list[Curve] = Field(default_factory=list)

    @model_validator(mode="after")
    def _rows_fit(self) -> "Table":
        for number, row in enumerate(self.rows, 1):
            if len(row) != len(self.columns):
                raise ValueError(
                    f"rows: row {number} has {len(row)} cells, but there are "
                    f"{len(self.columns)} columns"
                )
        return self


def read_json(path: str, key: str) -> dict[str, Any]:
    """Read a JSON file that holds an object; NaN and infinity become None.

    Args:
        path: the file.
        key: the option that names it, for the message.

    Raises:
        InputError: it cannot be read, or holds something else.
    """
    try:
        text = read_text(path)
        content = json.loads(text, parse_constant=lambda _: None)
    except OSError as error:
        raise InputError(f"{key}: {path} cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{key}: {path} is no JSON file: {error}") from error
    if not isinstance(content, dict):
        raise InputError(f"{key}: {path} must hold an object, {{...}}")
    if key == "scores":
        _check_scores(cast(dict[str, Any], content), path)
    return content


def _check_scores(content: Mapping[str, Any], path: str) -> None:
    """Refuse scores that an edit has changed.

    Raises:
        InputError: a part has another type than evaluate writes.
    """
    try:
        _ScoresFile.model_validate(content)
    except ValidationError as error:
        fault = error.errors()[0]
        place = ".".join(map(str, fault["loc"]))
        message = fault["msg"].removeprefix("Value error, ")
        if fault["type"].startswith(("dict", "model")):
            message = "must be an object"
        raise InputError(f"scores: {path}: {place} {message}; evaluate again") from error


def read_table(path: str) -> dict[str, Any]:
    """Read a file of ``tables``, and check it.

    Raises:
        InputError: as `read_json`, or it does not fit `Table`.
    """
    return resolved(parse(Table, read_json(path, "tables"), f"tables: {path}"))


def part(content: Mapping[str, Any], key: str, path: str) -> dict[str, Any]:
    """Return a section of scores.json; empty where it is absent or null.

    Raises:
        InputError: it is no object.
    """
    value = content.get(key)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise InputError(f"scores: {path}: {key} must be an object; evaluate again")
    return value


def values(scores: Mapping[str, Any]) -> dict[str, float | None]:
    """Return the scores of a section of scores.json, numbers and nulls, by today's keys."""
    numbers = {k: v for k, v in scores.items() if v is None or isinstance(v, (int, float))}
    return from_older(numbers)


def label(key: str) -> str:
    """Return a score's name for people; that of a metric which is in no row is its key."""
    names = titles()
    if key in names:
        return names[key]
    base, _, when = key.rpartition("_")
    return f"{label(base)}, {when}" if when in ("before", "after") else key.replace("_", " ")


def rounded(value: float | None) -> str:
    """Return a score for people: integers in full, others with about four digits."""
    if value is None:
        return "-"
    if value == int(value):
        return f"{int(value):,}"
    if abs(value) < 0.001:
        return f"{value:.1e}"
    digits = 2 if abs(value) >= 10 else 3 if abs(value) >= 1 else 4
    return f"{value:.{digits}f}"


def interval(value: object) -> str:
    """Return an interval for people; empty if there is none."""
    if not isinstance(value, list) or len(value) != 2 or None in value:
        return ""
    low, high = value
    return f"{rounded(low)} to {rounded(high)}"


def score_tables(scores: Mapping[str, Any], path: str) -> list[dict[str, Any]]:
    """Return the totals of scores.json as tables, before and after side by side.

    Those of masks against a truth have a table of their own, and their curve.

    Args:
        scores: the content; parts may be absent.
        path: of the file, for messages.

    Raises:
        InputError: a part is no object.
    """
    total, intervals = values(part(scores, "total", path)), part(scores, "intervals", path)
    pairs = [
        key.removesuffix("_before")
        for key in total
        if key.endswith("_before") and f"{key.removesuffix('_before')}_after" in total
    ]
    paired = {f"{base}_{when}" for base in pairs for when in ("before", "after")}
    single = [key for key in total if key not in paired]
    tables = [
        _table(
            "Before and after finetuning",
            {label(base): [f"{base}_before", f"{base}_after"] for base in pairs},
            ["before", "after"],
            total,
            intervals,
        ),
        _table("What changed", {label(k): [k] for k in single}, ["value"], total, intervals),
    ]
    masks = part(scores, "masks", path)
    total, intervals = values(part(masks, "total", path)), part(masks, "intervals", path)
    title = "Detected masks against true masks"
    keys = {label(key): [key] for key in total}
    tables.append(_table(title, keys, ["value"], total, intervals))
    if curve := _pr_curve(part(masks, "pr_curve", path)):
        tables.append(Table(title="Precision and recall of the map", curves=[curve]))
    return [resolved(table) for table in tables if table.rows or table.curves]


def _table(
    title: str,
    keys: Mapping[str, list[str]],
    columns: list[str],
    total: Mapping[str, float | None],
    intervals: Mapping[str, Any],
) -> Table:
    """Return a table of scores.

    Args:
        title: of the table.
        keys: name of a row -> key of the score in each of its columns.
        columns: their headings.
        total: the scores by key.
        intervals: their intervals by key; if any is there, each column of scores has one of them.
    """
    any_interval = any(interval(intervals.get(key)) for row in keys.values() for key in row)
    rows: list[list[Cell]] = []
    for name, row in keys.items():
        cells: list[Cell] = [name]
        for key in row:
            cells.append(rounded(total[key]))
            if any_interval:
                cells.append(interval(intervals.get(key)))
        rows.append(cells)
    beside = ["95 % interval"] if any_interval else []
    heads = [head for column in columns for head in (column, *beside)]
    note = "Intervals by resampling the images." if any_interval else ""
    return Table(title=title, note=note, columns=["", *heads], rows=rows)


def _pr_curve(curve: Mapping[str, Any]) -> Curve | None:
    recall, precision = curve.get("recall"), curve.get("precision")
    if not recall or not precision:
        return None
    step = -(-len(recall) // CURVE_POINTS)
    # The last point is kept: there all is marked.
    picked = sorted({*range(0, len(recall), step), len(recall) - 1})
    line = Series(name="map", x=[recall[i] for i in picked], y=[precision[i] for i in picked])
    return Curve(title="Over all thresholds", x="recall", y="precision", series=[line])
