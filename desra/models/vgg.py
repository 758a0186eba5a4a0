"""Weights of the VGG networks behind perceptual losses: found on this machine, never fetched."""

from pathlib import Path
from typing import Any

import torch
from torch import nn
from torchvision import models

from desra.networks import checkpoints
from desra.registry import VGG_FOLDER
from desra.utils.errors import InputError


def _official(vgg_type: str) -> Any:
    """torchvision's description of the weights of ``vgg_type``."""
    if not vgg_type.startswith("vgg") or vgg_type not in models.list_models():
        raise InputError(
            f"train.perceptual_opt.vgg_type: '{vgg_type}' is not a VGG network of torchvision, "
            "such as vgg19"
        )
    return models.get_model_weights(vgg_type)["DEFAULT"]


def find_weights(vgg_type: str, given: str | None) -> Path:
    """The file of the ImageNet weights of ``vgg_type``.

    Args:
        vgg_type: torchvision's name, such as vgg19.
        given: a path; None: where basicsr looks, else torchvision's cache.

    Raises:
        InputError: there is none; it says which file to put where.
    """
    if given is not None:
        if not Path(given).is_file():
            raise InputError(f"train.perceptual_opt.vgg_weights: the file {given} does not exist")
        return Path(given)
    url = _official(vgg_type).url
    name = url.rpartition("/")[2]
    places = [Path(VGG_FOLDER) / name, Path(torch.hub.get_dir()) / "checkpoints" / name]
    for place in places:
        if place.is_file():
            return place
    raise InputError(
        f"train.perceptual_opt: the weights of {vgg_type} are not on this machine; put {name} "
        f"(from {url}) into {places[0].parent} or {places[1].parent}, or name the file with "
        "vgg_weights, or do without: --force_yml train:perceptual_opt=null"
    )


def load_features(vgg_type: str, path: Path) -> nn.Module:
    """The convolutional layers of ``vgg_type`` with the weights of ``path``.

    Raises:
        InputError: the file is unusable, or holds another network.
    """
    _official(vgg_type)
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
            f"train.perceptual_opt: {path} does not hold the weights of {vgg_type} as torchvision "
            "names them (features.0.weight and so on)"
        ) from error
    return features
