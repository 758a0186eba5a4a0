#!/usr/bin/env python
"""Kill detect, train, run, evaluate, upscale and report at all moments, and resume them.

    python scripts/kills.py                              # 20 kills of each by each signal
    python scripts/kills.py --stages detect run --signals SIGKILL --kills 100 --seed 7
    python scripts/kills.py --stages detect --every      # before each operation on its files

Each stage works on tiny images and networks, once undisturbed and then again and again: a signal
ends it, the same command is given once more, and what it leaves must be the same as what the
undisturbed one left: the same files, byte for byte (what is excused stands in killing/results.py),
no unfinished ones, no lock, the same printed results, the inputs as they were. Half of the moments
are spread over its time, half over its operations on files; a fifth are chains of three. SIGTERM
and SIGINT must end it with status 143 and 130 and a sentence, in 10 seconds. The exit status is 1
if anything was otherwise. The same seed gives the same moments. Linux, macOS.
"""

import argparse
import contextlib
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from killing.life import Ended, Moment

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TQDM_DISABLE", "1")

STAGES = ("detect", "train", "run", "evaluate", "upscale", "report")
SIGNALS = ("SIGKILL", "SIGTERM", "SIGINT")
STATUS = {"SIGKILL": -signal.SIGKILL, "SIGTERM": 143, "SIGINT": 130}
CHAIN = 3  # kills of a chain
TRIES = 10  # to hit a command before it has ended


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--stages", nargs="+", choices=STAGES, default=STAGES, metavar="STAGE")
    parser.add_argument("--signals", nargs="+", choices=SIGNALS, default=SIGNALS, metavar="SIGNAL")
    parser.add_argument("--kills", type=int, default=20, help="of each (%(default)s)")
    parser.add_argument("--every", action="store_true", help="one before each operation instead")
    parser.add_argument("--seed", type=int, default=0, help="(%(default)s)")
    parser.add_argument("--workers", type=int, default=0, help="loader processes (%(default)s)")
    parser.add_argument("--save", type=Path, metavar="FOLDER", help="keep what differs there")
    return parser


def options_of(stage: str, workers: int) -> dict[str, Any]:
    """Return options under which a stage writes all kinds of its files, in a second or two."""
    from fuzzing import ground

    options = dict(ground.OPTIONS[stage])
    data = {"batch_size": 2, "num_workers": workers}
    if stage == "train":
        step, logger = {"total_iter": 6}, {"print_freq": 1, "save_checkpoint_freq": 2}
        gan = {"type": "GANLoss", "gan_type": "vanilla", "weight": 0.1}
        losses = {**options["train"]["losses"], "gan": gan}
        adam = {"type": "Adam", "lr": 1e-3}
        options["train"] = {**options["train"], **step, "losses": losses, "optim_d": adam}
        options["network_d"] = {"type": "PatchDiscriminator", "num_feat": 4, "num_strides": 1}
        options["datasets"] = {**options["datasets"], **data}
        options["logger"] = {**options["logger"], **logger}
        options["val"] = {**options["val"], "val_freq": 2}
    if stage == "run":
        train = options["train"]
        options["max_rounds"] = 2
        options["train"] = {
            "datasets": {**train["datasets"], **data},
            "train": {**train["train"], "total_iter": 3},
            "logger": {**train["logger"], "save_checkpoint_freq": 1},
        }
    if stage == "report":
        options["max_embedded"] = 1  # pictures in files of their own
    return options


@dataclass
class Count:
    """What came of the kills of one stage by one signal.

    Attributes:
        trials: that were resumed to the end.
        kills: signals that were sent.
        hit: those that met the command at work and ended it.
        identical: trials after which all was as it must be.
        faults: what was otherwise, with the moments.
        slowest: seconds from a signal to the end.
    """

    trials: int = 0
    kills: int = 0
    hit: int = 0
    identical: int = 0
    faults: list[str] = field(default_factory=list)
    slowest: float = 0.0


class Bench:
    """A folder of good files, in which one stage is killed.

    Args:
        stage: its name.
        folder: an empty one; commands are called in ``work`` below it.
        good: the good files.
        workers: loader processes of a training.
        save: where results that differ are kept; None: nowhere.

    Raises:
        SystemExit: the stage does not end well on the good files.
    """

    def __init__(
        self, stage: str, folder: Path, good: Path, workers: int = 0, save: Path | None = None
    ) -> None:
        import yaml
        from killing.life import live
        from killing.results import files_of

        self.stage, self.work, self._save = stage, folder / "work", save
        shutil.copytree(good, self.work, symlinks=True)
        (self.work / "tmp").mkdir()
        text = yaml.safe_dump(options_of(stage, workers), sort_keys=False)
        (self.work / f"{stage}.yml").write_text(text)
        self.output = self.work / "out"
        self._inputs = files_of(self.work)
        self.undisturbed = live(stage, self.work)
        if self.undisturbed.status:
            raise SystemExit(f"kills.py: {stage} failed\n{self.undisturbed.stderr}")
        self._reference = files_of(self.output)
        again = self._end()  # a second time is said to be nothing new, or the same again
        if again:
            raise SystemExit(f"kills.py: {stage}, given again after its end: {again[0]}")

    def moments(self, name: str, kills: int, seed: int) -> Iterator[list["Moment"]]:
        """Yield the moments of each trial; those of a chain follow each other."""
        from killing.life import Moment

        seconds, operations = self.undisturbed.seconds, self.undisturbed.operations
        for i in range(kills):
            luck = random.Random(f"{seed}:{self.stage}:{name}:{i}")
            place = (i + luck.random()) / kills

            def moment(place: float, kind: int) -> Moment:
                if kind % 2 == 0:
                    return Moment("time", 0.001 + 0.98 * place * (seconds - 0.001))
                how = "before" if kind % 4 == 1 else "after"
                return Moment(how, 1 + int(place * operations))

            more = (CHAIN - 1) * (i % 5 == 4)
            yield [
                moment(place, i),
                *(moment(luck.random() * 0.6, luck.randrange(4)) for _ in range(more)),
            ]

    def each_operation(self) -> Iterator[list["Moment"]]:
        """Yield a trial for each operation."""
        from killing.life import Moment

        for number in range(1, self.undisturbed.operations + 1):
            yield [Moment("before", number)]

    def trial(self, name: str, moments: Sequence["Moment"], count: Count) -> None:
        """Kill the stage at these moments by a signal, then resume it, and count."""
        from killing.life import Moment

        for _ in range(TRIES):
            self._clear()
            faults, hits = self._lives(name, moments, count)
            if hits:
                break
            if moments[0].how == "time":  # this time the command was quicker
                moments = [Moment("time", 0.9 * moments[0].at), *moments[1:]]
        else:
            faults.append(f"had ended before {TRIES} signals")
        count.trials += 1
        faults += self._end()
        if faults:
            told = ", ".join(map(str, moments))
            count.faults += [f"desra.{self.stage}, {name} at {told}: {fault}" for fault in faults]
            if self._save is not None:
                place = self._save / f"{self.stage}-{name}-{count.trials}"
                shutil.rmtree(place, ignore_errors=True)
                shutil.copytree(self.output, place)
        else:
            count.identical += 1

    def _clear(self) -> None:
        if self.output.is_dir():
            shutil.rmtree(self.output)

    def _lives(self, name: str, moments: Sequence["Moment"], count: Count) -> tuple[list[str], int]:
        """Live once for each moment; return what was wrong, and how many were hit at work."""
        from killing.life import live

        faults: list[str] = []
        hits = 0
        for moment in moments:
            ended = live(self.stage, self.work, getattr(signal, name), moment)
            if ended.hit:
                count.slowest = max(count.slowest, ended.dying)
            if ended.status == 0 and "Traceback" not in ended.stderr:
                count.kills += ended.hit
                break  # it had ended before the signal, or as it came
            count.kills += 1
            count.hit += 1
            hits += 1
            faults += [f"{fault} (the kill at {moment})" for fault in self._wrong_end(name, ended)]
        return faults, hits

    def _wrong_end(self, name: str, ended: "Ended") -> Iterator[str]:
        """Yield what is wrong with how a signal ended a command."""
        if ended.status != STATUS[name]:
            yield f"status {ended.status} instead of {STATUS[name]}: {ended.stderr[-2000:]}"
        if "Traceback" in ended.stderr:
            yield f"a traceback: {ended.stderr[-2000:]}"
        if name == "SIGKILL":
            return
        if "give the same command again to go on" not in ended.stderr:
            yield "no sentence says how to go on"
        left = sorted((self.work / "tmp").iterdir())
        left += [path for path in self.output.rglob("*.tmp") if self.output.is_dir()]
        if left:
            yield f"{left[0].name} was left by {name}"

    def _end(self) -> list[str]:
        """Give the command again, undisturbed, and return what is not as it must be."""
        from killing.life import live
        from killing.results import differences, files_of

        ended = live(self.stage, self.work)
        for path in (self.work / "tmp").iterdir():  # of SIGKILL, in the system's folder
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        if ended.status:
            return [f"could not be resumed, status {ended.status}: {ended.stderr[-2000:]}"]
        faults = differences(self._reference, files_of(self.output))
        if ended.stdout != self.undisturbed.stdout:
            faults.append("the printed results differ")
        files = {k: v for k, v in files_of(self.work).items() if not k.startswith("out/")}
        faults += [f"input {fault}" for fault in differences(self._inputs, files)]
        return faults + [f"{path.name} is still locked" for path in self._locked()]

    def _locked(self) -> Iterator[Path]:
        import fcntl

        for path in self.output.rglob("*.lock"):
            with path.open("rb") as file:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    yield path


def table(counts: dict[tuple[str, str], Count]) -> str:
    """Return the counts as text."""
    rows = [("stage", "signal", "trials", "kills", "hit", "identical", "different", "slowest")]
    for (stage, name), count in counts.items():
        different = count.trials - count.identical
        numbers = (count.trials, count.kills, count.hit, count.identical, different)
        rows.append((stage, name, *map(str, numbers), f"{count.slowest:.1f} s"))
    total = list(counts.values())
    sums = (sum(getattr(c, key) for c in total) for key in ("trials", "kills", "hit", "identical"))
    trials, kills, hit, identical = sums
    rows.append(("all", "", *map(str, (trials, kills, hit, identical, trials - identical)), ""))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(
            [*map(str.ljust, row[:2], widths[:2]), *map(str.rjust, row[2:], widths[2:])]
        ).rstrip()
        for row in rows
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return 1 if anything differed, else 0."""
    args = _parser().parse_args(argv)
    sys.path.insert(0, str(Path(__file__).parent))
    import fuzz
    from PIL import Image

    fuzz.load()
    Image.preinit()  # Python 3.11 tells of Ctrl-C within such an import as of another error
    begun = time.monotonic()
    counts: dict[tuple[str, str], Count] = {}
    with tempfile.TemporaryDirectory(prefix="kills") as name:
        folder = Path(name)
        good = fuzz.good_files(folder / "good")
        with contextlib.suppress(KeyboardInterrupt):  # the table is of what was tried
            for stage in args.stages:
                bench = Bench(stage, folder / stage, good, args.workers, args.save)
                whole = bench.undisturbed
                print(
                    f"{stage}: {whole.seconds:.2f} s, {whole.operations} operations",
                    file=sys.stderr,
                )
                for number in args.signals:
                    count = counts[stage, number] = Count()
                    if args.every:
                        trials = bench.each_operation()
                    else:
                        trials = bench.moments(number, args.kills, args.seed)
                    for moments in trials:
                        bench.trial(number, moments, count)
                    for fault in count.faults[:3]:
                        print(fault, file=sys.stderr)
                shutil.rmtree(folder / stage)
    print(table(counts))
    print(f"\nseed {args.seed}, {time.monotonic() - begun:.0f} s")
    faults = [fault for count in counts.values() for fault in count.faults]
    if faults:
        print(f"the first: {faults[0]}")
    return int(bool(faults))


if __name__ == "__main__":
    sys.exit(main())
