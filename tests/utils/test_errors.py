"""Sentences that name many things stay readable."""

import pytest

from desra.utils.errors import InputError, did_you_mean, listed, refuse_if_any


def test_ten_are_named():
    names = [f"n{i}" for i in range(12)]
    assert listed(names[:10]) == ", ".join(names[:10])
    assert listed(names) == ", ".join(names[:10]) + " and 2 more"


def test_a_near_name_is_offered():
    names = ["threshold", "min_area"]
    assert did_you_mean("treshold", names) == "did you mean 'threshold'?"
    assert did_you_mean("x", names) == "known: threshold, min_area"
    assert did_you_mean("x", names, "none of ours") == "none of ours"


def test_faults_are_said_together():
    refuse_if_any([], "nothing is wrong")
    with pytest.raises(InputError) as caught:
        refuse_if_any((f"fault {i}" for i in range(11)), "these cannot be used")
    head, *lines = str(caught.value).split("\n")
    assert head == "these cannot be used:"
    assert lines == [*(f"  fault {i}" for i in range(10)), "  and 1 more"]
