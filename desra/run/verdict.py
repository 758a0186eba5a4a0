"""Whether a round counts, and whether there is to be another one; rules without any I/O."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Verdict:
    """The worth of a round.

    Attributes:
        judge: heldout or finetuned, the images that decide.
        gain: the share of the first network's regions that the round took away, less what it
            added.
        worse: what is worse than before the round, in words; None: nothing.
    """

    judge: str
    gain: float
    worse: str | None

    @property
    def kept(self) -> bool:
        """Whether the round counts, and the next one starts from its network."""
        return self.worse is None


def verdict(scores: Mapping[str, Mapping[str, Any]], min_detail: float) -> Verdict:
    """Judge a round, by the held-out images if anything was found in them.

    By regions removed and added, not by their number: one that shrinks may fall apart.

    Args:
        scores: the totals of evaluate against the network before the first round, by side
            (``heldout``, ``finetuned``), and, after the first round, against that of the round
            before (``heldout_step``, ``finetuned_step``).
        min_detail: the least share of the detail that must be left outside the masks.
    """
    held_out = scores.get("heldout", {}).get("regions_before", 0)
    judge = "heldout" if held_out else "finetuned"
    total, step = scores[judge], scores.get(f"{judge}_step", scores[judge])
    removed, added = step["regions_removed"], step["regions_added"]
    before, detail = total["regions_before"], total["detail_kept"]
    worse = None
    if added > removed:
        worse = f"{added} regions came and {removed} went"
    elif detail is not None and detail < min_detail:
        worse = f"{detail:.3f} of the detail is left outside, less than min_detail, {min_detail:g}"
    return Verdict(judge, (removed - added) / before if before else 0.0, worse)


def spent(number: int, last: Verdict, min_gain: float) -> str | None:
    """Say what speaks against a round after round ``number``, whose verdict is ``last``."""
    if last.worse:
        return f"round {number} is given up: {last.worse}"
    if last.gain < min_gain:
        return (
            f"round {number} took away {last.gain:.3f} of the regions that the network before "
            f"makes, less than min_gain, {min_gain:g}"
        )
    return None


def why_stop(reason: str | None, number: int, max_rounds: int, waiting: int) -> str | None:
    """Say why there is no round ``number``; None: there is one.

    Args:
        reason: what speaks against it by itself.
        number: of the round, from 1.
        max_rounds: rounds at most.
        waiting: new images that would join in; for them a round is worth it, whatever the last one
            was like.
    """
    if number <= max_rounds:
        return None if waiting else reason
    if waiting:
        return (
            f"new images wait: {waiting}, but the {max_rounds} rounds of max_rounds are done: give "
            f"--rounds {number} to take them up"
        )
    return reason or f"the {max_rounds} rounds of max_rounds are done"
