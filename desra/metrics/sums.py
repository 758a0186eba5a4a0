"""Numbers that add up over images and are divided once, at the end.

**What is divided by zero is undefined and reads None**, never 0 or 1.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, TypeVar

S = TypeVar("S", bound="Sums")


@dataclass(frozen=True)
class Sums:
    """Numbers that add up over images, field by field."""

    def __add__(self: S, other: S) -> S:
        return type(self)(*(a + b for a, b in zip(_values(self), _values(other), strict=True)))

    def numbers_of(self: S, part: S) -> list[float]:
        """Return the numbers of ``part``, one of what was added up to ``self``, as a list.

        All parts of a total give lists of one length, whose sum is the list of the total.
        """
        return [float(number) for number in _values(part)]

    def from_numbers(self: S, numbers: Sequence[float]) -> S:
        """Return the sums whose list, as `numbers_of` gives it, is ``numbers``."""
        return type(self)(*numbers)


def _values(sums: Sums) -> list[Any]:
    return [getattr(sums, f.name) for f in fields(sums)]


@dataclass(frozen=True)
class Count(Sums):
    """A number of things."""

    value: float = 0


@dataclass(frozen=True)
class Ratio(Sums):
    """A share: the part and the whole, both as counts."""

    part: float = 0
    whole: float = 0

    @property
    def value(self) -> float | None:
        """``part / whole``; None without a whole."""
        return ratio(self.part, self.whole)


@dataclass(frozen=True)
class Mean(Sums):
    """A mean as its total and the number of values."""

    total: float = 0
    count: int = 0

    @classmethod
    def of(cls, value: float | None) -> "Mean":
        """Return the mean of one value; of none for None and infinity."""
        return cls() if value is None or math.isinf(value) else cls(value, 1)

    @property
    def value(self) -> float | None:
        """The mean; None without a value."""
        return ratio(self.total, self.count)


@dataclass(frozen=True)
class StrictMean(Mean):
    """A mean that a single undefined value spoils, as NaN does."""

    undefined: int = 0

    @property
    def value(self) -> float | None:
        """The mean; None without a value, or with one that is undefined."""
        return None if self.undefined else super().value


def ratio(part: float, whole: float) -> float | None:
    """Return ``part / whole``; None where ``whole`` is zero."""
    return part / whole if whole else None
