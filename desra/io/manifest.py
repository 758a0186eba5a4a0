"""Read and write what detect keeps beside its images: ``manifest.jsonl``, a JSON row for each
image, and ``options.yml``, the options of its last run."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from desra.io.files import atomic_write
from desra.options.base import FileName
from desra.options.loading import parse, read_yaml, resolved
from desra.options.sections import FinderSections
from desra.utils.errors import InputError
from desra.utils.reading import parse_json, read_bytes

FILE = "manifest.jsonl"
OPTIONS = "options.yml"
KINDS = ("sr_gan", "sr_mse", "map", "mask", "overlay", "pseudo_gt")


@dataclass(frozen=True)
class Row:
    """The manifest's row of an image: what detect found in it, also when that was nothing.

    Attributes:
        stem: name of the image's files, with its sub-folder.
        lq: path of the LR image; None for finished SR images without one.
        lq_size, sr_size: (height, width) in pixels.
        scale: factor between the two.
        mask_pixels, regions: number of masked pixels and of 8-connected regions in the whole SR
            image; the same with ``protocol: released``, which crops only the mask file.
        mean_D: mean of the similarity map; None for an image smaller than the window.
        seconds: time that each step took.
        settings: hash of the settings and of the input's content.
        notes: what was converted when the input was read, see `desra.io.images.Picture`.
        seam: `desra.artifacts.seam_step` of the deletion; None if nothing was deleted.
    """

    stem: str
    lq: str | None
    lq_size: tuple[int, int] | None
    sr_size: tuple[int, int]
    scale: int
    mask_pixels: int
    regions: int
    mean_D: float | None
    seconds: dict[str, float]
    settings: str
    notes: tuple[str, ...]
    seam: float | None = None

    @property
    def mask_share(self) -> float:
        """Return the share of masked pixels in the SR image, in [0, 1]."""
        return self.mask_pixels / (self.sr_size[0] * self.sr_size[1])

    @property
    def size_of_lq(self) -> tuple[int, int]:
        """Return (height, width) of the LR image; without one, of the SR image over the scale."""
        return self.lq_size or (self.sr_size[0] // self.scale, self.sr_size[1] // self.scale)


def result(folder: Path, kind: str, stem: str) -> Path:
    """Return the path of a result, such as ``<folder>/mask/<stem>.png``."""
    return folder / kind / f"{stem}.png"


def to_line(row: Row) -> str:
    """Return the row as a line of JSON."""
    return json.dumps(asdict(row)) + "\n"  # ASCII: file names may hold what UTF-8 cannot


_Count = Annotated[int, Field(ge=0, lt=2**53)]
_Size = Annotated[list[Annotated[int, Field(ge=1, lt=2**31)]], Field(min_length=2, max_length=2)]


class _RowThere(BaseModel):
    """A row as it lies in the file; its fields are those of `Row`."""

    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)

    stem: FileName
    lq: Any
    lq_size: _Size | None
    sr_size: _Size
    scale: Annotated[int, Field(ge=1, lt=2**31)]
    mask_pixels: _Count
    regions: _Count
    mean_D: float | None
    seconds: dict[str, float]
    settings: str
    notes: list[FileName]
    seam: float | None = None

    @field_validator("lq")
    @classmethod
    def _text_or_null(cls, value: Any) -> Any:
        if not isinstance(value, str | None):
            raise ValueError("must be a text or null")
        return value

    @model_validator(mode="after")
    def _inside(self) -> "_RowThere":
        """A stem names files of the folder, and of no other."""
        parts = self.stem.split("/")
        if "\0" in f"{self.stem}{self.lq}" or parts[0] == "" or ".." in parts:
            raise ValueError("stem must be a name inside the folder")
        return self


def _from_line(line: bytes) -> Row:
    content: dict[str, Any] = parse_json(line)
    if "components" in content:  # as version 0.1.0 called them
        content["regions"] = content.pop("components")
    _RowThere.model_validate(content)
    pairs = {k: tuple(content[k]) if content[k] else None for k in ("lq_size", "sr_size")}
    return Row(**{**content, **pairs, "notes": tuple(content["notes"])})


def read(folder: Path) -> dict[str, Row]:
    """Read the rows of a results folder, by stem; empty without a manifest.

    An incomplete last line, of a process that was killed as it wrote, is ignored.

    Raises:
        InputError: a complete line is no row.
    """
    path = folder / FILE
    if not path.is_file():
        return {}
    rows: dict[str, Row] = {}
    *lines, _ = read_bytes(path).split(b"\n")
    for number, line in enumerate(lines, 1):
        try:
            row = _from_line(line)
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            reason = ""
            if isinstance(error, ValidationError):
                fault = error.errors()[0]
                reason = f" ({'.'.join(map(str, fault['loc']))}: {fault['msg']})"
            elif isinstance(error, ValueError) and not isinstance(error, json.JSONDecodeError):
                reason = f" ({error})"
            raise InputError(
                f"{path}, line {number}: is no row of a manifest{reason}; delete this line, and "
                "run desra.detect again for the image that it was of"
            ) from error
        rows[row.stem] = row
    return rows


def read_results(folder: str | Path, key: str) -> dict[str, Row]:
    """Read the rows of a folder that detect must have written, by stem.

    The path of an LR image may be relative to the working folder of then. Where there is no such
    file now, it is looked for beside the manifest.

    Args:
        folder: the folder.
        key: the option that names it, for the message.

    Raises:
        InputError: there is no manifest, or it is empty.
    """
    rows = read(Path(folder))
    if not rows:
        raise InputError(
            f"{key}: {folder} holds no {FILE}; make it with "
            "`python -m desra.detect -opt options/detect.yml`"
        )
    return {stem: _with_lq_here(row, Path(folder)) for stem, row in rows.items()}


def _with_lq_here(row: Row, folder: Path) -> Row:
    if row.lq is None or Path(row.lq).is_absolute() or Path(row.lq).is_file():
        return row
    beside = folder / row.lq
    return replace(row, lq=str(beside)) if beside.is_file() else row


def places_of_lq(folder: str | Path) -> str:
    """Return where the LR images of a manifest are looked for, for a message."""
    return f"a relative path in {folder}/{FILE} is looked for in {Path.cwd()} and in {folder}"


def refuse_missing_lq(folder: str | Path, stem: str, lq: str | Path) -> None:
    """Refuse an image of a folder whose LR image is not there.

    Raises:
        InputError: it is not.
    """
    if not Path(lq).is_file():
        raise InputError(f"{stem}: its LR image {lq} is not there ({places_of_lq(folder)})")


def write(folder: Path, rows: Iterable[Row]) -> None:
    """Write the manifest of a folder; an earlier one is replaced."""
    with atomic_write(folder / FILE) as file:
        file.write("".join(map(to_line, rows)).encode())


def write_options(folder: Path, options: BaseModel) -> Path:
    """Write the options of a stage, defaults too, beside its results, and return the file."""
    path = folder / OPTIONS
    text = yaml.safe_dump(resolved(options), sort_keys=False, allow_unicode=True)
    with atomic_write(path) as file:
        file.write(text.encode())
    return path


def read_options(folder: str | Path) -> FinderSections | None:
    """Read how the map and the masks of a folder were made, from what `write_options` wrote there.

    Args:
        folder: what detect wrote.

    Returns:
        The sections; those that the file gives are in ``model_fields_set``. None: no such file.

    Raises:
        InputError: the file cannot be read, or was edited so that it holds no such options.
    """
    path = Path(folder) / OPTIONS
    if not path.is_file():
        return None
    content = read_yaml(path)
    sections = {key: content[key] for key in FinderSections.model_fields if key in content}
    return parse(FinderSections, sections, f"{path}, which tells how the masks beside it were made")
