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
import logging
import shutil
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from desra.errors import InputError, listed
from desra.files import remove_unfinished, write_json
from desra.training.run_folder import LOCK_SECONDS, differences

logger = logging.getLogger("desra")

FILE = "lineage.json"
SIDES = ("heldout", "finetuned")

Record = dict[str, Any]


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


@contextmanager
def held(output: Path, overwrite: bool) -> Generator[None]:
    """The folder of a run, for this process alone.

    Args:
        output: made if need be.
        overwrite: delete a run that is there.

    Raises:
        InputError: another process is at work there, it cannot be written, or it is to be deleted
            and holds no run.
    """
    lock = FileLock(output / ".run.lock", timeout=LOCK_SECONDS)
    try:
        output.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout:
        raise InputError(
            f"output: another process is at work in {output}; wait for it or choose another"
        ) from None
    except OSError as error:
        raise InputError(f"output: {output} cannot be written ({error.strerror})") from error
    try:
        inside = [path for path in output.iterdir() if path.name != ".run.lock"]
        if overwrite and inside:
            if not (output / FILE).is_file():
                raise InputError(
                    f"output: {output} holds no {FILE}, so nothing in it is deleted; choose "
                    "another output"
                )
            for path in inside:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        remove_unfinished(output)
        yield
    finally:
        lock.release()
