"""Which images judge a round, what it gains, what is worse, and when another is worth it."""

from __future__ import annotations

from typing import Any

import pytest

from desra.run.verdict import Verdict, spent, verdict, why_stop


def of(before: int, went: int, came: int, detail: float | None = 0.95) -> dict[str, Any]:
    return {
        "regions_before": before,
        "regions_removed": went,
        "regions_added": came,
        "detail_kept": detail,
    }


def scores(before: int, went: int, came: int, detail: float | None = 0.95) -> dict[str, Any]:
    """Of a later round: against the first network far more went and came."""
    return {
        "heldout": of(before, 99, 99, detail),
        "heldout_step": of(99, went, came),
        "finetuned": of(9, 6, 0),
    }


@pytest.mark.parametrize(
    ("given", "judge", "gain", "worse"),
    [
        (scores(20, 7, 1), "heldout", 0.3, None),
        (scores(20, 4, 4), "heldout", 0.0, None),
        (scores(20, 4, 5), "heldout", -0.05, "5 regions came and 4 went"),
        (
            scores(20, 6, 0, detail=0.84),
            "heldout",
            0.3,
            "0.840 of the detail is left outside, less than min_detail, 0.85",
        ),
        (scores(20, 6, 0, detail=None), "heldout", 0.3, None),  # nothing lies outside
        (scores(0, 0, 0), "finetuned", 6 / 9, None),
        ({"finetuned": of(10, 2, 1)}, "finetuned", 0.1, None),  # nothing is held out
        ({"finetuned": of(0, 0, 0)}, "finetuned", 0.0, None),
    ],
)
def test_the_verdict(given: dict[str, Any], judge: str, gain: float, worse: str | None):
    found = verdict(given, 0.85)
    assert (found.judge, found.worse, found.kept) == (judge, worse, worse is None)
    assert found.gain == pytest.approx(gain)


def test_what_speaks_against_another_round():
    assert spent(3, Verdict("heldout", 0.05, None), 0.05) is None
    assert spent(3, Verdict("heldout", 0.04, None), 0.05) == (
        "round 3 took away 0.040 of the regions that the network before makes, less than "
        "min_gain, 0.05"
    )
    assert spent(3, Verdict("heldout", 0.9, "it blurs"), 0.05) == "round 3 is given up: it blurs"


@pytest.mark.parametrize(
    ("reason", "number", "waiting", "expected"),
    [
        (None, 2, 0, None),
        (None, 2, 5, None),
        ("it blurs", 2, 0, "it blurs"),
        ("it blurs", 2, 5, None),  # new images are worth a round
        (None, 3, 0, "the 2 rounds of max_rounds are done"),
        ("it blurs", 3, 0, "it blurs"),
        (
            None,
            3,
            5,
            "new images wait: 5, but the 2 rounds of max_rounds are done: give --rounds 3"
            " to take them up",
        ),
        (
            "it blurs",
            3,
            1,
            "new images wait: 1, but the 2 rounds of max_rounds are done: give "
            "--rounds 3 to take them up",
        ),
    ],
)
def test_why_it_stops(reason: str | None, number: int, waiting: int, expected: str | None):
    assert why_stop(reason, number, 2, waiting) == expected
