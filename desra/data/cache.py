"""A cache of the arrays that were read from files, bounded by bytes."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

Arrays = tuple[NDArray[Any], ...]


class ByteCache:
    """A cache of arrays by file; beyond ``limit`` bytes, those used least recently are dropped.

    A file that has changed is read again. Arrays that alone exceed the limit are not kept.

    Args:
        limit: bytes of all arrays together.
    """

    def __init__(self, limit: int):
        self.limit, self.used = limit, 0
        self._kept: OrderedDict[Hashable, Arrays] = OrderedDict()

    def get(self, path: Path, make: Callable[[Path], Arrays]) -> Arrays:
        """Return ``make(path)``, from the cache if it is there; the arrays must not be changed."""
        state = path.stat() if path.exists() else None  # a missing file is for make to explain
        key = (make, path, state and (state.st_mtime_ns, state.st_size))
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key]
        arrays = make(path)
        size = sum(array.nbytes for array in arrays)
        if size <= self.limit:
            self._kept[key] = arrays
            self.used += size
        while self.used > self.limit:
            _, dropped = self._kept.popitem(last=False)
            self.used -= sum(array.nbytes for array in dropped)
        return arrays
