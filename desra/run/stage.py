"""The rounds of a run."""

import logging
import os
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from desra.detect import detect
from desra.detect.folder import KIND as DETECT
from desra.evaluate import evaluate
from desra.io import manifest
from desra.io.files import atomic_write, sha256_of
from desra.io.ledger import Ledger, inputs_of, refuse_inputs_in
from desra.io.lock import held_folder
from desra.options.base import Strict
from desra.options.detect import DetectOptions
from desra.options.loading import fingerprint, parse, resolved
from desra.options.report import ReportOptions
from desra.options.run import RunOptions
from desra.registry import import_modules
from desra.report import report
from desra.run import images, remaining, review, table
from desra.run.folder import KIND
from desra.run.identity import identified, identity
from desra.run.lineage import SIDES, Lineage, Record
from desra.run.networks import Networks, find_networks
from desra.run.verdict import spent, verdict, why_stop
from desra.train import train
from desra.utils.errors import InputError, listed
from desra.utils.reading import read_bytes

logger = logging.getLogger("desra")


_FEW = 20  # regions to learn from


class Review(Exception):
    """The pause of a run, in which a human is to look at masks.

    Attributes:
        folders: what detect wrote, by the network's name.
    """

    def __init__(self, folders: Mapping[str, Path]) -> None:
        super().__init__(str(folders))
        self.folders = folders


class Rounds:
    """A run at work.

    Args:
        opt: the options.
        networks: those of the options.
        lineage: what was done before.
        ledger: of the run's folder.
    """

    def __init__(
        self, opt: RunOptions, networks: Networks, lineage: Lineage, ledger: Ledger
    ) -> None:
        self.opt, self.networks, self.lineage = opt, networks, lineage
        self.ledger = ledger
        self.output = Path(opt.output)

    def go(self) -> str:
        """Do all rounds that there are to be.

        Returns:
            Why there is no further one.

        Raises:
            Review: a human is to go first.
        """
        self._check_networks()
        self._detect_missing()
        if self.lineage.rounds and (last := self.lineage.rounds[-1]).scores is not None:
            last.verdict = verdict(last.scores, self.opt.min_detail)  # by the limit as it is now
        number = 1 + sum(record.scores is not None for record in self.lineage.rounds)
        while not (reason := self._stopped(number)):
            record = self.lineage.record(number)
            self._prepare(record)
            if not self._enough(record):
                self.lineage.rounds.remove(record)  # it begins anew when there are new images
                self.lineage.nothing = number
                self.lineage.save()
                return self._nothing(number)
            self._improve(record)
            number += 1
        return reason

    def _check_networks(self) -> None:
        """Check by their hashes that the networks of the rounds are those that were trained.

        That of the last round is made anew where it is not.

        Raises:
            InputError: that of an earlier one is not.
        """
        rounds = self.lineage.rounds
        for record in rounds:
            unjudged = record.scores is None and record is rounds[-1]
            if record.network is None or not (record.kept or unjudged):
                continue
            weights = Path(self._weights(f"round_{record.round}"))
            if weights.is_file():
                if sha256_of(weights) == record.network["after"]["sha256"]:
                    continue
                fault = "is not what the run wrote (its SHA-256 is another than in lineage.json)"
            else:
                fault = "is missing"
            if record is not rounds[-1]:
                raise InputError(
                    f"output: {weights} {fault}, and later rounds begin from it; put it back, or "
                    "give --overwrite to start anew"
                )
            logger.warning("%s %s: round %d is finetuned anew", weights, fault, record.round)
            record.forget_training()

    def _detect_missing(self) -> None:
        """Detect anew where results that a round learns from or is compared with are gone."""
        rounds = self.lineage.rounds
        done = {stage for record in rounds for stage in record.seconds}
        for name in ["original", *(f"round_{record.round}" for record in rounds if record.kept)]:
            folders = [self.output / name / side for side in SIDES if self.lineage.images(side)]
            if f"detect {name}" not in done:
                continue
            verify = bool(self.opt.detect.get("verify"))
            gone = [folder for folder in folders if not _is_there(folder)]
            if gone:
                logger.warning("missing, so detected anew: %s", listed(map(str, gone)))
                self._detect(rounds[-1], name)  # tells what was changed, too
            elif changed := [path for folder in folders for path in _changed(folder, verify)]:
                logger.warning(
                    "changed since detect wrote them, by hand or damage, and kept as they are: %s; "
                    "delete one to have it made anew",
                    listed(map(str, changed)),
                )

    def _stopped(self, number: int) -> str | None:
        """Say why a round is not to be; None: it is, or is begun."""
        if len(self.lineage.rounds) >= number:
            return None
        against, limit = self._against(number), self.opt.max_rounds
        if against is None and number <= limit:
            return None
        waiting = sum(map(len, images.new_images(self.opt, self.lineage, number).values()))
        reason = why_stop(against, number, limit, waiting)
        if reason is None:
            logger.info("%s; but new images join in: %d", against, waiting)
        return reason

    def _against(self, number: int) -> str | None:
        """Say what speaks against a round, unless there are new images."""
        if self.lineage.nothing == number:
            return self._nothing(number)
        last = self.lineage.rounds[-1] if self.lineage.rounds else None
        if last is None or last.verdict is None:
            return None
        return spent(last.round, last.verdict, self.opt.min_gain)

    # ----------------------------------------------------------------------------- before training

    def _prepare(self, record: Record) -> None:
        """Take in new images, and detect in them what the networks so far make of them."""

        def take_in() -> None:
            record.added = images.take_in(self.opt, self.lineage, record.round, self.ledger)

        self.lineage.once(record, "images", take_in)
        if self._count(record):
            for name in dict.fromkeys(["original", self._current_name]):
                self.lineage.once(record, f"detect {name}", lambda n=name: self._detect(record, n))
        if self.opt.review:
            self._review(record)

    def _count(self, record: Record) -> int:
        return sum(map(len, (record.added or {}).values()))

    @property
    def _current_name(self) -> str:
        """Name of the folder of the network that the next round starts from."""
        kept = self.lineage.kept
        return f"round_{kept.round}" if kept else "original"

    def _weights(self, name: str) -> str:
        """Return the weights of the network whose folder is named."""
        if name == "original":
            return self.networks.gan.weights
        return str(self.output / name / "train" / "models" / "net_g_latest.pth")

    def _detect(self, record: Record, name: str) -> None:
        """Detect on all images of the run, by the network whose folder is named."""
        self._headline(record.round, f"detect, {self._weights(name)}")
        for side in SIDES:
            if self.lineage.images(side):
                plan = self._plan(name, side)
                detect(plan)
                self._note(record, f"detect {name} {side}", plan)

    def _note(self, record: Record, stage: str, plan: Strict) -> None:
        """Note the options of a stage in the record of its round."""
        settings = resolved(plan)
        record.options = record.options or {}
        record.options[stage] = {"fingerprint": fingerprint(settings), **settings}

    def _plan(self, name: str, side: str) -> DetectOptions:
        folder = self.output / name / side
        reviewed = folder / "reviewed"
        learnt_from = side == "finetuned"
        gan = self.networks.gan.model_copy(update={"weights": self._weights(name)})
        return self.opt.detect_options(
            images.folder_of(self.output, side),
            folder,
            gan,
            self.networks.mse,
            self.networks.scale,
            self.opt.sample_area if learnt_from else 1.0,
            reviewed if reviewed.is_dir() else None,
            self.opt.review and learnt_from,
        )

    def _enough(self, record: Record) -> bool:
        """Return whether there is anything to finetune away; the log says where it is little."""
        if "train" in record.seconds:
            return True
        plan = self._plan(self._current_name, "finetuned")
        counting = self._plan(self._current_name, "heldout")
        count = remaining.counted(counting, Path(plan.output))
        if count:
            rows = manifest.read(Path(plan.output)).values()
            smaller = sum(row.regions for row in rows)
            logger.info(
                "%d regions that count, %d to learn from in %d of %d images",
                count,
                smaller,
                sum(row.regions > 0 for row in rows),
                len(rows),
            )
            if smaller < _FEW:
                logger.warning(
                    "these are few to learn from: what the network learns may be peculiar to them; "
                    "the paper takes about 200 images with artifacts. More images in the folder "
                    "join in with the next round"
                )
        return count > 0

    def _nothing(self, number: int) -> str:
        """Say why there is no further round, where nothing is found."""
        if number > 1:
            return "nothing is found any more in the images to finetune on"
        plan = self._plan("original", "heldout")
        folder = self.output / "original" / "finetuned"
        near = remaining.nearest(plan, folder)
        rule = f"threshold {plan.mask.threshold:g}, min_area {plan.mask.min_area:g}"
        nearest = (
            f"{near.stem} came nearest, with {near.area} connected pixels where more than "
            f"{near.min_area} are wanted"
            if near
            else f"no pixel is below the threshold {plan.mask.threshold:g}"
        )
        return (
            f"nothing was found in {len(self.lineage.images('finetuned'))} images ({rule}), so "
            f"nothing was trained; {nearest}. See what other rules would find: python -m "
            f"desra.sweep -opt options/sweep.yml --force_yml input={folder}; then set "
            "detect:mask:threshold or detect:mask:min_area, or give more images"
        )

    # ------------------------------------------------------------------------------------- review

    def _review(self, record: Record) -> None:
        """Wait for a human, then take the masks that were changed.

        Raises:
            Review: it is the human's turn.
        """
        names = [self._current_name]
        if self._count(record) and "original" not in names:
            names.append("original")  # where the new images are new too
        folders = {name: self.output / name / "finetuned" for name in names}
        if record.review is None:
            for name in names:
                self._detect(record, name)  # exports, where nothing else is left to do
            record.review = {name: review.exported(folders[name]) for name in names}
            self.lineage.save()
            raise Review(folders)

        exported = record.review

        def take() -> None:
            for name, folder in folders.items():
                changed = review.take_changed(folder, exported[name])
                logger.info("masks corrected in %s: %s", folder, listed(changed) or "none")
                if changed:
                    self._detect(record, name)

        self.lineage.once(record, "review", take)

    # ------------------------------------------------------------------------------------ training

    def _improve(self, record: Record) -> None:
        """Finetune, detect what is left, and judge."""
        name = f"round_{record.round}"
        self.lineage.once(record, "train", lambda: self._train(record, name))
        self.lineage.once(record, f"detect {name}", lambda: self._detect(record, name))
        self.lineage.once(record, "evaluate", lambda: self._evaluate(record, name))

    def _train(self, record: Record, name: str) -> None:
        self._headline(record.round, "finetune")
        before = self._current_name
        kept = [f"round_{r.round}" for r in self.lineage.rounds if r.kept]
        plan = self.opt.train_options(
            self.output / name,
            [self.output / n / "finetuned" for n in ("original", *kept)],
            self.networks.network_g,
            self.networks.scale,
            self._weights(before),
            self._weights("original"),
        )
        after = train(plan)
        self._note(record, "train", plan)
        record.network = {
            "before": identified(self._weights(before)),
            "after": identified(str(after)),
        }

    def _evaluate(self, record: Record, name: str) -> None:
        self._headline(record.round, "evaluate")
        scores: dict[str, Any] = {}
        judges = "heldout" if self.lineage.images("heldout") else "finetuned"
        pairs = {"": "original", "_step": self._current_name}
        if self._current_name == "original":
            del pairs["_step"]
        for side in SIDES:
            for suffix, before in pairs.items() if self.lineage.images(side) else ():
                plan = self.opt.evaluate_options(
                    self.output / before / side,
                    self.output / name / side,
                    self.output / name / "scores" / f"{side}{suffix}",
                    self.opt.gt if side == judges else None,
                )
                content = evaluate(plan)
                intervals = content.get("intervals") or {}
                scores[f"{side}{suffix}"] = {**content["total"], "intervals": intervals}
        record.scores = scores
        record.verdict = verdict(scores, self.opt.min_detail)

    def _headline(self, number: int, what: str) -> None:
        logger.info("\n== Round %d of at most %d: %s", number, self.opt.max_rounds, what)

    # ------------------------------------------------------------------------------------- the end

    def conclude(self, reason: str) -> None:
        """Write the network that the run ends with and the table, and say where they are."""
        opt, lineage, name = self.opt, self.lineage, self._current_name
        final = None
        if name != "original":
            final = self.output / "net_g.pth"
            with atomic_write(final) as file:
                file.write(read_bytes(self._weights(name)))
        lineage.stopped = reason
        lineage.final = final and identified(str(final))
        lineage.save()
        if lineage.rounds:
            table.write(lineage, self.output, opt.sample_area)
            explained = textwrap.fill(table.note(lineage, opt.sample_area), 100)
            print(table.text(lineage), explained, sep="\n\n")
        pages = [self._report(name, side) for side in SIDES if lineage.images(side)]
        logger.info("\nEnd of the run: %s", reason)
        if final is None:
            logger.info("The network stays as it was: %s", self.networks.gan.weights)
        else:
            logger.info("The network of round %s: %s", name.removeprefix("round_"), final)
            logger.info("Use it: python -m desra.upscale -i IMAGES -o UPSCALED --model %s", final)
        for page in pages:
            logger.info("Look at %s", page)

    def _report(self, name: str, side: str) -> Path:
        """Make the page of one side: before the first round, and by the network named."""
        settings = manifest.write_options(self.output, self.opt)
        finetuned = name != "original"
        content = {
            "before": str(self.output / "original" / side),
            "after": str(self.output / name / side) if finetuned else None,
            "scores": str(self.output / name / "scores" / side / "scores.json") * finetuned or None,
            "tables": [str(self.output / table.FILE)] if self.lineage.rounds else [],
            "settings": [str(settings)],
            "output": str(self.output / "report" / side),
            "title": f"{self.output.name}: images {table.NAMES[side]}",
        }
        return report(parse(ReportOptions, content, "report"))


def _results(folder: Path) -> Iterator[Path]:
    """Yield the images that detect wrote into a folder, by its manifest."""
    for stem in manifest.read(folder):
        yield from (manifest.result(folder, kind, stem) for kind in manifest.KINDS)


def _is_there(folder: Path) -> bool:
    """Return whether a folder has its manifest and the images that this names."""
    there = (folder / manifest.FILE).is_file()
    return there and all(path.is_file() for path in _results(folder))


def _changed(folder: Path, verify: bool) -> list[Path]:
    """List the images that were changed since detect wrote them."""
    ledger = Ledger(folder, DETECT)
    return [path for path in _results(folder) if not ledger.is_whole(path, verify)]


def run(opt: RunOptions, overwrite: bool = False) -> dict[str, Any]:
    """Detect, finetune, detect, evaluate, round after round.

    Args:
        opt: the options.
        overwrite: delete a run in the same folder first.

    Returns:
        What ``lineage.json`` holds, see `desra.run.lineage`.

    Raises:
        InputError: wrong options or input; said before anything is written, but for what a stage
            alone can tell.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise InputError("desra.run works in one process; leave torchrun out")
    import_modules(opt.imports)
    networks = find_networks(opt)
    opt = opt.for_network(str(networks.network_g["type"]))
    inputs = inputs_of(opt, ("output",))
    with held_folder(opt.output, KIND, "output", overwrite, inputs) as ledger:
        refuse_inputs_in([opt.output], _read_anew(inputs), "output")
        original = identified(networks.gan.weights)
        known = identity(opt, networks)
        lineage = Lineage(Path(opt.output), resolved(opt), known, original)
        _refuse_foreign(opt, lineage, ledger)
        with ledger:
            rounds = Rounds(opt, networks, lineage, ledger)
            try:
                reason = rounds.go()
            except Review as pause:
                _ask(pause.folders)
            else:
                rounds.conclude(reason)
            return rounds.lineage.as_json()


def _read_anew(inputs: Sequence[tuple[str, Path]]) -> list[tuple[str, Path]]:
    """Return the inputs that are read before each round."""
    return [(key, path) for key, path in inputs if key.split(".")[0] in ("input", "holdout", "gt")]


def _refuse_foreign(opt: RunOptions, lineage: Lineage, ledger: Ledger) -> None:
    """Refuse what lies where the run writes and is not its own; nothing is written before.

    Raises:
        InputError: there is such a file.
    """
    output = Path(opt.output)
    names = (manifest.OPTIONS, table.FILE, "net_g.pth")
    ledger.refuse_foreign(output / name for name in names)
    images.refuse_foreign(output, lineage, ledger)


def _ask(folders: Mapping[str, Path]) -> None:
    """Tell a human what to do."""
    for folder in folders.values():
        logger.info(
            "\nYour turn: correct the masks of %s\n"
            "  1. pip install labelme; labelme %s\n"
            "  2. In each image that is wrong: delete shapes that are no artifact, draw what was\n"
            "     missed (any label), save. A file without shapes says: no artifact here.\n"
            "     Leave alone what is right; %s shows the masks at a glance.",
            folder,
            folder / "labelme",
            folder / "overlay",
        )
    logger.info("  3. Give the same command again: it goes on with your masks.")
