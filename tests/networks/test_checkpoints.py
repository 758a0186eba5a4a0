"""Checkpoints: the right key, safe loading, atomic writing."""

from __future__ import annotations

import argparse
import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from desra.networks import checkpoints
from desra.utils.errors import InputError


def net(value: float) -> nn.Conv2d:
    conv = nn.Conv2d(1, 1, 1)
    nn.init.constant_(conv.weight, value)
    nn.init.constant_(conv.bias, value)
    return conv


def saved(content: object, path: Path) -> str:
    torch.save(content, path)
    return str(path)


def loaded(path: str) -> float:
    target = net(-1)
    checkpoints.load_into(target, path, "key")
    assert target.weight.item() == target.bias.item()
    return target.weight.item()


A, B = net(1).state_dict(), net(2).state_dict()


@pytest.mark.parametrize(
    ("content", "value"),
    [
        ({"params": A, "params_ema": B}, 2),
        ({"params_ema": B, "params": A}, 2),
        ({"params": A}, 1),
        (dict(A), 1),
        ({"params": {f"module.{k}": v for k, v in B.items()}}, 2),
        ({"params": A, "params-ema": B}, 2),
        ({"state_dict": B, "epoch": 3}, 2),
        ({"model": B}, 2),
        ({"params": {f"module._orig_mod.{k}": v for k, v in B.items()}}, 2),
        ({f"module.{k}": v for k, v in B.items()}, 2),
        ({**A, "iteration": 7}, 1),
    ],
)
def test_the_right_tensors_are_found(content: object, value: float, tmp_path: Path):
    assert loaded(saved(content, tmp_path / "n.pth")) == value


def test_safetensors(tmp_path: Path):
    save_file(dict(B), tmp_path / "n.safetensors")
    assert loaded(str(tmp_path / "n.safetensors")) == 2


@pytest.mark.parametrize("name", ["n.pth", "n.safetensors"])
@pytest.mark.parametrize("kept", [0.5, 0.9, 0])
def test_a_truncated_file(name: str, kept: float, tmp_path: Path):
    path = tmp_path / name
    if path.suffix == ".pth":
        saved({"params": A}, path)
    else:
        save_file(dict(A), path)
    path.write_bytes(path.read_bytes()[: int(kept * path.stat().st_size)])
    with pytest.raises(InputError, match=name):
        loaded(str(path))


class Evil:
    def __init__(self, sign: Path):
        self.sign = sign

    def __reduce__(self):
        return os.mkdir, (str(self.sign),)


def test_code_is_refused_and_not_run(tmp_path: Path):
    sign = tmp_path / "sign"
    path = saved({"params": A, "extra": Evil(sign)}, tmp_path / "n.pth")
    with pytest.raises(InputError, match="cannot be loaded safely"):
        loaded(path)
    assert not sign.exists()
    torch.load(path, weights_only=False)  # the trap works where it is not guarded against
    assert sign.exists()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ([1, 2], "holds a list, not a dictionary"),
        ({"iteration": 3}, "no weights in it; its keys are iteration"),
        ({"weight": torch.zeros(1, 1, 1, 1)}, r"1 of 2 missing \(bias\)"),
        ({**A, "more": torch.zeros(1)}, r"1 unexpected \(more\)"),
        ({**A, "weight": torch.zeros(2, 1, 1, 1)}, "size mismatch for weight"),
    ],
)
def test_what_does_not_fit_is_said(content: object, reason: str, tmp_path: Path):
    with pytest.raises(InputError, match=reason):
        loaded(saved(content, tmp_path / "n.pth"))


@pytest.mark.parametrize("name", ["none.pth", "embedded:psnr", "."])
def test_a_missing_file(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="weights: "):
        checkpoints.resolve(name)


def test_saving_is_all_or_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "deep" / "n.pth"
    checkpoints.save_atomically({"params": A}, path)
    assert loaded(str(path)) == 1

    def half(content: object, file: BinaryIO) -> None:
        file.write(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(torch, "save", half)
    with pytest.raises(OSError, match="disk full"):
        checkpoints.save_atomically({"params": B}, path)
    assert loaded(str(path)) == 1
    assert [p.name for p in path.parent.iterdir()] == ["n.pth"]


# ----------------------------------------------------------------- files that hold no weights


def zipped(path: Path, name: str) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(name, b"x")


OTHERS: dict[str, tuple[Callable[[Path], object], str]] = {
    "empty": (lambda p: p.touch(), "is empty; the download broke off: fetch it again"),
    "zeros": (lambda p: p.write_bytes(bytes(4096)), "holds only zeros; .* fetch it again"),
    "web page": (
        lambda p: p.write_bytes(b"\xef\xbb\xbf\n <!DOCTYPE html>\n<html><body>404</body></html>"),
        "is a web page, not weights: the download failed; open its address",
    ),
    "lfs": (
        lambda p: p.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:4fa0\n"),
        "is a pointer of Git LFS, not the weights; run `git lfs pull`",
    ),
    "png": (lambda p: p.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(50)), "is a PNG image"),
    "jpeg": (lambda p: p.write_bytes(b"\xff\xd8\xff\xe0" + bytes(50)), "is a JPEG image"),
    "webp": (lambda p: p.write_bytes(b"RIFF\1\0\0\0WEBPVP8 "), "is a WebP image"),
    "text": (lambda p: p.write_text("These are the weights"), "holds no weights that can be read"),
    "7z": (lambda p: p.write_bytes(b"7z\xbc\xaf\x27\x1c" + bytes(50)), "is an archive; unpack it"),
    "tar": (lambda p: p.write_bytes(b"n.pth".ljust(257, b"\0") + b"ustar"), "is an archive"),
    "zip": (lambda p: zipped(p, "net.pth"), "is a zip archive without weights in it; unpack it"),
    "onnx": (lambda p: p.write_bytes(b"\x08\x08\x12\x07pytorch\x1a\x052.1.0"), "is an ONNX graph"),
    "ncnn": (lambda p: p.write_text("7767517\n3 3\n"), "is an ncnn graph; .* import-ncnn"),
    "whole net": (lambda p: torch.save(net(1), p), "holds a whole pickled network.*state_dict()"),
    "whole net, old format": (
        lambda p: torch.save(net(1), p, _use_new_zipfile_serialization=False),
        "holds a whole pickled network, so code, which is never run; .*save the weights alone",
    ),
    "arguments": (
        lambda p: torch.save({"params": A, "args": argparse.Namespace()}, p),
        "cannot be loaded safely: it holds argparse.Namespace",
    ),
    "TorchScript": (
        lambda p: torch.jit.save(torch.jit.script(net(1)), p),
        "is a TorchScript program, so code, which is never run",
    ),
}


@pytest.mark.filterwarnings("ignore:`torch.jit")
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
@pytest.mark.parametrize("kind", OTHERS)
def test_what_is_no_checkpoint_is_named(kind: str, suffix: str, tmp_path: Path):
    write, expected = OTHERS[kind]
    path = tmp_path / f"n{suffix}"
    write(path)
    with pytest.raises(InputError, match=expected) as caught:
        checkpoints.tensors_of(path)
    assert str(caught.value).startswith(f"weights: {path} ") and "\n" not in str(caught.value)


@pytest.mark.parametrize("kept", [1, 3, 9, 15, 40, 300, 0.5, 0.9, -1])
@pytest.mark.parametrize("kind", ["pth", "old pth", "safetensors"])
def test_half_a_download(kind: str, kept: float, tmp_path: Path):
    path = tmp_path / f"n.{kind.split()[-1]}"
    if kind == "safetensors":
        save_file({k: v.repeat(999, 1, 1, 1) for k, v in A.items() if v.ndim == 4}, path)
    else:
        torch.save({"params": A}, path, _use_new_zipfile_serialization=kind == "pth")
    whole = path.read_bytes()
    path.write_bytes(whole[: int(kept * len(whole)) if 0 < kept < 1 else int(kept)])
    with pytest.raises(InputError, match="(is incomplete|not a whole).*again|no weights that can"):
        checkpoints.read(path)


@pytest.mark.parametrize("start", [b"BM", b"PK", b"\x80\x02", b"\x1f\x8b", b"\x08\x08"])
def test_safetensors_whose_header_length_looks_like_something_else(start: bytes, tmp_path: Path):
    path = tmp_path / "n.safetensors"
    save_file(dict(B), path)
    content = path.read_bytes()
    old = int.from_bytes(content[:8], "little")
    new = int.from_bytes(start, "little")
    header = content[8 : 8 + old].ljust(new)  # JSON may end in blanks
    path.write_bytes(new.to_bytes(8, "little") + header + content[8 + old :])
    assert path.read_bytes().startswith(start) and loaded(str(path)) == 2


def test_the_suffix_does_not_matter(tmp_path: Path):
    save_file(dict(B), tmp_path / "n.pth")
    torch.save({"params": A}, tmp_path / "n.safetensors")
    assert loaded(str(tmp_path / "n.pth")) == 2
    assert loaded(str(tmp_path / "n.safetensors")) == 1


def test_a_folder_names_a_file_in_it(tmp_path: Path):
    with pytest.raises(InputError, match="is a folder; give one .pth or .safetensors file$"):
        checkpoints.resolve(str(tmp_path))
    (tmp_path / "net_g_5.pth").touch()
    with pytest.raises(InputError, match="is a folder; .*, such as .*net_g_5.pth"):
        checkpoints.resolve(str(tmp_path))


STATES: dict[str, tuple[dict[str, object], int]] = {
    "500.state": ({"epoch": 1, "iter": 500, "optimizers": [{}], "schedulers": []}, 500),
    "latest.state": (
        {"iteration": 6, "net_g": A, "torch_rng": torch.zeros(3), "optimizers": {"g": {}}},
        6,
    ),
}


@pytest.mark.parametrize("name", STATES)
def test_a_training_state_names_the_network_beside_it(name: str, tmp_path: Path):
    content, iteration = STATES[name]
    for folder in ("training_states", "models"):
        (tmp_path / folder).mkdir()
    path = tmp_path / "training_states" / name
    torch.save(content, path)

    def said() -> str:
        with pytest.raises(InputError, match=rf"training state \(iteration {iteration}\)") as e:
            checkpoints.tensors_of(path)
        return str(e.value)

    assert "models/net_g_*.pth" in said()
    (tmp_path / "models/net_g_latest.pth").touch()
    assert said().endswith(str(tmp_path / "models/net_g_latest.pth"))
    (tmp_path / f"models/net_g_{iteration}.pth").touch()
    assert said().endswith(str(tmp_path / f"models/net_g_{iteration}.pth"))
    assert checkpoints.read(path).keys() == content.keys()  # training itself reads it


def test_weights_beside_an_optimizer_are_taken(tmp_path: Path):
    assert loaded(saved({"model": B, "optimizer": {"state": {}}}, tmp_path / "n.pth")) == 2


@pytest.mark.parametrize(
    "name", ["model-00001-of-00002.safetensors", "model.safetensors.index.json"]
)
def test_parts_of_a_checkpoint_are_told(name: str, tmp_path: Path):
    save_file(dict(A), tmp_path / name)
    with pytest.raises(InputError, match=r"(part 1 of 2|lists the parts) .*save it in one file"):
        checkpoints.tensors_of(tmp_path / name)


def test_the_average_is_said_once(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    path = Path(saved({"model": {"params_ema": B, "params": A}}, tmp_path / "n.pth"))
    with caplog.at_level("INFO", "desra"):
        for _ in range(2):
            checkpoints.tensors_of(path)
    assert [record.getMessage() for record in caplog.records] == [
        f"weights: of {path} the tensors under model.params_ema are taken, the average (EMA) of "
        "the weights"
    ]


ODD: dict[str, tuple[dict[str, torch.Tensor], str]] = {
    "NaN": ({"weight": torch.full((1, 1), float("nan"))}, "1 of 1 values in weight .*NaN"),
    "infinite": ({"a.bias": torch.tensor([1.0, float("-inf")])}, "1 of 2 values in a.bias"),
    "NaN in a buffer": ({"mean": torch.tensor([float("nan")])}, "1 of 1 values in mean"),
    "int": ({"weight": torch.ones(1, 1, dtype=torch.int64)}, "has int64 numbers in weight"),
    "bool": ({"a.weight": torch.ones(1, 1, dtype=torch.bool)}, "has bool numbers in a.weight"),
    "complex": ({"scale": torch.ones(1, dtype=torch.complex64)}, "has complex64 numbers in scale"),
    "NaN of 8 bits": (
        {"weight": torch.tensor([float("nan")]).to(torch.float8_e4m3fn)},
        "1 of 1 values in weight",
    ),
    "a gap": (
        {"body.100000.weight": torch.ones(1)},
        "has a tensor in body.100000, but only 1 such",
    ),
    "a huge number": ({f"body.{'9' * 5000}.weight": torch.ones(1)}, "a layer that no network has"),
}


@pytest.mark.parametrize("kind", ODD)
def test_weights_that_are_none_are_refused(kind: str, tmp_path: Path):
    content, words = ODD[kind]
    path = Path(saved(content, tmp_path / "n.pth"))
    with pytest.raises(InputError, match=f"weights: .*n.pth .*{words}"):
        checkpoints.tensors_of(path)


def test_counters_and_masks_are_let_pass(tmp_path: Path):
    content = {
        **A,
        "num_batches_tracked": torch.tensor(3),
        "index": torch.zeros(4, dtype=torch.int64),
        "attn_mask": torch.tensor([0.0, float("-inf")]),
        **{f"features.{i}.weight": torch.ones(1) for i in (0, 2, 5, 7, 28)},
    }
    path = Path(saved(content, tmp_path / "n.pth"))
    assert checkpoints.tensors_of(path).keys() == content.keys()


def interrupted() -> RuntimeError:
    """What pybind11 makes of Ctrl-C while torch's reader is in C++."""
    error = RuntimeError("PytorchStreamReader failed reading file data/0: file read failed")
    error.__context__ = KeyboardInterrupt()
    return error


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (MemoryError(), InputError, "needs more memory than there is"),
        (
            RuntimeError(
                "[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory"
            ),
            InputError,
            "needs more memory than there is",
        ),
        (OSError(5, "Input/output error"), InputError, r"cannot be read \(Input/output error\)"),
        (KeyboardInterrupt(), KeyboardInterrupt, None),
        (interrupted(), KeyboardInterrupt, None),
        (RuntimeError("invalid magic number"), InputError, "is incomplete or damaged"),
    ],
)
def test_the_diagnosis_is_true(
    error: BaseException,
    kind: type[BaseException],
    words: str | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    path = Path(saved({"params": A}, tmp_path / "n.pth"))

    def fails(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(torch, "load", fails)
    with pytest.raises(kind, match=words):
        checkpoints.read(path)


@pytest.mark.parametrize("seed", range(40))
def test_a_damaged_zip_is_one_sentence(seed: int, tmp_path: Path):
    path = Path(saved({"params": A, "more": [{"a": 1}]}, tmp_path / "n.pth"))
    data = bytearray(path.read_bytes())
    random = np.random.default_rng(seed)
    start = data.rindex(b"PK\1\2") if seed % 2 else 0  # where the versions and the names are
    for place in random.integers(start, len(data) if seed % 2 else 600, 5):
        data[place] = random.integers(256)
    path.write_bytes(data)
    try:
        checkpoints.tensors_of(path)
    except InputError as error:
        assert str(path) in str(error)


def test_a_zip_of_another_version_is_one_sentence(tmp_path: Path):
    path = Path(saved({"params": A}, tmp_path / "n.pth"))
    data = bytearray(path.read_bytes())
    data[data.rindex(b"PK\1\2") + 6] = 92  # the version that is needed to extract
    path.write_bytes(data)
    with pytest.raises(InputError, match=r"n\.pth is incomplete"):
        checkpoints.tensors_of(path)


def test_unsafe_loading_is_never_advised(tmp_path: Path):
    path = tmp_path / "plain.pkl"
    path.write_bytes(pickle.dumps({"weight": np.zeros(3)}, protocol=4))
    with pytest.raises(InputError, match="cannot be loaded safely: it holds") as caught:
        checkpoints.read(path)
    assert "weights_only" not in str(caught.value)


def test_mismatches_are_counted_and_three_of_each_named(tmp_path: Path):
    target = nn.Sequential(*(nn.Conv2d(1, 1, 1) for _ in range(5)))
    given = {f"{i}.weight": torch.zeros(2, 1, 1, 1) for i in range(5)} | {"x": torch.zeros(1)}
    path = saved(given, tmp_path / "n.pth")
    with pytest.raises(InputError) as caught:
        checkpoints.load_into(target, path, "path.pretrain_network_g")
    message = str(caught.value)
    assert message.startswith(f"path.pretrain_network_g: {path} does not fit Sequential: ")
    assert "5 of other sizes (size mismatch for 0.weight: (2, 1, 1, 1) in the file, " in message
    assert "5 of 10 missing (0.bias, 1.bias, 2.bias, ...)" in message
    assert message.endswith("1 unexpected (x)") and "3.weight" not in message


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions_become_that_of_the_network(dtype: torch.dtype, tmp_path: Path):
    assert loaded(saved({k: v.to(dtype) for k, v in B.items()}, tmp_path / "n.pth")) == 2
