"""The base classes of all sections of the options, and types of numbers with a range."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

Probability = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Seed = Annotated[int, Field(ge=0, lt=2**31)]
Range = tuple[float, float]


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("must be a text")
    return value


FileName = Annotated[Any, AfterValidator(_text)]
"""A text in a file that desra wrote; names that are not UTF-8 have surrogates, which pydantic's own
check of texts refuses."""


class Strict(BaseModel):
    """A section of the options that refuses unknown keys."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        populate_by_name=True,
        use_attribute_docstrings=True,
        allow_inf_nan=False,
    )
    reads_basicsr: ClassVar[bool] = False
    """Whether a file in basicsr's format is translated, see :mod:`desra.options.foreign`."""
    losses_in: ClassVar[tuple[str, ...]] = ()
    """The section that holds ``losses``, which :mod:`desra.options.loss_forms` also reads in other
    forms; none: ()."""


class RegisteredClass(BaseModel):
    """A section that names a registered class (``type``); its other keys are the arguments."""

    model_config = ConfigDict(extra="allow", frozen=True, use_attribute_docstrings=True)

    type: str
    """Name in the registry: one of basicsr's, of desra's, or of a module listed in `import`."""

    def spec(self) -> dict[str, Any]:
        """Return ``type`` and the arguments of the class, without the keys that desra reads."""
        own = set(type(self).model_fields) - {"type"}
        return {k: v for k, v in self.model_dump().items() if k not in own}


class CommonOptions(Strict):
    """The options of every stage."""

    device: str = "auto"
    """auto (cuda, else mps, else cpu), or torch's own name of a device."""
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    """What networks compute in; auto: bf16 where the device has it natively, else fp16 on a GPU
    (training scales its losses), else fp32."""
    imports: list[str] = Field(default=[], alias="import")
    """Modules to import first: those that register your own archs, losses, datasets, models. They
    run: an options file with `import` is a program. Installed packages are searched first, then
    the working folder."""
