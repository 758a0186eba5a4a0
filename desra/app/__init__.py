"""Look at artifacts in a browser, and move the settings. ``python -m desra.app``

Drop an image, or choose one of those inside: GAN-SR, MSE-SR, map, mask, overlay, and the image
whose artifacts gave way to MSE-SR. The networks run once for each image; threshold, area, strength
and feather only redo the mask and the blending. ``--model`` and ``--partner`` name other networks,
``--force_yml`` sets all else. Needs Gradio: ``pip install "desra[app]"``.

The page is served to this machine alone unless ``host`` says otherwise, and asks nobody else for
anything: no telemetry, no fonts, no sharing.
"""

from desra.utils.lazy import attach

__getattr__, __dir__ = attach(__name__, {"app": "desra.app.stage", "main": "desra.app.__main__"})
