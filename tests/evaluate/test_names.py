"""Names of images that are not UTF-8, or command a terminal, through detect, evaluate, report."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from desra import evaluate
from desra.detect import detect
from desra.options.detect import DetectOptions
from desra.options.loading import parse
from desra.options.report import ReportOptions
from desra.report import report
from helpers.small import photograph, save_png


@pytest.mark.skipif(sys.platform != "linux", reason="names of files are bytes on Linux alone")
def test_hostile_names(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    names = [os.fsdecode(b"caf\xe9"), "a\x1b[31mred"]
    for i, name in enumerate(names):
        for kind in ("sr_gan", "sr_mse"):
            save_png(path := tmp_path / kind / f"{i}.png", photograph(i, 40, 48))
            path.rename(path.with_name(f"{name}.png"))
    folders = {kind: str(tmp_path / kind) for kind in ("sr_gan", "sr_mse")}
    out, scores = str(tmp_path / "out"), tmp_path / "scores"
    rows = detect(parse(DetectOptions, {"input": folders, "output": out, "scale": 2}, "test"))
    assert {row.stem for row in rows} == set(names)
    values = {"before": out, "after": out, "output": scores, "sheet": scores / "sheet.png"}
    options = tmp_path / "evaluate.yml"
    options.write_text("".join(f"{key}: {value}\n" for key, value in values.items()))
    assert evaluate.main(["-opt", str(options)]) == 0
    assert (scores / "sheet.png").is_file() and (scores / "scores.json").is_file()
    written = capsys.readouterr()
    assert "\x1b[31m" not in written.out + written.err
    assert r"a\x1b[31mred" in written.out and r"caf\udce9" in written.out
    content = {"before": out, "output": str(tmp_path / "page")}
    assert report(parse(ReportOptions, content, "test")).is_file()
