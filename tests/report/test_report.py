"""The report of small results: what the page is told, against the files that detect wrote."""

from __future__ import annotations

import base64
import io
import json
import re
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from desra.io import drawing
from desra.io.images import write_image
from desra.options.loading import find_options_file, parse, read_yaml
from desra.options.report import ReportOptions
from desra.report import main, report
from helpers.paths import ROOT
from helpers.report_results import HOSTILE, IMAGES, make_results, write_scores, write_table


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return make_results(tmp_path_factory.mktemp("results"))


def data_of(path: Path) -> dict[str, Any]:
    (text,) = re.findall(
        r'<script type="application/json" id="data">(.*?)</script>', path.read_text("utf-8")
    )
    return json.loads(text)


def run(folder: Path, **content: Any) -> dict[str, Any]:
    content = {"output": str(folder / "out"), "quality": 100, **content}
    path = report(parse(ReportOptions, content, "test"))
    assert path == folder / "out" / "index.html"
    return data_of(path)


def pixels(url: str, folder: Path) -> np.ndarray:
    if url.startswith("data:"):
        file: Any = io.BytesIO(base64.b64decode(url.partition(",")[2]))
    else:
        file = folder / "out" / url
    return np.asarray(Image.open(file).convert("RGB"))


def read(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path).convert("RGB"))


@pytest.mark.parametrize("max_embedded", [5, 4])
def test_what_the_page_is_told(
    folders: tuple[Path, Path], tmp_path: Path, max_embedded: int
) -> None:
    before, after = folders
    data = run(
        tmp_path,
        before=str(before),
        after=str(after),
        max_embedded=max_embedded,
        scores=str(write_scores(tmp_path / "scores.json")),
        tables=[str(write_table(tmp_path / "table.json"))],
        settings=["options/detect.yml"],
    )
    files = sorted(p.name for p in (tmp_path / "out").rglob("[!.]*") if p.is_file())
    assert len(files) == (1 if max_embedded == 5 else 1 + 5 * 5)
    images = {image["name"]: image for image in data["images"]}
    assert images.keys() == IMAGES.keys()
    shares = [image["before"]["share"] for image in data["images"]]
    assert shares == sorted(shares, reverse=True) and shares[0] > shares[1] > 0
    for stem, image in images.items():
        urls = image["pictures"]
        assert image["size"] == list(IMAGES[stem][0]) == image["shown"]
        for kind, folder, name in (
            ("gan", before, "sr_gan"),
            ("mse", before, "sr_mse"),
            ("after", after, "sr_gan"),
        ):
            assert (pixels(urls[kind], tmp_path) == read(folder / name / f"{stem}.png")).all()
        for kind, folder in (("map", before), ("map_after", after)):
            D = read(folder / "map" / f"{stem}.png")[..., 0] / 255
            shown = pixels(urls[kind], tmp_path)
            if stem == "tiny":
                assert (shown == shown[0, 0]).all()
            else:
                assert (shown[5:-5, 5:-5] == drawing.map_in_colour(D)).all()
                assert (shown[:6, 50] == shown[5, 50]).all()
        masks = [read(folder / "mask" / f"{stem}.png")[..., 0] > 0 for folder in folders]
        counts = [cv2.connectedComponents(mask.astype(np.uint8))[0] - 1 for mask in masks]
        assert [image["before"]["regions"], image["after"]["regions"]] == counts
        assert image["before"]["share"] == masks[0].mean()
        assert bool(image["outline"]) == masks[0].any()
        assert bool(image["outline_after"]) == masks[1].any()
    assert {k: (v["removed"], v["added"]) for k, v in images.items()} == {
        "a": (1, 0),
        "sub/b": (0, 1),
        HOSTILE: (1, 0),
        "same": (0, 0),
        "tiny": (0, 0),
    }
    assert [r["state"] for r in images["a"]["regions"]] == ["removed", "left"]
    assert [r["state"] for r in images["sub/b"]["regions"]] == ["added"]
    assert images["a"]["psnr_outside"] == 40 and images["tiny"]["psnr_outside"] is None
    assert ["NIQE (lower is better), before", "4.500"] in images[HOSTILE]["scores"]
    assert [t["title"] for t in data["tables"]][-1] == "Rounds"
    shown = [*(str(folder / "options.yml") for folder in folders), "options/detect.yml"]
    assert data["settings"] == [
        {"name": name, "text": (ROOT / name).read_text("utf-8")} for name in shown
    ]
    tiles = {tile["label"]: (tile["value"], tile["note"]) for tile in data["summary"]}
    assert tiles["Images with artifacts"] == ("3 → 4", "of 5 images")
    assert tiles["Artifact regions"] == ("4 → 4", "2 removed, 1 new")
    assert tiles["Regions removed"] == ("50 %", "95 % interval 25 to 75 %")
    assert tiles["PSNR outside the masks"][0] == "41.2 dB"


def test_without_a_finetuned_network(folders: tuple[Path, Path], tmp_path: Path) -> None:
    data = run(tmp_path, before=str(folders[0]), max_side=64)
    assert data["after"] is None and data["tables"] == []
    assert [tile["value"] for tile in data["summary"]][:2] == ["3", "4"]
    (image,) = [i for i in data["images"] if i["name"] == "a"]
    assert image["shown"] == [48, 64]
    assert pixels(image["pictures"]["gan"], tmp_path).shape == (48, 64, 3)
    assert "after" not in image["pictures"] and "state" not in image["regions"][0]


def test_cropped_masks_are_padded(tmp_path: Path) -> None:
    before, _ = make_results(tmp_path, protocol="released")
    (a,) = [i for i in run(tmp_path, before=str(before))["images"] if i["name"] == "a"]
    mask = np.pad(read(before / "mask" / "a.png")[..., 0] > 0, 5)
    assert mask.shape == (192, 256)
    rows, columns = np.nonzero(mask)
    x = min(r["box"][0] for r in a["regions"])
    y = min(r["box"][1] for r in a["regions"])
    assert (x, y) == (columns.min(), rows.min())


def test_more_images_than_before_leave_no_old_pictures(
    folders: tuple[Path, Path], tmp_path: Path
) -> None:
    run(tmp_path, before=str(folders[0]), max_embedded=0)
    assert (tmp_path / "out" / "pictures").is_dir()
    run(tmp_path, before=str(folders[0]))
    assert [p.name for p in (tmp_path / "out").glob("[!.]*")] == ["index.html"]


def test_errors_in_one_sentence(
    folders: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "other.json").write_text('{"images": {"x": {}}}')
    (tmp_path / "few").mkdir()
    rows = (folders[1] / "manifest.jsonl").read_text().splitlines(keepends=True)
    (tmp_path / "few" / "manifest.jsonl").write_text("".join(rows[:2]))
    (tmp_path / "bytes.yml").write_bytes(b"\xff\xfe\x00")
    for assignments, words in (
        (["before=nowhere"], "before: nowhere holds no manifest.jsonl"),
        ([f"after={tmp_path / 'few'}"], "before and after do not pair up by file name"),
        ([f"scores={tmp_path / 'other.json'}"], "scores: they are of none of the images"),
        (["scores=none.json"], "scores: none.json cannot be read"),
        (["tables=[none.json]"], "tables: none.json cannot be read"),
        (["settings=[none.yml]"], "settings: none.yml does not exist"),
        ([f"settings=[{tmp_path / 'bytes.yml'}]"], "cannot be read as text"),
        (["quality=0"], "quality"),
        (["befor=x"], "did you mean 'before'"),
    ):
        common = ["after=null", "scores=null", f"before={folders[0]}", f"output={tmp_path / 'out'}"]
        assert main(["-opt", "options/report.yml", "--force_yml", *common, *assignments]) == 2
        error = capsys.readouterr().err
        assert words in error and "Traceback" not in error, assignments
        assert not (tmp_path / "out" / "index.html").exists()


def test_pictures_that_do_not_belong_to_the_results(tmp_path: Path) -> None:
    before, _ = make_results(tmp_path)
    mask = read(before / "mask" / "a.png")[..., 0]
    for kind, words in (
        ("mask", "does not belong"),
        ("map", "does not belong"),
        ("sr_gan", "is expected"),
        ("mask", "neither the size of the image"),
    ):
        path = before / kind / "a.png"
        kept = path.read_bytes()
        other = mask[2:-2, 2:-2] if words.startswith("neither") else mask[:-4]
        write_image(path, other if kind != "sr_gan" else np.zeros((5, 5, 3), np.uint8))
        with pytest.raises(ValueError, match=words):
            run(tmp_path, before=str(before))
        path.write_bytes(kept)
    run(tmp_path, before=str(before))


def test_a_mask_that_was_changed_is_told(tmp_path: Path) -> None:
    """The page shows its outline, and the numbers of the manifest."""
    before, after = make_results(tmp_path)
    both = {"before": str(before), "after": str(after)}
    images = {image["name"]: image for image in run(tmp_path, **both)["images"]}
    assert not any(image["notes"] for image in images.values())
    for folder in (before, after):
        mask = read(folder / "mask/a.png")[..., 0].copy()
        mask[:3, :5] = 255
        write_image(folder / "mask/a.png", mask)
    images = {image["name"]: image for image in run(tmp_path, **both)["images"]}
    first, second = images["a"]["notes"]
    pixels = images["a"]["before"]["pixels"]
    assert f"mask: changed since detect wrote it, {pixels + 15} pixels of {pixels} then" in first
    assert second.startswith("mask of the finetuned network: changed")
    assert not images["same"]["notes"]


def test_the_shipped_options_are_the_defaults() -> None:
    given = parse(ReportOptions, read_yaml(find_options_file("options/report.yml")), "report.yml")
    needed = ("before", "after", "scores", "settings", "output")
    paths = {key: getattr(given, key) for key in needed}
    assert given == ReportOptions(**paths)
    assert all((ROOT / path).is_file() for path in given.settings)
