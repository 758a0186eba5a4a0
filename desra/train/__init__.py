"""Stage 2: train or finetune. ``python -m desra.train -opt options/finetune.yml``

Writes ``<experiments_root>/<name>/``: ``models/net_g_<iter>.pth``, ``net_g_latest.pth`` and, with
``val``, ``net_g_best.pth`` (keys ``params`` and ``params_ema``), ``training_states/latest.state``,
``options.yml``, ``train.log`` and TensorBoard events in ``tb/``.

The same command goes on with a run that was cut off, and leaves one alone that is finished. In
several processes: ``torchrun --nproc_per_node=N -m desra.train -opt options/finetune.yml``.
"""

from desra.utils.lazy import attach

__getattr__, __dir__ = attach(
    __name__, {"train": "desra.train.stage", "main": "desra.train.__main__"}
)
