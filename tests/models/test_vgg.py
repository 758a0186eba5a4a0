"""Where VGG weights are looked for, and what is said when there are none."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from desra.models.vgg import find_weights, load_features
from desra.utils.errors import InputError
from helpers.small import save_vgg

KEY = "train.losses.percep"
NAME = "vgg19-dcbb9e9d.pth"


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder and a torch cache without weights."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    return tmp_path


def test_without_weights_one_sentence_says_what_to_do(elsewhere: Path):
    with pytest.raises(InputError) as caught:
        find_weights("vgg19", None, KEY)
    message = str(caught.value)
    assert message.startswith("train.losses.percep: the weights of vgg19 are not on this machine")
    assert f"https://download.pytorch.org/models/{NAME}" in message
    assert "experiments/pretrained_models" in message
    assert str(elsewhere / "hub" / "checkpoints") in message
    assert "--force_yml train:losses:percep=null" in message


def test_places_in_their_order(elsewhere: Path):
    cache = elsewhere / "hub/checkpoints" / NAME
    basicsrs = elsewhere / "experiments/pretrained_models" / NAME
    for place in (cache, basicsrs):
        place.parent.mkdir(parents=True)
    cache.touch()
    assert find_weights("vgg19", None, KEY) == cache
    basicsrs.touch()
    assert find_weights("vgg19", None, KEY).resolve() == basicsrs
    own = elsewhere / "own.pth"
    with pytest.raises(InputError, match=r"vgg_weights: the file .*own\.pth does not exist"):
        find_weights("vgg19", str(own), KEY)
    own.touch()
    assert find_weights("vgg19", str(own), KEY) == own


def test_features_are_those_of_the_file(elsewhere: Path):
    path = save_vgg(elsewhere / "v.pth", "vgg11")
    features = load_features("vgg11", path, KEY)
    stored = torch.load(path, weights_only=True)
    assert set(features.state_dict()) == {k.removeprefix("features.") for k in stored}
    assert torch.equal(features.state_dict()["0.weight"], stored["features.0.weight"])
    with pytest.raises(InputError, match=r"v\.pth does not hold the weights of vgg19"):
        load_features("vgg19", path, KEY)


def test_unknown_networks(elsewhere: Path):
    for name in ("vgg99", "resnet18"):
        with pytest.raises(InputError, match=f"vgg_type: '{name}' is not a VGG network"):
            find_weights(name, None, KEY)
