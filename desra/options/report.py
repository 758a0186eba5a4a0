"""The options of ``desra.report``."""

from typing import Annotated

from pydantic import Field

from desra.options.base import Strict


class ReportOptions(Strict):
    """``python -m desra.report``: results as a page to look at, without a server."""

    before: str
    """Folder that detect wrote."""
    after: str | None = None
    """Folder that detect wrote with the finetuned network, from the same inputs."""
    scores: str | None = None
    """The scores.json that evaluate wrote for these folders."""
    tables: list[str] = []
    """More tables and curves: JSON files of `{title, note, columns, rows, curves}`."""
    settings: list[str] = []
    """More YAML files to show, such as the options of a training; what detect wrote into `before`
    and `after` of its options is shown by itself."""
    output: str
    """Folder for index.html."""
    title: Annotated[str, Field(min_length=1)] = "DeSRA report"
    """Head of the page."""
    max_embedded: Annotated[int, Field(ge=0)] = 50
    """Up to so many images index.html is one file that holds all pictures; with more, the pictures
    lie beside it."""
    quality: Annotated[int, Field(ge=1, le=100)] = 85
    """WebP quality of the pictures; 100 is lossless, and several times as large."""
    max_side: Annotated[int, Field(ge=64, le=16383)] = 2048
    """Pictures with a longer side (pixels) are shown smaller; the page says so."""
