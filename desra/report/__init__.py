"""Look: the results as a page. ``python -m desra.report -opt options/report.yml``

Writes ``<output>/index.html``, which any browser opens from the disk, without a server and without
a request to anywhere: images worst first, before against after and GAN-SR against MSE-SR under a
slider, masks, maps, scores and settings. Up to ``max_embedded`` images it is a single file; with
more, the pictures lie in ``<output>/pictures``.
"""

from desra.utils.lazy import attach

__getattr__, __dir__ = attach(
    __name__, {"report": "desra.report.stage", "main": "desra.report.__main__"}
)
