"""Choose a mask rule. ``python -m desra.sweep -opt options/sweep.yml``

What detect would have found at other thresholds and areas, and by other detectors: computed from
the SR images that it wrote and the LR images that it read, without the networks. The map is made
anew (``map/*.png`` holds it in steps of 1/255, which moves masks), without class weights. LR images
that are gone are done without by a detector that can, and a warning says so.

Writes ``<output>/sweep.csv``, a row for each threshold and area; shares and scores are pooled over
all images, ``iou`` is the mean over images. With ``truth`` the scores are over the images that have
a true mask, ``scored`` of them. What is not defined is left empty.
"""

from desra.utils.lazy import attach

__getattr__, __dir__ = attach(
    __name__,
    {
        "SweepRow": "desra.sweep.stage",
        "count_areas": "desra.sweep.stage",
        "main": "desra.sweep.__main__",
        "sweep": "desra.sweep.stage",
    },
)
