"""The app's command line, with and without Gradio; `test_app_browser` uses the page."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np
import pytest
import yaml

from desra import app
from desra.app import inspection, stage
from desra.app.guard import is_foreign
from desra.app.inspection import Choice, Inspector
from desra.app.stage import Actions
from desra.io.images import read_image, read_mask, read_rgb8, write_image
from desra.options.app import AppOptions
from desra.options.loading import resolved
from helpers.small import photograph, save_compact


def test_without_gradio_the_extra_is_named_and_nothing_is_loaded(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setitem(sys.modules, "gradio", None)
    monkeypatch.setattr(stage, "Inspector", lambda _: pytest.fail("networks were loaded"))
    assert app.main([]) == 2
    assert capsys.readouterr().err == (
        "error: the app needs Gradio; run: pip install 'desra[app]'\n"
    )


def test_all_options_have_defaults(capsys: pytest.CaptureFixture[str]):
    assert app.main(["--check"]) == 0
    assert yaml.safe_load(capsys.readouterr().out) == resolved(AppOptions())
    flags = ["--model", "RealESRGAN_x4plus", "--partner", "b.pth", "--device", "cpu", "--tile", "0"]
    assert app.main([*flags, "--host", "0.0.0.0", "--port", "8000", "--check"]) == 0
    content = yaml.safe_load(capsys.readouterr().out)
    assert content["sr_gan"]["weights"] == "RealESRGAN_x4plus"
    assert content["sr_mse"]["weights"] == "b.pth"
    assert (content["device"], content["tile"]["size"]) == ("cpu", 0)
    assert (content["host"], content["port"]) == ("0.0.0.0", 8000)


def test_it_listens_to_this_machine_alone_by_default():
    assert AppOptions().host == "127.0.0.1"


def test_wrong_options_are_one_sentence(capsys: pytest.CaptureFixture[str]):
    assert app.main(["--port", "99999"]) == 2
    assert "error: command line: port: " in capsys.readouterr().err


def test_a_port_that_is_taken(capsys: pytest.CaptureFixture[str]):
    pytest.importorskip("gradio", reason="gradio is not installed (pip install 'desra[app]')")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert app.main(["--port", str(port), "--device", "cpu"]) == 2
    error = capsys.readouterr().err
    assert f"127.0.0.1 and {port} cannot be listened on" in error
    assert "--port" in error and "Traceback" not in error


# ---------------------------------------------------------------------- what the page calls

VALUES = (0.97, 20.0, 0.5, 3.0)


@pytest.fixture
def inspector(tmp_path: Path) -> Inspector:
    content = {
        "sr_gan": {"weights": str(save_compact(tmp_path / "gan.pth", 2, seed=1))},
        "sr_mse": {"weights": str(save_compact(tmp_path / "mse.pth", 2, seed=2))},
        "device": "cpu",
        "precision": "fp32",
        "max_pixels": 60 * 72,
        "detector": {"type": "relative_local_variance"},
    }
    return Inspector(AppOptions.model_validate(content))


@pytest.fixture
def lq(tmp_path: Path) -> Path:
    alpha = np.full((60, 72), 200, np.uint8)
    write_image(tmp_path / "mine.png", photograph(3, 60, 72), alpha)
    return tmp_path / "mine.png"


def test_pictures_of_an_image(inspector: Inspector, lq: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(inspection, "MAX_VIEW", 100)
    field, session, said, *paths = Actions(inspector).inspect(str(lq))
    assert field is None and session is not None
    assert said.startswith("mine.png: x2 is 144 x 120 pixels, shown as 100 x 83; networks")
    assert said.endswith("; alpha split off")
    sizes = [read_rgb8(path).shape for path in paths]
    assert sizes == [(60, 72, 3), (83, 100, 3), (83, 100, 3), (83, 100, 3)]

    found, settings, *paths = Actions(inspector).judge(session, *VALUES)
    verdict = inspector.judge(session.seen, Choice(*VALUES))
    assert found.split("(")[0] == verdict.sentence.split("(")[0]
    assert yaml.safe_load(settings)["mask"]["threshold"] == 0.97
    assert (read_mask(paths[0]) == (inspection.shown(verdict.mask) > 0)).all()
    assert [read_rgb8(path).shape for path in paths] == [(83, 100, 3)] * 3


def test_saved_pictures_are_whole(inspector: Inspector, lq: Path):
    session = Actions(inspector).inspect(str(lq))[1]
    verdict = inspector.judge(session.seen, Choice(*VALUES))
    save = Actions(inspector).save
    mask, blended = (save(kind, session, *VALUES) for kind in ("mask", "blended"))
    assert mask and Path(mask).name == "mine_mask.png" and verdict.mask.any()
    assert (read_mask(mask) == verdict.mask).all()
    assert blended and Path(blended).name == "mine_blended.png"
    picture = read_image(blended)
    assert (picture.rgb == verdict.blended).all()
    assert picture.alpha is not None and set(np.unique(picture.alpha)) == {200}


def test_the_pictures_go_with_the_session(inspector: Inspector, lq: Path):
    session = Actions(inspector).inspect(str(lq))[1]
    folder = Path(session.folder.name)
    assert any(folder.iterdir())
    del session
    assert not folder.exists()


def test_sentences_instead_of_pictures(inspector: Inspector, lq: Path, tmp_path: Path):
    write_image(tmp_path / "large.png", np.zeros((61, 72, 3), np.uint8))
    actions = Actions(inspector)
    field, session, said, *paths = actions.inspect(str(tmp_path / "large.png"))
    assert field is None and session is None and paths == [None] * 4
    assert said.startswith("large.png has 72 x 61 pixels")  # without the folder of the upload
    assert actions.judge(None, *VALUES)[0].startswith("No image")
    assert actions.save("mask", None, *VALUES) is None
    session = actions.inspect(str(lq))[1]
    found, _, *paths = actions.judge(session, 2.0, 0.0, 1.0, 0.0)
    assert "threshold" in found and paths == [None] * 3


def test_any_failure_shows_itself(
    inspector: Inspector,
    lq: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
):
    """Nothing of an earlier image stays on the page."""
    actions = Actions(inspector)
    session = actions.inspect(str(lq))[1]

    def fail(*_: object) -> None:
        raise RuntimeError("out of luck")

    monkeypatch.setattr(inspector, "judge", fail)
    assert actions.judge(session, *VALUES) == [
        "This failed: RuntimeError: out of luck (more in the app's log)",
        "",
        None,
        None,
        None,
    ]
    monkeypatch.setattr(inspector, "inspect", fail)
    _, session, said, *paths = actions.inspect(str(lq))
    assert session is None and "RuntimeError: out of luck" in said and paths == [None] * 4
    assert "the app failed at an image" in caplog.text


@pytest.mark.parametrize(
    ("origin", "foreign"),
    [
        ("", False),
        ("http://127.0.0.1:7860", False),
        ("http://evil.example", True),
        ("http://127.0.0.1:8000", True),
        ("null", True),
    ],
)
def test_pages_of_other_sites(origin: str, foreign: bool):
    assert is_foreign(origin, "127.0.0.1:7860") is foreign


def test_it_refuses_pages_of_other_sites_and_cleans_up(tmp_path: Path):
    pytest.importorskip("gradio", reason="gradio is not installed (pip install 'desra[app]')")
    command = [sys.executable, "-m", "desra.app", "--device", "cpu"]
    environment = {**os.environ, "TMPDIR": str(tmp_path), "GRADIO_TEMP_DIR": str(tmp_path / "g")}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as process:
        try:
            assert process.stderr is not None
            lines = iter(process.stderr.readline, "")
            address = next(line.split()[1] for line in lines if line.startswith("open "))
            assert list(tmp_path.glob("desra_app_*"))
            for origin, status in ((None, 200), (address.rstrip("/"), 200), ("http://evil", 403)):
                request = urllib.request.Request(f"{address}config")
                if origin:
                    request.add_header("Origin", origin)
                try:
                    with urllib.request.urlopen(request) as answer:
                        assert answer.status == status
                except urllib.error.HTTPError as error:
                    assert error.code == status
        finally:
            process.terminate()
            process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGTERM
    assert not list(tmp_path.glob("desra_app_*"))
