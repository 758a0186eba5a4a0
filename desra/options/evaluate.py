"""The options of ``desra.evaluate``."""

from typing import Annotated

from pydantic import Field, model_validator

from desra.options.base import CommonOptions


class EvaluateOptions(CommonOptions):
    """``python -m desra.evaluate``: what a finetuning removed, and what it kept."""

    before: str
    """Folder that detect wrote with the network before finetuning."""
    after: str
    """Folder that detect wrote with the finetuned network, from the same inputs."""
    gt: str | None = None
    """Folder of true HR images, where there are any; embedded:finetune / embedded:heldout."""
    output: str
    """Folder for scores.json."""
    sheet: str | None = None
    """Path of a contact sheet to write (PNG); none: no sheet."""
    sheet_rows: Annotated[int, Field(ge=1)] = 8
    """Images on the contact sheet, those with most masked pixels before first."""

    @model_validator(mode="after")
    def _sheet_is_png(self) -> "EvaluateOptions":
        if self.sheet is not None and not self.sheet.lower().endswith(".png"):
            raise ValueError(f"sheet: must be the path of a .png file, not {self.sheet}")
        return self
