"""Class intervals from data. ``python -m desra.calibrate -opt options/calibrate.yml``

How far down the similarities of a class usually reach (Fig. 10b): [0, 1] is cut into intervals, and
the interval i_k of class k is the smallest i for which more than ``quantile`` of the pixels of that
class have ``D >= 1 - (i + 1) / intervals``. D is the map before any weight.

Writes ``<output>/intervals.yml``, which ``segment.table`` of detect reads, ``intervals.csv``, a row
for each class with its pixels, the images that they come from, and the share reached, and
``plots/<id>_<class>.png``. A class that no pixel had stands in the CSV alone, without an interval.
"""

from desra.utils.lazy import attach

__getattr__, __dir__ = attach(
    __name__, {"calibrate": "desra.calibrate.stage", "main": "desra.calibrate.__main__"}
)
