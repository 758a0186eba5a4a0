"""``lineage.json``: where the networks of a run come from, and which stages are done.

::

    options     what the run was asked for
    identity    what makes it this run: options, recipes, networks, by key path
    original    the network before the first round: weights, sha256
    images      finetuned and heldout: stem -> sha256, source, round in which it joined
    rounds      a record for each: networks before and after (weights, sha256), options of the
                stages with their fingerprints, added images, scores, seconds a stage, kept, gain
    stopped     why there is no further round; null while there may be one
    final       the network that the run ends with (weights, sha256); null for the original one
"""

import json
import time
from collections.abc import Callable, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from desra.errors import InputError, listed
from desra.images import atomic_write
from desra.options import differences

FILE = "lineage.json"
SIDES = ("heldout", "finetuned")

Record = dict[str, Any]


def sha256_of(path: Path) -> str:
    """Of a file's content, in hexadecimal digits."""
    return sha256(path.read_bytes()).hexdigest()


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Replace a JSON file at once."""
    with atomic_write(path) as file:
        text = json.dumps(content, indent=1, allow_nan=False, ensure_ascii=False)
        file.write(text.encode("utf-8", "backslashreplace"))


class Lineage:
    """The file of a run, saved after each stage.

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
        images: dict[str, Any] = {side: {} for side in SIDES}
        new = {"identity": json.loads(json.dumps(identity)), "images": images, "rounds": []}
        self.content: dict[str, Any] = self._read() or new
        if changed := differences(self.content["identity"], new["identity"]):
            raise InputError(
                f"output: {output} holds a run with other options ({listed(changed)}); choose "
                "another output, or give --overwrite to delete it"
            )
        self.content |= {"options": options, "original": original, "stopped": None}
        self.content.setdefault("final", None)

    def _read(self) -> dict[str, Any] | None:
        try:
            return json.loads(self.path.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise InputError(
                f"{self.path}: is no lineage of a run ({error}); give --overwrite to start anew"
            ) from error

    @property
    def rounds(self) -> list[Record]:
        """The records of the rounds, the last perhaps unfinished."""
        return self.content["rounds"]

    def images(self, side: str) -> dict[str, dict[str, Any]]:
        """Those of a side: stem -> sha256, source, round."""
        return self.content["images"][side]

    @property
    def kept(self) -> Record | None:
        """The last round whose network is used; None: the original one is."""
        kept = [record for record in self.rounds if record.get("kept")]
        return kept[-1] if kept else None

    def record(self, number: int) -> Record:
        """That of a round, begun if need be."""
        if number > len(self.rounds):
            self.rounds.append({"round": number, "seconds": {}})
        return self.rounds[number - 1]

    def save(self) -> None:
        """Write the file."""
        write_json(self.path, self.content)

    def once(self, record: Record, stage: str, work: Callable[[], object]) -> None:
        """Do a stage of a round, unless it is done; what it notes in the record is saved too."""
        if stage in record["seconds"]:
            return
        start = time.perf_counter()
        work()
        record["seconds"][stage] = round(time.perf_counter() - start, 2)
        self.save()
