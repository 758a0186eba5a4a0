"""The app's command line, with and without Gradio; `test_app_browser` uses the page."""

from __future__ import annotations

import socket
import sys

import pytest
import yaml

from desra import app
from desra.options import AppOptions, resolved


def test_without_gradio_the_extra_is_named_and_nothing_is_loaded(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setitem(sys.modules, "gradio", None)
    monkeypatch.setattr(app, "Inspector", lambda _: pytest.fail("networks were loaded"))
    assert app.main([]) == 2
    assert capsys.readouterr().err == (
        "error: the app needs Gradio; run: pip install 'desra[app]'\n"
    )


def test_all_options_have_defaults(capsys: pytest.CaptureFixture[str]):
    assert app.main(["--check"]) == 0
    assert yaml.safe_load(capsys.readouterr().out) == resolved(AppOptions())
    flags = ["--gan", "RealESRGAN_x4plus", "--mse", "b.pth", "--device", "cpu", "--tile", "0"]
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
