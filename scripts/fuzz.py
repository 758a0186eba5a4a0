#!/usr/bin/env python
"""Try malformed options, manifests, states, annotations, images, weights and lists on all stages.

    python scripts/fuzz.py                              # 150 cases of each kind
    python scripts/fuzz.py --kinds images weights --cases 1000 --seed 7
    python scripts/fuzz.py --seconds 60                 # as many as that allows, of all kinds
    python scripts/fuzz.py --jobs 2 --cases 1000 --journal results/fuzz/long.jsonl
    python scripts/fuzz.py --replay results/fuzz/images-0f3a.json

With a journal each case is counted in that file as soon as it was tried, and the same command goes
on where it ended, however it did.

Each case is a command, called as ``main(argv)`` in a fork of this process, in a copy of a folder of
good files (tiny images and networks, results of detect, a run, a training that can be resumed).
Wrong is: an exception that leaves main (bad input is exit status 2 and one sentence), more than 20
seconds, more than 4 GB, a file changed or removed that was there before and that is no earlier
result of the same command. Cases in which something was wrong are saved. The exit status is 1 if
there are any. The same seed gives the same cases. Needs `pip install 'desra[test]'`; Linux, macOS.
"""

import argparse
import contextlib
import hashlib
import multiprocessing
import os
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fuzzing.case import Case
    from fuzzing.trial import Outcome

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
    parser.add_argument(
        "--seconds",
        type=float,
        help="stop after so many; as Ctrl-C, with a table of what was tried",
    )
    parser.add_argument("--seed", type=int, default=0, help="(%(default)s)")
    parser.add_argument("--jobs", type=int, default=1, help="processes (%(default)s)")
    parser.add_argument("--journal", type=Path, metavar="FILE", help="count there, and go on")
    parser.add_argument("--hang", type=float, default=20, help="seconds of a hang (%(default)s)")
    parser.add_argument("--memory", type=float, default=4, help="GB of too much (%(default)s)")
    parser.add_argument(
        "--save", type=Path, default=Path("results/fuzz"), help="folder of findings (%(default)s)"
    )
    parser.add_argument("--causes", type=int, default=SHOWN, help="so many (%(default)s)")
    parser.add_argument("--replay", type=Path, metavar="FILE", help="try one saved case again")
    return parser


def load() -> None:
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


class Tally:
    """The counts of what came of the cases.

    Args:
        kinds: the kinds, in the order of the table.

    Attributes:
        causes: how often each (fault, cause) came.
        cpu: seconds that the processor worked for the cases.
        slowest: seconds that the slowest case took.
    """

    def __init__(self, kinds: Sequence[str]):
        self._statuses = {kind: Counter[str]() for kind in kinds}
        self._faults = {kind: Counter[str]() for kind in kinds}
        self.causes: Counter[tuple[str, str]] = Counter()
        self.cpu = self.slowest = 0.0
        self._examples: dict[tuple[str, str], str] = {}

    @property
    def cases(self) -> int:
        """Return the number of cases."""
        return sum(sum(counts.values()) for counts in self._statuses.values())

    def add(self, entry: Mapping[str, Any]) -> None:
        """Count an entry of the journal, see `_entry`."""
        kind, faults = entry["kind"], entry["faults"]
        self._statuses[kind][entry["status"]] += 1
        self._faults[kind].update(faults)
        self.cpu += entry["cpu"]
        self.slowest = max(self.slowest, entry["seconds"])
        for fault in faults:
            self.causes[fault, entry["cause"]] += 1
            self._examples.setdefault((fault, entry["cause"]), entry["file"])

    def table(self) -> str:
        """Return the counts of each kind as text."""
        heads = ("kind", "cases", "status 0", "status 2", "others", *FAULTS)
        rows = [heads]
        total: Counter[str] = Counter()
        for kind, counts in self._statuses.items():
            good, bad, cases = counts["0"], counts["2"], sum(counts.values())
            faults = (self._faults[kind][fault] for fault in FAULTS)
            numbers = (cases, good, bad, cases - good - bad, *faults)
            total.update(dict(zip(heads[1:], numbers, strict=True)))
            rows.append((kind, *map(str, numbers)))
        rows.append(("all", *(str(total[head]) for head in heads[1:])))
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        return "\n".join(
            "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])])
            for row in rows
        )

    def most_frequent(self, count: int) -> str:
        """Return the most frequent causes as text, with a case of each."""
        return "\n".join(
            f"{number:5} {fault}: {cause}   {self._examples[fault, cause]}"
            for (fault, cause), number in self.causes.most_common(count)
        )


def _entry(case: "Case", outcome: "Outcome", folder: Path) -> dict[str, Any]:
    """Return what came of a case; it is saved in a folder if something was wrong."""
    entry = {name: getattr(outcome, name) for name in ("status", "faults", "cause")}
    times = {"seconds": round(outcome.seconds, 3), "cpu": round(outcome.cpu, 3)}
    file = str(_save(case, outcome, folder)) if outcome.faults else ""
    return {"kind": case.kind, **entry, **times, "file": file}


def _save(case: "Case", outcome: "Outcome", folder: Path) -> Path:
    notes = {"faults": outcome.faults, "cause": outcome.cause, "text": outcome.text}
    digest = hashlib.sha256(case.to_json().encode()).hexdigest()[:12]
    path = folder / f"{case.kind.replace(' ', '_')}-{digest}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(case.to_json(**notes), encoding="utf-8")
    return path


def _at_once(work: Callable[[int], None], jobs: int) -> None:
    """Call ``work(0)`` to ``work(jobs - 1)``, each in a fork of this process; Ctrl-C ends them.

    Raises:
        SystemExit: one ended in an error.
    """
    if jobs == 1:
        with contextlib.suppress(KeyboardInterrupt):
            work(0)
        return
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=_quietly, args=(work, job)) for job in range(jobs)]
    for worker in workers:
        worker.start()
    for worker in workers:
        while worker.is_alive():
            with contextlib.suppress(KeyboardInterrupt):  # the workers get it too, and end
                worker.join()
    if any(worker.exitcode for worker in workers):
        raise SystemExit("fuzz.py: a process ended in an error, see above")


def _quietly(work: Callable[[int], None], job: int) -> None:
    with contextlib.suppress(KeyboardInterrupt):
        work(job)


def good_files(folder: Path) -> Path:
    """Make the good files in a new folder, and return the folder they are in.

    Raises:
        SystemExit: a stage did not end well on them.
    """
    from fuzzing import ground
    from fuzzing.trial import Limits, in_fork

    files = folder / "files"
    files.mkdir(parents=True)
    outcome = in_fork(ground.make, files, Limits(seconds=300))
    if outcome.faults:
        raise SystemExit(f"fuzz.py: the good files could not be made\n{outcome.text}")
    return files


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return 1 if anything was wrong, else 0."""
    args = _parser().parse_args(argv)
    sys.path.insert(0, str(Path(__file__).parent))
    load()
    from fuzzing.case import Case
    from fuzzing.journal import Journal
    from fuzzing.kinds import KINDS
    from fuzzing.trial import Bench, Limits

    limits = Limits(args.hang, args.memory)
    with tempfile.TemporaryDirectory(prefix="fuzz") as folder:
        good = good_files(Path(folder) / "good")
        if args.replay is not None:
            outcome = Bench(good, Path(folder) / "case", limits).try_case(Case.read(args.replay))
            print(outcome.text)
            print(f"status {outcome.status}; {', '.join(outcome.faults) or 'nothing is wrong'}")
            return int(bool(outcome.faults))
        begun = time.monotonic()
        chosen = _chosen(args.kinds, KINDS)
        cases = [case for kind in chosen for case in KINDS[kind](good, args.cases, args.seed)]
        run = {"kinds": chosen, "cases": args.cases, "seed": args.seed}
        journal = Journal(args.journal or Path(folder) / "journal.jsonl", run)
        left = journal.left(range(len(cases)))
        random.Random(args.seed).shuffle(left)

        def work(job: int) -> None:
            bench = Bench(good, Path(folder) / f"case{job}", limits)
            for number in left[job :: args.jobs]:
                if args.seconds is not None and time.monotonic() - begun > args.seconds:
                    break
                journal.add(number, _entry(cases[number], bench.try_case(cases[number]), args.save))

        _at_once(work, args.jobs)
        tally = Tally(chosen)
        for entry in journal.entries():  # also what an earlier process tried
            tally.add(entry)
    print(tally.table())
    seconds = f"{time.monotonic() - begun:.0f} s, {tally.cpu:.0f} s of CPU"
    print(f"\n{tally.cases} cases, seed {args.seed}, {seconds}, the slowest {tally.slowest:.1f} s")
    print(tally.most_frequent(args.causes))
    return int(bool(tally.causes))


if __name__ == "__main__":
    sys.exit(main())
