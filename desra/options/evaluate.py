"""The options of ``desra.evaluate``."""

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from desra.options.base import CommonOptions, Seed, Strict


class MaskFoldersOptions(Strict):
    """Masks to score, and the true ones."""

    pred: str
    """Folder of mask images (0 and 255), or one that detect wrote, whose mask/ is then taken."""
    truth: str
    """True masks: a folder of LabelMe files or of mask images (0 and 255), or a COCO file."""
    map: str | None = None
    """Folder of similarity maps, PNG of 8 or 16 bits, low = artifact, for the average precision;
    none: map/ of a folder that detect wrote, else no average precision."""


class BootstrapOptions(Strict):
    """Confidence intervals: 95 %, by the percentiles of totals over resampled images."""

    resamples: Annotated[int, Field(ge=100, le=100_000)] = 2000
    """How often the images are drawn anew, as many as there are, with replacement."""
    seed: Seed = 0
    """Seed of the draws; the same one gives the same intervals."""


class EvaluateOptions(CommonOptions):
    """``python -m desra.evaluate``: masks against the truth, and a network before and after."""

    masks: MaskFoldersOptions | None = None
    """Masks to compare with the truth; none: no such scores."""
    before: str | None = None
    """Folder that detect wrote with the network before finetuning."""
    after: str | None = None
    """Folder that detect wrote with the finetuned network, from the same inputs."""
    gt: str | None = None
    """Folder of true HR images, where there are any; embedded:finetune / embedded:heldout."""
    protocol: Literal["full", "released"] = "full"
    """released: the released scripts' arithmetic to the letter; masks lack 5 pixels a side."""
    metrics: list[str] = []
    """Metrics of pyiqa by name, on sr_gan before and after; needs `pip install 'desra[metrics]'`.
    Those with a reference compare with gt. Their weights are downloaded at first use."""
    bootstrap: BootstrapOptions = BootstrapOptions()
    """How the confidence intervals are found."""
    output: str
    """Folder for scores.json, and scores.txt for people."""
    sheet: str | None = None
    """Path of a contact sheet to write (PNG); none: no sheet."""
    sheet_rows: Annotated[int, Field(ge=1, le=1000)] = 8
    """Images on the contact sheet, those with most masked pixels before first."""

    @field_validator("metrics")
    @classmethod
    def _no_name_twice(cls, names: list[str]) -> list[str]:
        return list(dict.fromkeys(names))

    @model_validator(mode="after")
    def _something_to_compare(self) -> "EvaluateOptions":
        pair = (self.before, self.after)
        if self.masks is None and pair == (None, None):
            raise ValueError("give masks (with pred and truth), before and after, or all of them")
        if None in pair and pair != (None, None):
            given, lacking = ("before", "after") if self.after is None else ("after", "before")
            raise ValueError(f"{given} needs {lacking} to be compared with; give both, or neither")
        if pair == (None, None):
            keys = {"gt": self.gt, "metrics": self.metrics, "sheet": self.sheet}
            if idle := [key for key, value in keys.items() if value]:
                raise ValueError(f"{idle[0]}: belongs to before and after; give them, or not it")
        return self

    @model_validator(mode="after")
    def _sheet_is_png(self) -> "EvaluateOptions":
        if self.sheet is not None and not self.sheet.lower().endswith(".png"):
            raise ValueError(f"sheet: must be the path of a .png file, not {self.sheet}")
        return self
