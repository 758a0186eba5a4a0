"""The file of a run: what is written is what is read, and what is none is refused in words."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from desra.run import table
from desra.run.lineage import Lineage, Record
from desra.run.verdict import Verdict, verdict
from desra.utils.errors import InputError

WHOLE = Record(
    1,
    {"train": 2.5},
    {"heldout": ["a"], "finetuned": []},
    {"train": {"fingerprint": "x"}},
    {"original": {"a.json": "0f"}},
    {"before": {"weights": "w", "sha256": "1"}},
    {"heldout": {"regions_before": 3}},
    Verdict("heldout", 0.5, None),
)


def lineage(folder: Path, **identity: str) -> Lineage:
    return Lineage(folder, {"name": "é"}, identity, {"weights": "w", "sha256": "1"})


def test_what_is_not_known_yet_is_left_out():
    assert Record(2).as_json() == {"round": 2, "seconds": {}}
    assert WHOLE.as_json() == {
        "round": 1,
        "seconds": {"train": 2.5},
        "added": {"heldout": ["a"], "finetuned": []},
        "options": {"train": {"fingerprint": "x"}},
        "review": {"original": {"a.json": "0f"}},
        "network": {"before": {"weights": "w", "sha256": "1"}},
        "scores": {"heldout": {"regions_before": 3}},
        "judge": "heldout",
        "gain": 0.5,
        "worse": None,
        "kept": True,
    }
    for record in (WHOLE, Record(2), Record(3, verdict=Verdict("finetuned", 0.0, "blur"))):
        assert Record.from_json(json.loads(json.dumps(record.as_json()))) == record


def test_the_file(tmp_path: Path):
    first = lineage(tmp_path, key="a")
    first.images("heldout")["a"] = {"sha256": "2", "source": "lq/a.png", "round": 1}
    first.rounds.append(WHOLE)
    first.once(second := first.record(2), "images", lambda: setattr(second, "added", {}))
    first.nothing, first.stopped, first.final = 2, "enough", {"weights": "f", "sha256": "3"}
    first.save()
    again = lineage(tmp_path, key="a")
    assert again.kept == WHOLE and again.rounds[1].added == {}
    assert set(again.rounds[1].seconds) == {"images"}
    again.once(again.rounds[1], "images", lambda: pytest.fail("it is done"))
    assert again.stopped is None  # until it is known anew
    again.stopped = "enough"
    assert again.as_json() == json.loads((tmp_path / "lineage.json").read_text("utf-8"))
    assert again.as_json() == first.as_json()


BROKEN = {
    "identity": {},
    "images": {"heldout": {}, "finetuned": {}},
    "rounds": [{"round": 1, "scores": {"heldout": 3}}],
}
OLDER = {
    "identity": {
        "key": "a",
        "detect.device": "cpu",
        "train.name": "train",
        "train.path.pretrain_network_g": "none",
        "evaluate.before": "none",
        "evaluate.sheet": "none/sheet.png",
    },
    "images": {"heldout": {}, "finetuned": {"a": {"sha256": "2", "source": "a.png", "round": 1}}},
    "rounds": [
        {
            "round": 1,
            "seconds": {"train": 2.5, "evaluate": 1.0},
            "scores": {
                "finetuned": {
                    "components_before": 5,
                    "components_removed": 3,
                    "components_after": 2,
                    "components_added": 1,
                    "detail_kept": 0.9,
                    "intervals": {"removal_rate": [0.2, 0.8]},
                }
            },
            "judge": "finetuned",
            "gain": 0.4,
            "worse": None,
            "kept": True,
        }
    ],
}


def test_a_run_of_version_0_1_0_goes_on(tmp_path: Path):
    (tmp_path / "lineage.json").write_text(json.dumps(OLDER))
    content = lineage(tmp_path, key="a")
    assert content.kept and content.kept.scores
    total = content.kept.scores["finetuned"]
    assert (total["regions_before"], total["regions_added"]) == (5, 1)
    assert "components_before" not in total and total["intervals"] == {"removal_rate": [0.2, 0.8]}
    assert verdict(content.kept.scores, 0.85) == content.kept.verdict
    rows = table.text(content).splitlines()[2:]
    assert [row.split()[:2] for row in rows] == [["0", "5"], ["1", "2"]]
    content.save()
    again = json.loads((tmp_path / "lineage.json").read_text("utf-8"))
    assert again["identity"] == {"key": "a"}


def test_another_run_and_what_is_none(tmp_path: Path):
    lineage(tmp_path, key="a").save()
    words = r"output: .* holds a run with other options \(key: a -> b\); .*--overwrite"
    with pytest.raises(InputError, match=words):
        lineage(tmp_path, key="b")
    whole = {"identity": {}, "images": {"heldout": {}, "finetuned": {}}, "rounds": [{}]}
    faulty = [
        json.dumps(content) for content in (whole, {**whole, "images": {}}, BROKEN, {}, [], "x", 3)
    ]
    for text in ("{", *faulty):
        (tmp_path / "lineage.json").write_text(text)
        with pytest.raises(InputError, match=r"lineage\.json: is no lineage of a run \(.*overwri"):
            lineage(tmp_path, key="a")


def test_names_that_are_not_utf_8(tmp_path: Path):
    first = lineage(tmp_path, key="a")
    image = {"sha256": "2", "source": "lq/\udcff.png", "round": 1}
    first.images("heldout")["\udcff"] = image
    first.rounds.append(Record(1, added={"heldout": ["\udcff"]}))
    first.save()
    assert lineage(tmp_path, key="a").images("heldout") == {"\udcff": image}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("images.heldout.a.sha256", 3),
        ("images.heldout.a", "x"),
        ("images.finetuned", []),
        ("images", None),
        ("rounds.0.round", 2),
        ("rounds.0.round", "1"),
        ("rounds.0.seconds", None),
        ("rounds.0.seconds.train", "long"),
        ("rounds.0.scores.heldout", 3),
        ("rounds.0.scores.heldout.regions_before", "many"),
        ("rounds.0.network.before", "w"),
        ("rounds.0.gain", None),
        ("rounds.0.review.original", 1),
        ("rounds.0", 5),
        ("rounds", {}),
        ("final", "net_g.pth"),
        ("nothing", "no"),
        ("identity", []),
    ],
)
def test_an_edited_file_is_one_sentence(path: str, value: object, tmp_path: Path):
    first = lineage(tmp_path, key="a")
    first.images("heldout")["a"] = {"sha256": "2", "source": "lq/a.png", "round": 1}
    first.rounds.append(WHOLE)
    first.save()
    content = json.loads(first.path.read_text())
    *parents, last = [int(key) if key.isdigit() else key for key in path.split(".")]
    place = content
    for key in parents:
        place = place[key]
    place[last] = value
    first.path.write_text(json.dumps(content))
    before = first.path.read_bytes()
    with pytest.raises(InputError, match=r"lineage\.json: is no lineage of a run \(.*overwrite"):
        lineage(tmp_path, key="a")
    assert first.path.read_bytes() == before
