"""The folder of a run: its checkpoints and state, and whether the run in it can be resumed."""

import json
import logging
import re
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

from desra.io import manifest
from desra.io.ledger import Kind, Ledger, inputs_of, machine_written
from desra.io.lock import held_folder
from desra.models.base_model import TrainableModel
from desra.networks import checkpoints
from desra.options.comparing import differences, flat
from desra.options.loading import parse, read_yaml, resolved
from desra.options.train import TrainOptions, identity_from_older
from desra.train.random_state import rng_state
from desra.train.state import check_state
from desra.utils import distributed
from desra.utils.errors import InputError, listed

logger = logging.getLogger("desra")

#: Options that may change when a run is resumed: its place, the device, workers, logging,
#: validation and length. None of them changes what a step computes, except for rounding.
FREE = (
    "name",
    "path.experiments_root",
    "device",
    "datasets.num_workers",
    "logger",
    "val",
    "train.total_iter",
    "train.checkpoint_activations",
)


def _is_earlier_run(folder: Path) -> bool:
    """Return whether a folder without a ledger holds a training: its options and its networks."""
    content = machine_written(folder / manifest.OPTIONS)
    sections = {"name", "network_g", "datasets", "path", "train", "logger"}
    return sections <= content.keys() and (folder / "models").is_dir()


KIND = Kind(
    "train",
    re.compile(
        r"options\.yml|train\.log|models/net_g_(\d+|latest|best)\.pth"
        r"|training_states/latest\.state|tb/events\.out\.tfevents\.[^/]+"
    ),
    _is_earlier_run,
    states=frozenset({manifest.OPTIONS}),
    streams=re.compile(r"train\.log|tb/events\.out\.tfevents\.[^/]+"),
    parts=re.compile(r"training_states/latest\.state"),  # of use to nobody else, whole or damaged
)


def _same(first: Any, second: Any) -> bool:
    """Return whether two checkpoints hold the same tensors, bit for bit."""
    if isinstance(first, Tensor) and isinstance(second, Tensor):
        return first.dtype == second.dtype and torch.equal(first.cpu(), second.cpu())
    if isinstance(first, Mapping) and isinstance(second, Mapping):
        a, b = cast("Mapping[str, Any]", first), cast("Mapping[str, Any]", second)
        return a.keys() == b.keys() and all(_same(a[key], b[key]) for key in a)
    return bool(first == second)


def identity(opt: TrainOptions) -> dict[str, Any]:
    """Return the options that must not change in a run, key path -> value: all but those in `FREE`.

    An option whose default follows from ``train.total_iter`` counts by its value. So a run may be
    extended where its schedule does not depend on the end.
    """
    settings = dict(flat(resolved(opt)))
    fixed = {
        key: value
        for key, value in settings.items()
        if not any(key == free or key.startswith(f"{free}.") for free in FREE)
        and not (key.startswith("train.losses.") and value is None)  # turned off: as if not there
    }
    fixed["train.net_d_init_iters"] = opt.discriminator_first
    scheduler = opt.train.scheduler
    if scheduler and scheduler.type == "CosineAnnealingLR":
        fixed.setdefault("train.scheduler.T_max", opt.train.total_iter)
    return json.loads(json.dumps(fixed))


class RunFolder:
    """The folder of one run.

    Args:
        opt: the options of the run.
        data: a JSON-like value that changes when the training data does.
    """

    def __init__(self, opt: TrainOptions, data: Any = None):
        self.root = Path(opt.path.experiments_root) / opt.name
        self.models = self.root / "models"
        self.latest = self.models / "net_g_latest.pth"
        self.best = self.models / "net_g_best.pth"
        self.state_file = self.root / "training_states" / "latest.state"
        self.log = self.root / "train.log"
        self._opt, self._identity = opt, identity(opt)
        self._data = json.loads(json.dumps(data, default=str))
        self._lock = ExitStack()
        self._ledger: Ledger | None = None  # of the main process, once it is open

    def open(self, overwrite: bool) -> dict[str, Any] | None:
        """Make and lock the folder, and return the state to resume from; None: there is none.

        Args:
            overwrite: delete an earlier run in it first.

        Raises:
            InputError: its state or a network was changed since it was written; without
                ``overwrite``: it holds a run of other options or data; with
                ``overwrite``: it holds something that is no run; or another process trains in it.
        """
        inputs = inputs_of(self._opt, ("name", "path.experiments_root"))
        with ExitStack() as lock:
            held = held_folder(self.root, KIND, "name", overwrite, inputs)
            ledger = lock.enter_context(held)
            self._ledger = ledger
            state = None
            if self.state_file.is_file():
                others = sorted(set(self.models.glob("net_g_*.pth")) - {self.latest})
                self.refuse_changed([self.state_file, *others])
                state = checkpoints.read(self.state_file)
            self._refuse_others(state)
            ledger.refuse_foreign([self.root / manifest.OPTIONS, self.log, self.state_file])
            lock.enter_context(ledger)
            manifest.write_options(self.root, self._opt)  # first: it is what makes this a run
            self.models.mkdir(parents=True, exist_ok=True)
            self._lock = lock.pop_all()
        return state

    def refuse_changed(self, paths: Iterable[Path]) -> None:
        """Refuse files of the run that were changed since they were written; others are let be.

        Args:
            paths: the files; none of them need be there.

        Raises:
            InputError: the SHA-256 of one is none that was entered into the ledger.
        """
        assert self._ledger is not None  # it is open
        for path in paths:
            if self._ledger.is_changed(path):
                advice = "move it away or take it from a copy"
                if path == self.state_file:
                    advice = "take the file from a copy, or give --overwrite to begin anew"
                raise InputError(
                    f"name: {path} is not as this run wrote it (its SHA-256 is another), so it was "
                    f"damaged or edited; {advice}"
                )

    def refuse_changed_latest(self) -> None:
        """Refuse to go on beside a latest checkpoint that was changed; all processes call it.

        Raises:
            InputError: as `refuse_changed`.
        """
        distributed.broadcast(lambda: self.refuse_changed([self.latest]))

    def close(self) -> None:
        """Unlock the folder."""
        self._lock.close()

    def _refuse_others(self, state: dict[str, Any] | None) -> None:
        advice = "choose another name, or give --overwrite to delete it"
        if state is None:
            if not any(self.models.glob("*.pth")) or self._kept_identity() == self._identity:
                return
            if not (self.root / manifest.OPTIONS).is_file():
                advice = "choose another name"  # it is no run, and none of desra's to delete
            raise InputError(f"name: {self.root} holds networks of something else; {advice}")
        if "identity" not in state:
            raise InputError(f"name: {self.root} holds a run of an earlier desra; {advice}")
        check_state(state, self.state_file)
        if state["data"] != self._data:
            raise InputError(
                f"name: {self.root} holds a run with other data (since it began, files were added, "
                f"removed or replaced, or detected anew; or an earlier desra began it); {advice}"
            )
        if changed := differences(identity_from_older(state["identity"]), self._identity):
            end = ""
            if any(line.startswith("train.scheduler.T_max") for line in changed):
                end = " (T_max is total_iter unless it is given)"
            raise InputError(
                f"name: {self.root} holds a run with other options ({listed(changed)}){end}; "
                f"{advice}"
            )

    def _kept_identity(self) -> dict[str, Any] | None:
        """The identity of a run that was killed before it had saved a state."""
        file = self.root / manifest.OPTIONS
        try:
            return identity(parse(TrainOptions, read_yaml(file), str(file)))
        except InputError:
            return None

    def save(
        self, model: TrainableModel, state: Mapping[str, Any], number: int | None = None
    ) -> None:
        """Save the weights, then the state; each file replaces the last one at once.

        All processes call it, and the main process writes.

        Args:
            model: what is saved.
            state: what a run needs to be resumed besides these and the random states.
            number: the iteration, also saved as a checkpoint of its own; None: the latest only.
        """
        rng = distributed.all_gather(rng_state(model.device))
        if not distributed.is_main_process():
            return
        weights = model.weights()
        if number is not None:
            checkpoints.save_atomically(weights, self.models / f"net_g_{number}.pth")
        checkpoints.save_atomically(weights, self.latest)
        content = {
            **state,
            "identity": self._identity,
            "data": self._data,
            "rng": rng,
            **model.state(),
        }
        checkpoints.save_atomically(content, self.state_file)

    def restore_latest(self, model: TrainableModel, state: dict[str, Any]) -> None:
        """See that the checkpoint of a finished run is there and whole; else write it anew.

        Args:
            model: takes the weights of the state.
            state: of the end of the run.

        Raises:
            InputError: the checkpoint holds other weights than the run came to.
        """
        if not distributed.is_main_process():
            return
        model.load_state(state)
        weights = model.weights()
        fault = "is missing"
        if self.latest.is_file():
            try:
                content = checkpoints.read(self.latest)
            except InputError:
                fault = "is damaged"
            else:
                if _same(content, weights):
                    return
                raise InputError(
                    f"name: {self.latest} holds other weights than this run came to; move it away "
                    "to have it written anew, or choose another name"
                )
        logger.warning("%s %s: written anew from %s", self.latest, fault, self.state_file)
        self.latest.unlink(missing_ok=True)  # else it is a file that the run did not write
        checkpoints.save_atomically(weights, self.latest)

    def save_best(self, model: TrainableModel) -> None:
        """Save the weights as those with the best score so far."""
        if distributed.is_main_process():
            checkpoints.save_atomically(model.weights(), self.best)
