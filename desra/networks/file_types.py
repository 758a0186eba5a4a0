"""Tell by its first bytes what a file given as weights is; its suffix may be wrong."""

import struct
import zipfile
import zlib
from pathlib import Path
from typing import Literal

from desra.utils.reading import open_file

_HEAD = 1 << 20
_MODULE = b"torch.nn.modules"
# What zipfile raises on damaged bytes; a RuntimeError or its child for unknown versions and keys.
_DAMAGED_ZIP = (zipfile.BadZipFile, zlib.error, RuntimeError, ValueError, EOFError, struct.error)
_LONGEST_HEADER = 100_000_000  # by the definition of safetensors
_AGAIN = "the download broke off: fetch it again"
_IMAGES = {
    b"\x89PNG": "PNG",
    b"\xff\xd8\xff": "JPEG",
    b"GIF8": "GIF",
    b"BM": "BMP",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
}
_ARCHIVES = (b"\x1f\x8b", b"7z\xbc\xaf", b"Rar!", b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd")
_WEB = (b"<!doctype", b"<html", b"<?xml", b"<head", b"<script")


def weights_format(path: Path) -> Literal["safetensors", "torch"]:
    """Return the format of a file of weights.

    Raises:
        ValueError: it is no file of weights; the message is the end of a sentence that says what it
            is and what to do.
        OSError: it cannot be read.
    """
    size = path.stat().st_size
    with open_file(path) as file:
        head = file.read(512)
    if not head.strip(b"\0"):
        raise ValueError(f"is empty; {_AGAIN}" if not size else f"holds only zeros; {_AGAIN}")
    # Before all others: a safetensors file begins with any 8 bytes, the length of its header.
    if head[8:9] == b"{" and int.from_bytes(head[:8], "little") < _LONGEST_HEADER:
        return "safetensors"
    _refuse_others(head)
    if head[:2] == b"PK":
        _check_zip(path)
        return "torch"
    if head[:1] == b"\x80":  # a pickle, as torch wrote before 1.6
        return "torch"
    if path.suffix.lower() == ".safetensors" and size <= 8:
        raise ValueError(f"is not a whole safetensors file; {_AGAIN}")
    raise ValueError("holds no weights that can be read; give a .pth or .safetensors file")


def _refuse_others(head: bytes) -> None:
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith(b"version https://git-lfs"):
        raise ValueError(
            "is a pointer of Git LFS, not the weights; run `git lfs pull` in that repository, or "
            "download the file itself"
        )
    if text.startswith(_WEB):
        raise ValueError(
            "is a web page, not weights: the download failed; open its address in a browser and "
            "save the file itself"
        )
    for magic, name in _IMAGES.items():
        if head.startswith(magic):
            raise ValueError(f"is a {name} image, not weights; give a .pth or .safetensors file")
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        raise ValueError("is a WebP image, not weights; give a .pth or .safetensors file")
    if head.startswith(_ARCHIVES) or head[257:262] == b"ustar":
        raise ValueError("is an archive; unpack it and give the file with the weights")
    # ModelProto: ir_version (field 1), then a string: producer_name, or a graph.
    if head[0] == 8 and 0 < head[1] < 32 and head[2:3] in (b"\x12", b"\x1a", b"\x3a", b"\x42"):
        raise ValueError(
            "is an ONNX graph, not weights; give the .pth or .safetensors file it was made from"
        )
    if head.startswith(b"7767517"):
        raise ValueError(
            "is an ncnn graph; `python -m desra.weights import-ncnn` turns it into a checkpoint"
        )


def _check_zip(path: Path) -> None:
    """Check that a zip file is one that ``torch.save`` writes since torch 1.6.

    Raises:
        ValueError: it is incomplete, a TorchScript program, or some other zip file.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except _DAMAGED_ZIP:
        raise ValueError(f"is incomplete; {_AGAIN}") from None
    if any(name.endswith("/constants.pkl") or "/code/" in name for name in names):
        raise ValueError(
            "is a TorchScript program, so code, which is never run; where it was made, save the "
            "weights alone: torch.save(net.state_dict(), 'net.pth')"
        )
    if not any(name.endswith("/data.pkl") for name in names):
        raise ValueError(
            "is a zip archive without weights in it; unpack it and give the file with the weights"
        )


def holds_module(path: Path) -> bool:
    """Return whether a torch file pickles a whole ``nn.Module``; nothing in it is run."""
    try:
        with zipfile.ZipFile(path) as archive:
            name = next(name for name in archive.namelist() if name.endswith("/data.pkl"))
            with archive.open(name) as file:
                return _MODULE in file.read(_HEAD)
    except StopIteration:
        return False
    except _DAMAGED_ZIP:  # or no zip file: a pickle, as torch wrote before 1.6
        with open_file(path) as file:
            return _MODULE in file.read(_HEAD)
