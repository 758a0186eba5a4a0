"""What a worker keeps of the files it has read, bounded by bytes."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

Arrays = tuple[NDArray[Any], ...]


class ByteCache:
    """Arrays made of files; those used longest ago go when ``limit`` bytes are passed.

    A file that was written anew is read anew. What alone is larger than the limit is not kept.

    Args:
        limit: bytes of all arrays together.
    """

    def __init__(self, limit: int):
        self.limit, self.used = limit, 0
        self._kept: OrderedDict[Hashable, Arrays] = OrderedDict()

    def get(self, path: Path, make: Callable[[Path], Arrays]) -> Arrays:
        """``make(path)``, or what it gave before. Not to be written to."""
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
            _, gone = self._kept.popitem(last=False)
            self.used -= sum(array.nbytes for array in gone)
        return arrays
