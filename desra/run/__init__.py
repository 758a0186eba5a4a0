"""The stages in a row. ``python -m desra.run -i LR_IMAGES -o OUT --model WEIGHTS``

Detect, finetune, detect, evaluate, round after round, until nothing is found, a round gains too
little or makes things worse, or ``max_rounds``. Each round starts from the last one's network and
learns from all that was detected since the first; images that are new in the folder join in. Some
images are held out: they are never finetuned on, and judge. All options: ``-opt options/run.yml``.

Writes ``<output>/``:

- ``net_g.pth``, the network that the run ends with, if a round is kept;
- ``original/{finetuned,heldout}``, what detect finds in the network before, and
  ``round_<n>/{finetuned,heldout}`` in that of a round;
- ``round_<n>/train``, the finetuning, and ``round_<n>/scores/``: what each comparison gives, with
  the network before the first round and (``*_step``) with that of the round before;
- ``report/{heldout,finetuned}/index.html``, pages to look at, of the first network and the last;
- ``images/``, copies of the LR images; ``lineage.json``; ``options.yml``; ``rounds.json``, the
  table of the rounds.

The same command goes on with a run that was cut off, or has new images, or more ``max_rounds``.
"""

from desra.utils.lazy import attach

__getattr__, __dir__ = attach(__name__, {"run": "desra.run.stage", "main": "desra.run.__main__"})
