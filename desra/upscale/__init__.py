"""Upscale images with one network. ``python -m desra.upscale -i IN -o OUT --model WEIGHTS``

For the daily use of a network, a finetuned one for example: an image or a folder, of which the
sub-folders are kept. Transparency is upscaled beside the colours; ``-opt options/upscale.yml`` and
``--force_yml`` set all that has no flag. With the network's MSE-trained partner (``--partner``) its
artifacts are found as detect finds them, and give way to what the partner makes.
"""

from desra.utils.lazy import attach

__getattr__, __dir__ = attach(
    __name__,
    {
        "Upscaler": "desra.upscale.stage",
        "main": "desra.upscale.__main__",
        "upscale": "desra.upscale.stage",
    },
)
