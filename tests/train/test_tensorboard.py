"""TensorBoard works although basicsr brings it under another name (tb-nightly)."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.request
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest
from torch.utils.tensorboard import SummaryWriter


def installed(name: str) -> bool:
    try:
        version(name)
    except PackageNotFoundError:
        return False
    return True


twice = pytest.mark.skipif(
    installed("tensorboard") and installed("tb-nightly"),
    reason="tensorboard and tb-nightly are both installed and overwrite each other: "
    "pip uninstall both, then install tb-nightly",
)


def write_events(folder: Path) -> None:
    writer = SummaryWriter(str(folder))
    for step in range(3):
        writer.add_scalar("losses/l_g_pix", 0.5 / (step + 1), step)
    writer.close()


@twice
def test_events_are_written_and_read_back(tmp_path: Path):
    write_events(tmp_path)
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(tmp_path))
    events.Reload()
    values = [(e.step, e.value) for e in events.Scalars("losses/l_g_pix")]
    assert values == [(0, 0.5), (1, 0.25), (2, pytest.approx(0.5 / 3))]


@twice
@pytest.mark.slow
def test_the_server_answers(tmp_path: Path):
    write_events(tmp_path)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = Path(sys.executable).with_name("tensorboard")
    log = tmp_path / "server.log"
    with log.open("wb") as output:
        server = subprocess.Popen(
            [str(command), "--logdir", str(tmp_path), "--host", "127.0.0.1", "--port", str(port)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env={k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy")},
        )
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        runs, deadline = None, time.monotonic() + 90
        while runs is None and time.monotonic() < deadline and server.poll() is None:
            try:
                address = f"http://127.0.0.1:{port}/data/plugin/scalars/tags"
                runs = direct.open(address, timeout=5).read().decode()
            except OSError:
                time.sleep(0.2)
            else:
                if "losses/l_g_pix" not in runs:  # the events are still being read
                    runs = None
                    time.sleep(0.2)
        assert runs is not None, log.read_text()
    finally:
        server.kill()
        server.wait()
