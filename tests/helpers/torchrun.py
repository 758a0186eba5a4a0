"""Runs of several processes."""

from __future__ import annotations

import os
import subprocess
import sys

from helpers.paths import TESTS


def torchrun(count: int, *arguments: object) -> subprocess.CompletedProcess[str]:
    """What ``torchrun`` does, on the CPU."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": "1",
        "CUDA_VISIBLE_DEVICES": "",
        "PYTHONPATH": os.pathsep.join([str(TESTS), str(TESTS.parent)]),
    }
    return subprocess.run(
        [*command, f"--nproc_per_node={count}", *map(str, arguments)],
        env=environment,
        text=True,
        capture_output=True,
        timeout=300,
    )
