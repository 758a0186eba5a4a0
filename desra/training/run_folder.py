"""The folder of a run: what it keeps, and whether it holds a run to go on with."""

import json
import random
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from filelock import FileLock, Timeout

from desra import checkpoints, processes
from desra.errors import InputError, listed
from desra.files import atomic_write, remove_unfinished
from desra.options import TrainOptions, parse, read_yaml, resolved

#: What may change when a run is resumed: its place, the device, how it is shared out and told, and
#: how long it goes on. Nothing of it changes what a step computes, but for rounding.
FREE = (
    "name", "path.experiments_root", "device", "datasets.num_workers", "logger", "val",
    "train.total_iter", "train.checkpoint_activations",
)  # fmt: skip

#: The workers of a run that was killed notice it within 5 seconds; until then they hold its lock.
LOCK_SECONDS = 15.0


def identity(opt: TrainOptions) -> dict[str, Any]:
    """The options that make a run what it is: key path -> value. Those in `FREE` are left out.

    What follows from ``train.total_iter`` unless it is given counts by its value, so a run may be
    extended where its schedule does not depend on the end.
    """
    settings = dict(flat(resolved(opt)))
    kept = {
        key: value
        for key, value in settings.items()
        if not any(key == free or key.startswith(f"{free}.") for free in FREE)
    }
    kept["train.net_d_init_iters"] = opt.discriminator_first
    scheduler = opt.train.scheduler
    if scheduler and scheduler.type == "CosineAnnealingLR":
        kept.setdefault("train.scheduler.T_max", opt.train.total_iter)
    return json.loads(json.dumps(kept))


def flat(settings: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """``a.b``, value for each value in nested sections."""
    for key, value in settings.items():
        path = f"{above}.{key}" if above else key
        if isinstance(value, Mapping) and value:
            yield from flat(value, path)
        else:
            yield path, value


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """``key: old -> new`` for each key whose values differ."""
    nothing = "(not given)"
    return [
        f"{key}: {old.get(key, nothing)} -> {new.get(key, nothing)}"
        for key in dict.fromkeys([*old, *new])
        if old.get(key, nothing) != new.get(key, nothing)
    ]


class RunFolder:
    """The folder of one run.

    Args:
        opt: the options of the run.
        data: what changes when the training data does.
    """

    def __init__(self, opt: TrainOptions, data: Any = None):
        self.root = Path(opt.path.experiments_root) / opt.name
        self.models = self.root / "models"
        self.latest = self.models / "net_g_latest.pth"
        self.best = self.models / "net_g_best.pth"
        self.state_file = self.root / "training_states" / "latest.state"
        self.log = self.root / "train.log"
        self._settings, self._identity = resolved(opt), identity(opt)
        self._data = json.loads(json.dumps(data, default=str))
        self._lock = FileLock(self.root.parent / f".{opt.name}.lock", timeout=LOCK_SECONDS)

    def open(self, overwrite: bool) -> dict[str, Any] | None:
        """Make the folder, and return the state to resume from, if there is one.

        Raises:
            InputError: the folder holds a run of other options or data, without ``overwrite``, or
                another process trains there now.
        """
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            self._lock.acquire()
        except Timeout:
            raise InputError(
                f"name: another process is training in {self.root}; wait for it or choose another"
            ) from None
        except OSError as error:
            raise InputError(
                f"path.experiments_root: {self.root} cannot be written ({error.strerror})"
            ) from error
        try:
            if overwrite:
                shutil.rmtree(self.root)
            state = checkpoints.read(self.state_file) if self.state_file.is_file() else None
            self._refuse_others(state)
            self.models.mkdir(parents=True, exist_ok=True)
            remove_unfinished(self.root)
            text = yaml.safe_dump(self._settings, sort_keys=False, allow_unicode=True)
            with atomic_write(self.root / "options.yml") as file:
                file.write(text.encode())
        except BaseException:
            self.close()
            raise
        return state

    def close(self) -> None:
        """Let other processes train here."""
        self._lock.release()

    def _refuse_others(self, state: dict[str, Any] | None) -> None:
        advice = "choose another name, or give --overwrite to delete it"
        if state is None:
            if any(self.models.glob("*.pth")) and self._options_there() != self._identity:
                raise InputError(f"name: {self.root} holds networks of something else; {advice}")
            return
        if "identity" not in state:
            raise InputError(f"name: {self.root} holds a run of an earlier desra; {advice}")
        if state["data"] != self._data:
            raise InputError(
                f"name: {self.root} holds a run with other data (files or detection results "
                f"changed); {advice}"
            )
        if changed := differences(state["identity"], self._identity):
            end = ""
            if any(line.startswith("train.scheduler.T_max") for line in changed):
                end = " (T_max is total_iter unless it is given)"
            raise InputError(
                f"name: {self.root} holds a run with other options ({listed(changed)}){end}; "
                f"{advice}"
            )

    def _options_there(self) -> dict[str, Any] | None:
        """Of a run that was killed before its first state was whole."""
        file = self.root / "options.yml"
        try:
            return identity(parse(TrainOptions, read_yaml(file), str(file)))
        except InputError:
            return None

    def save(self, model: Any, state: Mapping[str, Any], number: int | None = None) -> None:
        """Weights first, then the state that points past them; each replaces the last at once.

        All processes call it, and the main one writes.

        Args:
            model: gives ``weights()`` and ``state()``.
            state: what a run needs besides these and random states.
            number: the iteration, for a checkpoint of its own; None: the latest only.
        """
        rng = processes.gather(rng_state(model.device))
        if not processes.is_main():
            return
        weights = model.weights()
        if number is not None:
            checkpoints.save_atomically(weights, self.models / f"net_g_{number}.pth")
        checkpoints.save_atomically(weights, self.latest)
        content = {
            **state, "identity": self._identity, "data": self._data, "rng": rng, **model.state(),
        }  # fmt: skip
        checkpoints.save_atomically(content, self.state_file)

    def save_best(self, model: Any) -> None:
        """The weights with the best score so far."""
        if processes.is_main():
            checkpoints.save_atomically(model.weights(), self.best)


# ------------------------------------------------------------------------------- random numbers


def seed_everything(seed: int) -> None:
    """Python's, numpy's and torch's generators."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)


def rng_state(device: torch.device) -> dict[str, Any]:
    """Those of this process, as tensors and plain values."""
    _, keys, *rest = np.random.get_state()
    return {
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state(device) if device.type == "cuda" else None,
        "numpy": [torch.from_numpy(np.asarray(keys).astype(np.int64)), *rest],
        "python": random.getstate(),
    }


def set_rng_state(state: Mapping[str, Any], device: torch.device) -> None:
    """Go on where :func:`rng_state` was taken."""
    torch.set_rng_state(state["torch"])
    if state["cuda"] is not None and device.type == "cuda":
        torch.cuda.set_rng_state(state["cuda"], device)
    keys, *rest = state["numpy"]
    np.random.set_state(("MT19937", keys.numpy().astype(np.uint32), *rest))
    version, numbers, gauss = state["python"]
    random.setstate((version, tuple(numbers), gauss))
