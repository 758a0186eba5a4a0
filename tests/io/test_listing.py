from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest

from desra.io.listing import ImageFile, list_images, pair_by_stem, refuse_output_in
from desra.utils.errors import InputError


def touched(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def test_list_images(tmp_path):
    touched(
        tmp_path,
        "b.PNG",
        "a/c.jpg",
        "a/b/x.y.tiff",
        "Z.webp",
        "notes.txt",
        "a/.hidden.png",
        ".git/d.png",
        "a/q.png.txt",
        "a/p.bmp",
    )
    files = list_images(tmp_path)
    assert [file.stem for file in files] == ["Z", "a/b/x.y", "a/c", "a/p", "b"]
    assert files[1].path == tmp_path / "a" / "b" / "x.y.tiff"
    assert list_images(str(tmp_path / "b.PNG")) == [ImageFile("b", tmp_path / "b.PNG")]


def test_list_images_says_what_is_wrong(tmp_path):
    with pytest.raises(InputError, match=r"input folder .*nowhere does not exist"):
        list_images(tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"holds no images; looked for .*\.png, \.tif"):
        list_images(touched(tmp_path / "empty", "notes.txt"))
    with pytest.raises(InputError, match=r"notes\.txt is not an image file"):
        list_images(tmp_path / "empty" / "notes.txt")
    with pytest.raises(InputError) as caught:
        list_images(touched(tmp_path / "twice", "s/a.png", "s/a.jpg", "b.png", "a.png"))
    assert "a.jpg" in str(caught.value) and "a.png" in str(caught.value)
    assert "b.png" not in str(caught.value)


def test_pairs_are_in_the_order_of_the_first(tmp_path):
    one = list_images(touched(tmp_path / "1", "b.png", "s/a.png"))
    two = list_images(touched(tmp_path / "2", "s/a.webp", "b.jpg"))
    pairs = pair_by_stem(one, two[::-1])
    assert [(a.path.name, b.path.name) for a, b in pairs] == [
        ("b.png", "b.jpg"),
        ("a.png", "a.webp"),
    ]


def test_composed_and_decomposed_names_pair(tmp_path):
    composed, decomposed = (unicodedata.normalize(form, "größe") for form in ("NFC", "NFD"))
    assert composed != decomposed
    one = list_images(touched(tmp_path / "1", f"{composed}.png"))
    two = list_images(touched(tmp_path / "2", f"{decomposed}.png"))
    assert [a.stem for a, _ in pair_by_stem(one, two)] == [composed]


def test_what_does_not_pair_is_listed_at_once(tmp_path):
    one = list_images(touched(tmp_path / "1", "a.png", "s/c.png", "x.png"))
    names = [f"n{index:02}.png" for index in range(13)]
    two = list_images(touched(tmp_path / "2", "a.png", "x_out.png", *names))
    with pytest.raises(InputError) as caught:
        pair_by_stem(one, two, ("sr_mse", "sr_gan"))
    message = str(caught.value)
    assert "sr_mse and sr_gan do not pair up" in message
    assert "2 only in sr_mse: s/c, x" in message
    assert "14 only in sr_gan: n00, n01" in message
    assert "n09 and 4 more" in message and "n10" not in message
    with pytest.raises(InputError, match="1 only in the second input: a"):
        pair_by_stem([], one[:1])


def test_results_are_kept_out_of_the_inputs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in" / "sub").mkdir(parents=True)
    for output in ("in", "in/sub", "./in/not/yet", tmp_path / "in" / "sub"):
        with pytest.raises(InputError, match=r"output: .* lies in input\.lq \(in\), where"):
            refuse_output_in("in", output, "input.lq")
    for output in ("out", "in2", ".", tmp_path):
        refuse_output_in("in", output, "input.lq")


def test_pictures_of_other_kinds_are_told(tmp_path, caplog):
    for name in ("a.png", "b.JFIF", "sub/c.heic", "d.GIF", "e.avif", "notes.txt", ".hidden.gif"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    elsewhere = tmp_path.with_name(tmp_path.name + "-linked")
    elsewhere.mkdir()
    (tmp_path / "link").symlink_to(elsewhere)
    with caplog.at_level("WARNING", "desra"):
        for _ in range(2):
            assert [file.stem for file in list_images(tmp_path)] == ["a", "b"]
    (message,) = [record.getMessage() for record in caplog.records]
    assert message.startswith(f"{tmp_path}: left out: d.GIF, e.avif, link/, sub/c.heic; read are")


def test_a_folder_of_other_kinds_alone(tmp_path):
    (tmp_path / "IMG_1.HEIC").touch()
    with pytest.raises(InputError, match=r"holds no images; .*; left out: IMG_1\.HEIC"):
        list_images(tmp_path)
