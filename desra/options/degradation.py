"""The parameters of Real-ESRGAN's degradation."""

from pydantic import model_validator

from desra.options.base import Probability, Range, Strict

#: The largest values that make sense, or that a machine can hold.
_MOST = {"kernel_range": 255, "resize_range": 16, "jpeg_range": 100, "noise_range": 255}


class Degradation(Strict):
    """Real-ESRGAN's two-stage degradation, by its published names and values (arXiv 2107.10833)."""

    kernel_range: tuple[int, int] = (7, 21)
    """Smallest and largest (odd) side of a blur kernel."""
    kernel_list: list[str] = [
        "iso",
        "aniso",
        "generalized_iso",
        "generalized_aniso",
        "plateau_iso",
        "plateau_aniso",
    ]
    """Kinds of blur kernel, first stage."""
    kernel_prob: list[Probability] = [0.45, 0.25, 0.12, 0.03, 0.12, 0.03]
    """Their probabilities."""
    sinc_prob: Probability = 0.1
    """Probability of a sinc kernel instead."""
    blur_sigma: Range = (0.2, 3.0)
    """Range of the kernels' standard deviation in pixels."""
    betag_range: Range = (0.5, 4.0)
    """Shape of generalized Gaussian kernels."""
    betap_range: Range = (1.0, 2.0)
    """Shape of plateau kernels."""
    resize_prob: tuple[float, float, float] = (0.2, 0.7, 0.1)
    """Probabilities of up, down, keep."""
    resize_range: Range = (0.15, 1.5)
    """Range of the resize factor."""
    gaussian_noise_prob: Probability = 0.5
    """Probability of Gaussian noise; else Poisson noise."""
    noise_range: Range = (1.0, 30.0)
    """Range of the Gaussian noise's sigma in grey levels."""
    poisson_scale_range: Range = (0.05, 3.0)
    """Range of the Poisson noise's scale."""
    gray_noise_prob: Probability = 0.4
    """Probability that noise is the same in the three channels."""
    jpeg_range: Range = (30.0, 95.0)
    """Range of JPEG quality."""

    second_blur_prob: Probability = 0.8
    """Probability of a second blur."""
    kernel_list2: list[str] = [
        "iso",
        "aniso",
        "generalized_iso",
        "generalized_aniso",
        "plateau_iso",
        "plateau_aniso",
    ]
    """As in the first stage."""
    kernel_prob2: list[Probability] = [0.45, 0.25, 0.12, 0.03, 0.12, 0.03]
    """As in the first stage."""
    sinc_prob2: Probability = 0.1
    """As in the first stage."""
    blur_sigma2: Range = (0.2, 1.5)
    """As in the first stage."""
    betag_range2: Range = (0.5, 4.0)
    """As in the first stage."""
    betap_range2: Range = (1.0, 2.0)
    """As in the first stage."""
    resize_prob2: tuple[float, float, float] = (0.3, 0.4, 0.3)
    """As in the first stage."""
    resize_range2: Range = (0.3, 1.2)
    """As in the first stage."""
    gaussian_noise_prob2: Probability = 0.5
    """As in the first stage."""
    noise_range2: Range = (1.0, 25.0)
    """As in the first stage."""
    poisson_scale_range2: Range = (0.05, 2.5)
    """As in the first stage."""
    gray_noise_prob2: Probability = 0.4
    """As in the first stage."""
    jpeg_range2: Range = (30.0, 95.0)
    """As in the first stage."""
    final_sinc_prob: Probability = 0.8
    """Probability of the final sinc filter."""

    @model_validator(mode="after")
    def _lists_agree(self) -> "Degradation":
        for key, bounds in self.model_dump().items():
            if "_range" in key or key.startswith("blur_sigma"):
                low, high = bounds
                most = _MOST.get(key.removesuffix("2"), 1000)
                if not 0 <= low <= high <= most:
                    raise ValueError(
                        f"{key} must be two numbers, the smaller first, from 0 to {most} "
                        f"(given: {low}, {high})"
                    )
            elif key.startswith("resize_prob") and not (min(bounds) >= 0 < sum(bounds)):
                raise ValueError(f"{key} must be numbers of 0 or more, not all 0")
        for kinds, shares in (
            (self.kernel_list, self.kernel_prob),
            (self.kernel_list2, self.kernel_prob2),
        ):
            if len(kinds) != len(shares) or not sum(shares) > 0:
                raise ValueError("a kernel_list and its kernel_prob must be equally long, sum > 0")
        return self
