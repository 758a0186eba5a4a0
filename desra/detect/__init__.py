"""Stage 1: find artifacts. ``python -m desra.detect -opt options/detect.yml``, or ``-i IN -o OUT``

For each LR image: GAN-SR and MSE-SR, the similarity map D, the mask, and the pseudo ground truth.
Writes ``<output>/{sr_gan,sr_mse,map,mask,overlay,pseudo_gt}/<stem>.png`` (``mask`` full size, 0 or
255; ``map`` 255 D, smaller by the window's border), ``<output>/manifest.jsonl`` and
``<output>/options.yml``, the options with their defaults; with ``deletion`` also
``deleted/<stem>.png``, the GAN-SR image without its artifacts.

What a row of the manifest vouches for is not made again, unless the settings, the input, weights
or the detector's own (`desra.detectors`) changed.
"""

from desra.utils.lazy import attach

__getattr__, __dir__ = attach(
    __name__, {"detect": "desra.detect.stage", "main": "desra.detect.__main__"}
)
