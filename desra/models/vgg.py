"""VGG networks behind perceptual losses, with weights of this machine, never downloaded."""

from pathlib import Path
from typing import Any

import torch
from torch import nn
from torchvision import models

from desra.networks import checkpoints
from desra.registry import VGG_FOLDER
from desra.utils.errors import InputError


def load_vgg(vgg_type: str, weights: str | None, key: str) -> nn.Module:
    """Load the convolutional layers of a VGG network with its ImageNet weights.

    Args:
        vgg_type: torchvision's name, such as vgg19.
        weights: the file; None: see :func:`find_weights`.
        key: the key path of the loss's section, for messages.

    Raises:
        InputError: there are no weights, they are unusable, or there is no such network.
    """
    return load_features(vgg_type, find_weights(vgg_type, weights, key), key)


def _official(vgg_type: str, key: str) -> Any:
    """torchvision's description of the weights of ``vgg_type``."""
    if not vgg_type.startswith("vgg") or vgg_type not in models.list_models():
        raise InputError(
            f"{key}.vgg_type: '{vgg_type}' is not a VGG network of torchvision, such as vgg19"
        )
    return models.get_model_weights(vgg_type)["DEFAULT"]


def find_weights(vgg_type: str, weights: str | None, key: str) -> Path:
    """Find the file of the ImageNet weights of ``vgg_type``.

    Args:
        vgg_type: torchvision's name, such as vgg19.
        weights: a path; None: where basicsr looks, else torchvision's cache.
        key: the key path of the loss's section, for messages.

    Raises:
        InputError: there is none; it says which file to put where.
    """
    if weights is not None:
        if not Path(weights).is_file():
            raise InputError(f"{key}.vgg_weights: the file {weights} does not exist")
        return Path(weights)
    url = _official(vgg_type, key).url
    name = url.rpartition("/")[2]
    places = [Path(VGG_FOLDER) / name, Path(torch.hub.get_dir()) / "checkpoints" / name]
    for place in places:
        if place.is_file():
            return place
    raise InputError(
        f"{key}: the weights of {vgg_type} are not on this machine; put {name} "
        f"(from {url}) into {places[0].parent} or {places[1].parent}, or name the file with "
        f"vgg_weights, or do without: --force_yml {key.replace('.', ':')}=null"
    )


def load_features(vgg_type: str, path: Path, key: str) -> nn.Module:
    """Load the convolutional layers of ``vgg_type`` with the weights of ``path``.

    Args:
        vgg_type: torchvision's name, such as vgg19.
        path: a file of torchvision's.
        key: the key path of the loss's section, for messages.

    Raises:
        InputError: the file is unusable, or holds another network.
    """
    _official(vgg_type, key)
    with torch.device("meta"):  # the classifier, most of the network, takes no memory
        features: nn.Module = models.get_model(vgg_type, weights=None).features  # pyright: ignore
    tensors = {
        key.removeprefix("features."): value
        for key, value in checkpoints.read(path).items()
        if key.startswith("features.")
    }
    try:
        features.load_state_dict(tensors, assign=True)
    except RuntimeError as error:
        raise InputError(
            f"{key}: {path} does not hold the weights of {vgg_type} as torchvision "
            "names them (features.0.weight and so on)"
        ) from error
    return features
