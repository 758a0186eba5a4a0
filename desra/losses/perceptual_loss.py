"""basicsr's perceptual and style loss, with weights that are on this machine."""

from collections.abc import Mapping

from desra.registry import LOSS_REGISTRY, BasicsrPerceptualLoss


@LOSS_REGISTRY.register(suffix="desra")
class PerceptualLoss(BasicsrPerceptualLoss):
    """Distance of the features of a VGG network, and of their Gram matrices (style).

    Args:
        layer_weights: the names of the layers, such as conv5_4, and the weight of each.
        vgg_type: a VGG network of torchvision.
        perceptual_weight: factor of the features' distance; 0: none.
        style_weight: factor of the style's distance; 0: none.
        criterion: l1 or fro (Frobenius norm).
        vgg_weights: the file of torchvision's weights; whoever builds the loss reads it, see
            :class:`desra.models.objective.Objective`. None: where basicsr looks, else torchvision's
            cache.
        use_input_norm, range_norm: as in basicsr.

    Raises:
        ValueError: another criterion.
    """

    def __init__(
        self,
        layer_weights: Mapping[str, float],
        vgg_type: str = "vgg19",
        use_input_norm: bool = True,
        range_norm: bool = False,
        perceptual_weight: float = 1.0,
        style_weight: float = 0.0,
        criterion: str = "l1",
        vgg_weights: str | None = None,
    ):
        if criterion == "l2":
            raise ValueError("criterion: l2 is broken in basicsr; use l1 or fro")
        super().__init__(
            dict(layer_weights),
            vgg_type,
            use_input_norm,
            range_norm,
            perceptual_weight,
            style_weight,
            criterion,
        )
        self.vgg_weights = vgg_weights
