"""What makes a run this run: what must be the same when it goes on."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from desra.io.files import sha256_of
from desra.networks import checkpoints
from desra.options.comparing import differences, flat
from desra.options.loading import resolved
from desra.options.run import OWN, RunOptions
from desra.run.networks import Networks
from desra.train.run_folder import identity as identity_of_training
from desra.utils.errors import InputError, listed

#: What may change when a run goes on: it decides what is done next, not what a round was.
FREE = (
    "input",
    "output",
    "device",
    "max_rounds",
    "min_gain",
    "min_detail",
    "review",
    "sr_gan",
    "sr_mse",
    "detect",
    "train",
    "evaluate",
)
_KEPT = ("scale", "network_g")  # what the networks are
#: Keys of the stages that tell nothing: the run sets them (what is the user's is here by its own
#: key), or they change no result.
_LEFT_OUT = (
    "detect.on_error",
    "detect.max_pixels",
    "detect.verify",
    *(f"{stage}.{key}" for stage, keys in OWN.items() for key in keys if key not in _KEPT),
)


def identified(weights: str) -> dict[str, str]:
    """Return the path or name of weights, and the SHA-256 of their file."""
    return {"weights": weights, "sha256": sha256_of(checkpoints.resolve(weights))}


def identity(opt: RunOptions, networks: Networks) -> dict[str, Any]:
    """Return what must be the same when a run goes on, by key path.

    Args:
        opt: the options of the run.
        networks: that it begins with.

    Raises:
        InputError: the options of a stage are wrong for these networks.
    """
    settings, output, weights = resolved(opt), Path(opt.output), networks.gan.weights
    train = opt.train_options(output, [], networks.network_g, networks.scale, weights, weights)
    stages = {
        "detect": resolved(
            opt.detect_options(output, output, networks.gan, networks.mse, networks.scale)
        ),
        "train": identity_of_training(train),
        "evaluate": resolved(opt.evaluate_options(output, output, output, None)),
    }
    return {
        **dict(flat({key: value for key, value in settings.items() if key not in FREE})),
        **chosen(dict(flat(stages))),
        "sr_gan": identified(weights)["sha256"],
        "sr_mse": networks.mse and identified(networks.mse.weights)["sha256"],
    }


def chosen(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings that a user chose, by key path: without what the run sets itself."""

    def left_out(key: str) -> bool:
        return any(key == path or key.startswith(f"{path}.") for path in _LEFT_OUT)

    return {key: value for key, value in settings.items() if not left_out(key)}


def refuse_other(output: Path, known: Mapping[str, Any], identity: Mapping[str, Any]) -> None:
    """Refuse to go on with a run that has another identity.

    Args:
        output: folder of the run.
        known: the identity that its lineage has, of this version or of an older one.
        identity: that of the run which is to go on.

    Raises:
        InputError: they differ.
    """
    if changed := differences(chosen(known), identity):
        raise InputError(
            f"output: {output} holds a run with other options ({listed(changed)}); choose "
            "another output, or give --overwrite to delete it"
        )
