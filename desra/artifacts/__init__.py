"""The method of DeSRA as pure functions: arrays in, arrays out.

In the order of the paper, for the two networks' outputs ``sr_mse`` and ``sr_gan`` of one image:

1. `artifact_map`: how alike their local texture is, D in [0, 1], low at an artifact (Eq. 2-7);
2. `class_weights`, `apply_class_weights`: the same in view of what a pixel shows (Eq. 9), with
   weights from the paper (`ADE20K_INTERVALS`) or from data (`IntervalCalibration`);
3. `artifact_mask`, `full_size_mask`: threshold, morphology and area;
4. `compose_pseudo_gt`: MSE-SR inside the mask, GAN-SR outside, to learn from (Eq. 10);
   `delete_artifacts`: the same with a soft edge, to look at;

Images are RGB ``(H, W, 3)`` uint8, masks bool with True = artifact. Batches that lie on a device
have their own map in `desra.artifacts.local_variance_torch`, which alone needs torch.
"""

from desra.artifacts.ade20k import ADE20K_INTERVALS
from desra.artifacts.borders import border_between, crop_to
from desra.artifacts.deletion import (
    DeletionSpec,
    delete_artifacts,
    deletion_weight,
    seam_step,
)
from desra.artifacts.local_variance import (
    WindowSpec,
    absolute_difference_map,
    artifact_map,
    local_std,
)
from desra.artifacts.mask import (
    MaskRule,
    Regions,
    artifact_mask,
    candidates,
    clean_up,
    fill_holes,
    find_regions,
    full_size_clean_up,
    full_size_mask,
)
from desra.artifacts.pseudo_gt import compose_pseudo_gt
from desra.artifacts.row_bands import bands
from desra.artifacts.semantic import (
    IntervalCalibration,
    apply_class_weights,
    class_intervals,
    class_weight,
    class_weights,
)

__all__ = [
    "ADE20K_INTERVALS",
    "DeletionSpec",
    "IntervalCalibration",
    "MaskRule",
    "Regions",
    "WindowSpec",
    "absolute_difference_map",
    "apply_class_weights",
    "artifact_map",
    "artifact_mask",
    "bands",
    "border_between",
    "candidates",
    "class_intervals",
    "class_weight",
    "class_weights",
    "clean_up",
    "compose_pseudo_gt",
    "crop_to",
    "delete_artifacts",
    "deletion_weight",
    "fill_holes",
    "find_regions",
    "full_size_clean_up",
    "full_size_mask",
    "local_std",
    "seam_step",
]
