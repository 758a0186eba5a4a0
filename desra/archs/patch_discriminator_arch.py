"""PatchDiscriminator: a small discriminator of overlapping patches, for crops of any size."""

from torch import Tensor, nn

from desra.registry import ARCH_REGISTRY


@ARCH_REGISTRY.register()
class PatchDiscriminator(nn.Module):
    """A discriminator of strided convolutions, a logit a patch (PatchGAN, Isola et al., arXiv
    1611.07004).

    Unlike basicsr's VGGStyleDiscriminator it takes crops of any size, and judges local texture
    rather than the whole crop. Compared with UNetDiscriminatorSN it costs a fraction and, with
    batch normalisation instead of spectral normalisation, learns within a few hundred iterations.
    Several processes share batch statistics on GPUs only, see
    `desra.utils.distributed.sync_batch_norm`.

    Args:
        num_in_ch: channels of the image.
        num_feat: channels of the first layer; doubled at each stride, at most eightfold.
        num_strides: how often the resolution is halved, s; with 3 a patch has 56 pixels a side.

    Input: float32 (N, num_in_ch, H, W) in [0, 1]. Output: logits (N, 1, H / 2^s, W / 2^s), sizes
    rounded down.
    """

    def __init__(self, num_in_ch: int = 3, num_feat: int = 32, num_strides: int = 3):
        super().__init__()
        layers: list[nn.Module] = [
            nn.Conv2d(num_in_ch, num_feat, 3, 1, 1),
            nn.LeakyReLU(0.2, inplace=True),
        ]
        channels = num_feat
        for i in range(num_strides):
            wider = num_feat * min(2 ** (i + 1), 8)
            layers += [
                nn.Conv2d(channels, wider, 4, 2, 1, bias=False),
                nn.BatchNorm2d(wider),
                nn.LeakyReLU(0.2, inplace=True),
            ]
            channels = wider
        layers += [
            nn.Conv2d(channels, channels, 3, 1, 1, bias=False),
            nn.BatchNorm2d(channels),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Conv2d(channels, 1, 3, 1, 1),
        ]
        self.body = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x)
