"""What ``desra.run`` needs around its stages: the images of a run, its lineage, its table.

``networks`` finds the two that it begins with, ``pictures`` takes images in and puts each on its
side, ``lineage`` keeps what was done with them, ``found`` counts what detection left, ``review``
holds the run up for masks corrected by hand, ``verdict`` judges a round and whether there is to be
another,
``table`` shows how the rounds went.
"""
