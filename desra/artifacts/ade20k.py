"""The paper's calibrated intervals for the 150 classes of ADE20K.

Source: Xie et al., "DeSRA: Detect and Delete the Artifacts of GAN-based Real-World
Super-Resolution Models", ICML 2023, and its released detection code. The interval i_k of a class
gives its weight 20 / (20 - i_k): see `desra.artifacts.class_weight`. Matched by name, because
the order of this table is not that of ADE20K's ids.
"""

from __future__ import annotations

# Interval -> the classes in it. A higher interval spares more: towers, sea, trees, grass.
_CLASSES: dict[int, str] = {
    0: (
        "armchair, ball, bar, bathtub, bed, bench, booth, bus, canopy, case, chest of drawers, "
        "counter, countertop, curtain, cushion, desk, door, escalator, fan, flag, lake, mirror, "
        "monitor, ottoman, oven, plate, pot, radiator, rug, runway, sconce, screen door, screen, "
        "seat, sky, swivel chair, tray, wardrobe"
    ),
    1: (
        "airplane, apparel, arcade machine, bag, bannister, barrel, bicycle, blanket, blind, "
        "bookcase, bottle, box, car, clock, coffee table, crt screen, fence, floor, flower, food, "
        "lamp, light, microwave, minibike, person, river, sand, shelf, sink, step, stool, table, "
        "tent, toilet, towel, traffic light, truck, van, vase, wall, washer, water, waterfall, "
        "windowpane"
    ),
    2: (
        "ashcan, awning, basket, boat, ceiling, column, cradle, fountain, glass, land, pier, "
        "pillow, pole, pool table, poster, rock, sculpture, shower, signboard, sofa, stairway, "
        "streetlight, tank, television receiver, trade name"
    ),
    3: (
        "animal, cabinet, chair, conveyer belt, earth, plant, railing, refrigerator, road, ship, "
        "sidewalk, stairs"
    ),
    4: (
        "base, book, bridge, buffet, building, dirt track, dishwasher, hovel, kitchen island, "
        "palm, plaything, stove, swimming pool"
    ),
    5: "fireplace, grandstand, grass, hill, hood, mountain, path, tree",
    6: "chandelier, computer, painting",
    7: "house, sea, skyscraper, stage",
    8: "field",
    9: "tower",
    11: "bulletin board",
}

ADE20K_INTERVALS: dict[str, int] = {
    name: interval for interval, names in _CLASSES.items() for name in names.split(", ")
}
"""Class name -> interval index, 0..11."""
