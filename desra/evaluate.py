"""Stage 3: compare. ``python -m desra.evaluate -opt options/evaluate.yml``

Two parts, each alone or both.

- ``before``, ``after``: what a finetuning removed, and what it kept. Two folders that detect wrote
  from the same inputs, with the network before and after (:mod:`desra.evaluation.change`).
- ``masks: {pred, truth, map}``: how good masks are (:mod:`desra.evaluation.masks`). ``pred`` is a
  folder of mask images, or one that detect wrote: then ``mask/`` is scored, and the average
  precision comes from ``map/``, the map that the masks were made of, with its weights and by its
  detector, in the 256 levels that it is stored in. ``map`` names another folder of maps, of which
  16-bit ones are looked at in 4081 levels. Only the pixels that a map covers count there.

``protocol: released`` gives the numbers of the paper's scripts: masks lack 5 pixels a side, and the
truth is cropped to them before its components are counted; true masks without a prediction vanish;
one image with both masks empty leaves the mean IoU undefined. A prediction without truth, which
one of the scripts deletes, is left out and left alone.

Writes ``<output>/scores.json``: the folders, ``total``, ``intervals`` and ``images`` by stem of
before against after (null when not asked for), and under ``masks`` the same of the masks, with
their precision-recall curve. A value that is divided by zero is null. ``intervals`` holds the 95 %
bootstrap interval over images of each rate and mean of the total, [low, high], null with fewer than
two images. ``<output>/scores.txt`` says it in words; the command line prints that.
"""

import logging
import sys
from pathlib import Path
from typing import Any

from tqdm import tqdm

from desra import cli
from desra.evaluation import change, masks, tables
from desra.evaluation.metrics import make_metrics
from desra.evaluation.sheet import sheet
from desra.files import atomic_write, write_json
from desra.images import write_image
from desra.options import EvaluateOptions
from desra.registry import import_modules

logger = logging.getLogger("desra")


def evaluate(opt: EvaluateOptions) -> dict[str, Any]:
    """Score masks against the truth, and a network before and after finetuning.

    Writes ``scores.json``, ``scores.txt`` and the contact sheet; prints nothing.

    Args:
        opt: the options.

    Returns:
        What ``scores.json`` holds.

    Raises:
        InputError: wrong options or input; said before anything is written.
    """
    import_modules(opt.imports)
    cases = masks.find_cases(opt.masks, opt.protocol) if opt.masks else []
    results: list[change.Results] = []
    if opt.before is not None and opt.after is not None:
        pairs = change.find_pairs(opt.before, opt.after, opt.gt)
        results = [change.Results(opt.before, opt.after, pair, opt.protocol) for pair in pairs]
    metrics = make_metrics(opt.metrics, opt.device, opt.gt is not None)

    content: dict[str, Any] = {
        "before": opt.before,
        "after": opt.after,
        "gt": opt.gt,
        "protocol": opt.protocol,
        **dict.fromkeys(("total", "intervals", "images")),
    }
    parts: list[str] = []
    picture = None
    if results:
        scores = {
            result.pair.stem: change.score(result, metrics)
            for result in tqdm(results, desc="evaluate", unit="image")
        }
        content |= change.to_json(scores, opt.bootstrap)
        summary = tables.change_summary(change.total_of(scores), content["intervals"])
        parts += [tables.change_table(scores), summary]
        picture = sheet(results, scores, opt.sheet_rows) if opt.sheet else None
    if opt.masks is not None:
        counted = {
            case.stem: masks.score(case, opt.protocol)
            for case in tqdm(cases, desc="masks", unit="image")
        }
        part = masks.to_json(counted, opt.masks, opt.protocol, opt.bootstrap)
        content["masks"] = part
        parts += [tables.masks_table(part), tables.masks_summary(part)]

    out = Path(opt.output) / "scores.json"
    with atomic_write(out.with_suffix(".txt")) as file:
        text = "\n\n".join([*parts, tables.LEGEND]) + "\n"
        file.write(text.encode("utf-8", "backslashreplace"))
    write_json(out, content)
    if picture is not None and opt.sheet:
        write_image(opt.sheet, picture)
    logger.info("written: %s%s", out, f", {opt.sheet}" if opt.sheet else "")
    return content


def _evaluate_and_print(opt: EvaluateOptions) -> None:
    """Score masks against the truth, and a network before and after finetuning."""
    evaluate(opt)
    print((Path(opt.output) / "scores.txt").read_text("utf-8"), end="")


def main(argv: list[str] | None = None) -> int:
    """The command line."""
    return cli.main("evaluate", EvaluateOptions, _evaluate_and_print, argv)


if __name__ == "__main__":
    sys.exit(main())
