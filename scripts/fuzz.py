#!/usr/bin/env python
"""Try malformed options, manifests, states, annotations, images, weights and lists on all stages.

    python scripts/fuzz.py                              # 150 cases of each kind
    python scripts/fuzz.py --kinds images weights --cases 1000 --seed 7
    python scripts/fuzz.py --seconds 60                 # as many as that allows, of all kinds
    python scripts/fuzz.py --replay results/fuzz/images-0f3a.json

Each case is a command, called as ``main(argv)`` in a fork of this process, in a copy of a folder of
good files (tiny images and networks, results of detect, a run, a training that can be resumed).
Wrong is: an exception that leaves main (bad input is exit status 2 and one sentence), more than 20
seconds, more than 4 GB, a file changed or removed that was there before and that is no earlier
result of the same command. Cases in which something was wrong are saved. The exit status is 1 if
there are any. The same seed gives the same cases. Needs `pip install 'desra[test]'`; Linux, macOS.
"""

import argparse
import hashlib
import os
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

STAGES = ("detect", "upscale", "train", "evaluate", "report", "sweep", "calibrate", "run")
FAULTS = ("tracebacks", "hangs", "memory", "changed")
SHOWN = 10  # causes


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kinds", nargs="+", metavar="KIND", help="these only; also a first word")
    parser.add_argument("--cases", type=int, default=150, help="of each kind (%(default)s)")
    parser.add_argument("--seconds", type=float, help="stop after so many, with what was tried")
    parser.add_argument("--seed", type=int, default=0, help="(%(default)s)")
    parser.add_argument("--hang", type=float, default=20, help="seconds of a hang (%(default)s)")
    parser.add_argument("--memory", type=float, default=4, help="GB of too much (%(default)s)")
    parser.add_argument(
        "--save", type=Path, default=Path("results/fuzz"), help="folder of findings (%(default)s)"
    )
    parser.add_argument("--causes", type=int, default=SHOWN, help="so many (%(default)s)")
    parser.add_argument("--replay", type=Path, metavar="FILE", help="try one saved case again")
    return parser


def _load() -> None:
    """Import what the commands need, so that a fork has it."""
    import importlib

    import cv2
    import torch

    from desra.registry import ARCH_REGISTRY, find

    cv2.setNumThreads(0)  # threads do not outlive a fork
    torch.set_num_threads(1)
    find(ARCH_REGISTRY, "SRVGGNetCompact", "")
    for stage in (*STAGES, "weights", "export"):
        importlib.import_module(f"desra.{stage}.__main__")
        importlib.import_module(f"desra.{stage}.stage")


def _chosen(names: Sequence[str] | None, known: Iterable[str]) -> list[str]:
    known = list(known)
    if names is None:
        return known
    chosen = [kind for kind in known if kind in names or kind.split()[0] in names]
    lost = [name for name in names if not any(name in (k, k.split()[0]) for k in known)]
    if lost:
        raise SystemExit(f"fuzz.py: unknown kind {', '.join(lost)}; known: {', '.join(known)}")
    return chosen


def _table(statuses: dict[str, Counter[str]], faults: dict[str, Counter[str]]) -> str:
    """Return the counts of each kind as text."""
    heads = ("kind", "cases", "status 0", "status 2", "others", *FAULTS)
    rows = [heads]
    total: Counter[str] = Counter()
    for kind, counts in statuses.items():
        good, bad, cases = counts["0"], counts["2"], sum(counts.values())
        numbers = (cases, good, bad, cases - good - bad, *(faults[kind][f] for f in FAULTS))
        total.update(dict(zip(heads[1:], numbers, strict=True)))
        rows.append((kind, *map(str, numbers)))
    rows.append(("all", *(str(total[head]) for head in heads[1:])))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) for row in rows
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return 1 if anything was wrong, else 0."""
    args = _parser().parse_args(argv)
    sys.path.insert(0, str(Path(__file__).parent))
    _load()
    from fuzzing import ground
    from fuzzing.case import Case
    from fuzzing.kinds import KINDS
    from fuzzing.trial import Bench, Limits, in_fork

    limits = Limits(args.hang, args.memory)
    with tempfile.TemporaryDirectory(prefix="fuzz") as folder:
        good, scratch = Path(folder) / "good" / "files", Path(folder) / "case"
        good.mkdir(parents=True)
        made = in_fork(ground.make, good, Limits(seconds=300))
        if made.faults:
            raise SystemExit(f"fuzz.py: the good files could not be made\n{made.text}")
        bench = Bench(good, scratch, limits)
        if args.replay is not None:
            outcome = bench.try_case(Case.read(args.replay))
            print(outcome.text)
            print(f"status {outcome.status}; {', '.join(outcome.faults) or 'nothing is wrong'}")
            return int(bool(outcome.faults))
        begun = time.monotonic()
        chosen = _chosen(args.kinds, KINDS)
        cases = [case for kind in chosen for case in KINDS[kind](good, args.cases, args.seed)]
        random.Random(args.seed).shuffle(cases)
        statuses = {kind: Counter[str]() for kind in chosen}
        faults = {kind: Counter[str]() for kind in chosen}
        causes: Counter[tuple[str, str]] = Counter()
        example: dict[tuple[str, str], Path] = {}
        for case in cases:
            if args.seconds is not None and time.monotonic() - begun > args.seconds:
                break
            outcome = bench.try_case(case)
            statuses[case.kind][outcome.status] += 1
            faults[case.kind].update(outcome.faults)
            for fault in outcome.faults:
                causes[fault, outcome.cause] += 1
            if outcome.faults:
                notes = {"faults": outcome.faults, "cause": outcome.cause, "text": outcome.text}
                text = case.to_json(**notes)
                digest = hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:12]
                path = args.save / f"{case.kind.replace(' ', '_')}-{digest}.json"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text, encoding="utf-8", errors="replace")
                example.setdefault((outcome.faults[0], outcome.cause), path)
    print(_table(statuses, faults))
    print(f"\n{sum(map(Counter.total, statuses.values()))} cases, seed {args.seed}, "
          f"{time.monotonic() - begun:.0f} s")
    for (fault, cause), count in causes.most_common(args.causes):
        print(f"{count:5} {fault}: {cause}   {example.get((fault, cause), '')}")
    return int(bool(causes))


if __name__ == "__main__":
    sys.exit(main())
