"""Stage 3: compare. ``python -m desra.evaluate -opt options/evaluate.yml``

Two parts, each alone or both.

- ``before``, ``after``: what a finetuning removed, and what it kept. Two folders that detect wrote
  from the same inputs, with the network before and after (:mod:`desra.evaluate.change`).
- ``masks: {pred, truth, map}``: how good masks are (:mod:`desra.evaluate.masks`). ``pred`` is a
  folder of mask images, or one that detect wrote: then ``mask/`` is scored, and the average
  precision comes from ``map/``, the map that the masks were made of, with its weights and by its
  detector, in the 256 levels that it is stored in. ``map`` names another folder of maps, of which
  16-bit ones are looked at in 4081 levels. Only the pixels that a map covers count there.

``protocol: released`` gives the numbers of the paper's scripts: masks lack 5 pixels a side, and the
truth is cropped to them before its regions are counted; true masks without a prediction vanish;
one image with both masks empty leaves the mean IoU undefined. A prediction without truth, which
one of the scripts deletes, is left out and left alone.

Writes ``<output>/scores.json``: the folders, ``total``, ``intervals`` and ``images`` by stem of
before against after (null when not asked for), and under ``masks`` the same of the masks, with
their precision-recall curve. A value that is divided by zero is null. ``intervals`` holds the 95 %
bootstrap interval over images of each rate and mean of the total, [low, high], null with fewer than
two images. ``<output>/scores.txt`` says it in words; the command line prints that.
"""

from desra.utils.lazy import attach

__getattr__, __dir__ = attach(
    __name__, {"evaluate": "desra.evaluate.stage", "main": "desra.evaluate.__main__"}
)
