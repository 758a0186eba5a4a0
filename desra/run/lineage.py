"""``lineage.json``: where the networks of a run come from, and which stages are done.

::

    options     what the run was asked for
    identity    what makes it this run: options, recipes, networks, by key path
    original    the network before the first round: weights, sha256
    images      finetuned and heldout: stem -> sha256, source, round in which it joined
    rounds      a record for each, see `Record`
    nothing     the number of the round for which nothing was found; null: none
    stopped     why there is no further round; null while there may be one
    final       the network that the run ends with (weights, sha256); null for the original one
"""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from desra.io.files import write_json
from desra.metrics.rows import from_older
from desra.options.base import FileName
from desra.options.train import identity_from_older
from desra.run.identity import refuse_other
from desra.run.verdict import Verdict
from desra.utils.errors import InputError
from desra.utils.reading import parse_json, read_bytes

FILE = "lineage.json"
SIDES = ("heldout", "finetuned")


@dataclass
class Record:
    """What is known of a round; what is not known yet is None.

    In the file the fields are keys, those that are None left out, and beside them the verdict's
    ``judge``, ``gain``, ``worse`` and ``kept``.

    Attributes:
        round: its number, from 1.
        seconds: of each stage that is done, by its name.
        added: the stems of the images that joined with it, by side.
        options: of each stage, by its name, with their ``fingerprint``.
        review: with the option ``review``, once the human was asked: the network's name -> LabelMe
            file -> sha256, as it was then.
        network: ``before`` and ``after`` it: weights, sha256.
        scores: the totals of evaluate, with ``intervals``, see `desra.run.verdict.verdict`.
        verdict: on these.
    """

    round: int
    seconds: dict[str, float] = field(default_factory=dict[str, float])
    added: dict[str, list[str]] | None = None
    options: dict[str, Any] | None = None
    review: dict[str, dict[str, str]] | None = None
    network: dict[str, dict[str, str]] | None = None
    scores: dict[str, dict[str, Any]] | None = None
    verdict: Verdict | None = None

    @property
    def kept(self) -> bool:
        """Whether it is judged, and counts."""
        return self.verdict is not None and self.verdict.kept

    def forget_training(self) -> None:
        """Forget the training and all that followed, so that it is done anew."""
        name = f"round_{self.round}"
        for stage in ("train", f"detect {name}", "evaluate"):
            self.seconds.pop(stage, None)
        self.network = self.scores = self.verdict = None

    def as_json(self) -> dict[str, Any]:
        """Return what the file holds."""
        content = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "verdict"}
        content = {key: value for key, value in content.items() if value is not None}
        if (verdict := self.verdict) is not None:
            content |= {
                "judge": verdict.judge,
                "gain": verdict.gain,
                "worse": verdict.worse,
                "kept": verdict.kept,
            }
        return content

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "Record":
        """Return the record that :meth:`as_json` told of, in this version or in an older one.

        Raises:
            KeyError, TypeError, AttributeError: it is none.
        """
        known = {f.name for f in fields(cls)}
        record = cls(**{key: value for key, value in content.items() if key in known})
        if record.scores is not None:
            record.scores = {name: from_older(total) for name, total in record.scores.items()}
        if "judge" in content:
            record.verdict = Verdict(content["judge"], content["gain"], content["worse"])
        return record


class _Plain(BaseModel):
    """A part of the file as its types; what older versions had besides is let be."""

    model_config = ConfigDict(strict=True, extra="ignore")


class _Image(_Plain):
    sha256: str
    source: FileName
    round: Annotated[int, Field(ge=1)]


class _Images(_Plain):
    heldout: dict[FileName, _Image]
    finetuned: dict[FileName, _Image]


class _Weights(_Plain):
    weights: FileName
    sha256: str


class _RecordThere(_Plain):
    round: Annotated[int, Field(ge=1)]
    seconds: dict[str, float]
    added: dict[str, list[FileName]] | None = None
    options: dict[str, Any] | None = None
    review: dict[str, dict[FileName, str]] | None = None
    network: dict[str, _Weights] | None = None
    scores: dict[str, dict[str, float | dict[str, Any] | None]] | None = None
    judge: str | None = None
    gain: float | None = None
    worse: str | None = None
    kept: bool | None = None

    @model_validator(mode="after")
    def _judged(self) -> "_RecordThere":
        if self.judge is not None and self.gain is None:
            raise ValueError("a round with judge must have gain")
        return self


class _There(_Plain):
    """The file that an earlier call wrote."""

    identity: dict[str, Any]
    images: _Images
    rounds: list[_RecordThere]
    nothing: int | None = None
    final: _Weights | None = None

    @model_validator(mode="after")
    def _in_order(self) -> "_There":
        if [record.round for record in self.rounds] != list(range(1, len(self.rounds) + 1)):
            raise ValueError("rounds must be numbered 1, 2, 3 and so on")
        return self


class Lineage:
    """The file of a run, saved after each stage; its attributes are the keys of the file.

    Args:
        output: folder of the run.
        options: what the run is asked for.
        identity: what must not change between two calls.
        original: weights and sha256 of the network before.

    Raises:
        InputError: the folder holds a run of another identity, or something else.
    """

    def __init__(
        self,
        output: Path,
        options: Mapping[str, Any],
        identity: Mapping[str, Any],
        original: Mapping[str, Any],
    ) -> None:
        self.path = output / FILE
        self.options, self.original = options, original
        self.identity: dict[str, Any] = json.loads(json.dumps(identity))
        self._images: dict[str, dict[str, dict[str, Any]]] = {side: {} for side in SIDES}
        self.rounds: list[Record] = []
        self.nothing: int | None = None
        self.stopped: str | None = None
        self.final: dict[str, str] | None = None
        try:
            there: dict[str, Any] = parse_json(read_bytes(self.path))
            _There.model_validate(there)
            identity_there = there["identity"]
            self._images = {side: there["images"][side] for side in SIDES}
            self.rounds = [Record.from_json(record) for record in there["rounds"]]
            self.nothing, self.final = there.get("nothing"), there.get("final")
        except FileNotFoundError:
            return
        except ValidationError as error:
            fault = error.errors()[0]
            place = ".".join(map(str, fault["loc"]))
            raise InputError(
                f"{self.path}: is no lineage of a run ({place}: {fault['msg']}); take the file "
                "from a copy, or give --overwrite to start anew"
            ) from error
        except (
            OSError,
            ValueError,
            LookupError,
            TypeError,
            AttributeError,
            RecursionError,
        ) as error:
            raise InputError(
                f"{self.path}: is no lineage of a run ({error}); give --overwrite to start anew"
            ) from error
        refuse_other(output, identity_from_older(identity_there, "train.train"), self.identity)

    def images(self, side: str) -> dict[str, dict[str, Any]]:
        """Return the images of a side: stem -> sha256, source, round."""
        return self._images[side]

    @property
    def kept(self) -> Record | None:
        """The last round whose network is used; None: the original one is."""
        kept = [record for record in self.rounds if record.kept]
        return kept[-1] if kept else None

    def record(self, number: int) -> Record:
        """Return the record of a round; it is begun if need be."""
        if number > len(self.rounds):
            self.rounds.append(Record(number))
        return self.rounds[number - 1]

    def as_json(self) -> dict[str, Any]:
        """Return what the file holds."""
        return {
            "identity": self.identity,
            "images": self._images,
            "rounds": [record.as_json() for record in self.rounds],
            "options": self.options,
            "original": self.original,
            "nothing": self.nothing,
            "stopped": self.stopped,
            "final": self.final,
        }

    def save(self) -> None:
        """Write the file."""
        write_json(self.path, self.as_json())

    def once(self, record: Record, stage: str, work: Callable[[], object]) -> None:
        """Do a stage of a round, unless it is done; what it notes in the record is saved too."""
        if stage in record.seconds:
            return
        start = time.perf_counter()
        work()
        record.seconds[stage] = round(time.perf_counter() - start, 2)
        self.save()
