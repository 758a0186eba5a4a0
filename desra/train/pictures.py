"""The same few training samples again and again: what the network makes of them, before and now."""

import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.utils import make_grid

from desra.data.samples import MixedDataset
from desra.models.base_model import TrainableModel

_LOOKED_AT, _SHOWN = 16, 4


class Samples:
    """Those of the first samples that hold most artifacts.

    Args:
        dataset: a sample is a function of its number, so looking changes nothing.
        model: as it is before the run.
    """

    def __init__(self, dataset: MixedDataset, model: TrainableModel):
        samples = [dataset[number] for number in range(_LOOKED_AT)]
        samples.sort(key=lambda sample: -float(sample["mask"].mean()))
        first = samples[:_SHOWN]
        self._lq, self._gt, self._mask = (
            torch.stack([sample[key] for sample in first]) for key in ("lq", "gt", "mask")
        )
        self._before = self._made_by(model)

    def _made_by(self, model: TrainableModel) -> Tensor:
        return model.preview(self._lq).float().cpu()

    def picture(self, model: TrainableModel) -> Tensor:
        """A row for each sample: lq, before, now, gt, mask; float32 (3, H, W) in [0, 1]."""
        size = list(self._gt.shape[-2:])
        columns = [
            F.interpolate(self._lq, size, mode="nearest"),
            self._before,
            self._made_by(model),
            self._gt,
            self._mask.expand_as(self._gt),
        ]
        cells = torch.stack(columns, dim=1).flatten(0, 1).clamp(0, 1)
        return make_grid(cells, nrow=len(columns), padding=2, pad_value=0.5)
