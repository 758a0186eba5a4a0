"""The scores of masks, and of a network before and after finetuning."""

import logging
from pathlib import Path
from typing import Any

from tqdm import tqdm

from desra.evaluate import change, masks, tables
from desra.evaluate.folder import KIND
from desra.evaluate.sheet import sheet
from desra.io.files import atomic_write, write_json
from desra.io.images import write_image
from desra.io.ledger import Ledger, inputs_of, refuse_inputs_in
from desra.io.lock import held_folder
from desra.metrics import rows
from desra.metrics.iqa import make_metrics
from desra.metrics.metric import Scores, to_json, total_of
from desra.options.evaluate import EvaluateOptions
from desra.registry import import_modules
from desra.utils.printable import printable

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
    beside = [opt.sheet] if opt.sheet else []
    ledger, out = Ledger(opt.output, KIND, beside=beside), Path(opt.output) / "scores.json"
    results = [out, out.with_suffix(".txt"), *beside]
    refuse_inputs_in(results, inputs_of(opt, ("output", "sheet")), "output")
    ledger.refuse_foreign(results)
    cases = masks.find_cases(opt.masks, opt.protocol) if opt.masks else []
    files: list[change.ComparedFiles] = []
    if opt.before is not None and opt.after is not None:
        files = [
            change.ComparedFiles(opt.before, opt.after, image, opt.protocol)
            for image in change.find_images(opt.before, opt.after, opt.gt)
        ]
    judges = make_metrics(opt.metrics, opt.device, opt.gt is not None)

    content: dict[str, Any] = {
        "before": opt.before,
        "after": opt.after,
        "gt": opt.gt,
        "protocol": opt.protocol,
        **dict.fromkeys(("total", "intervals", "images")),
    }
    texts: list[str] = []
    picture = None
    if files:
        metrics = (*rows.CHANGE, *rows.of_judges(judges))
        scores: dict[str, Scores] = {
            image.compared.stem: change.score(image, metrics)
            for image in tqdm(files, desc="evaluate", unit="image")
        }
        content |= to_json(metrics, scores, opt.bootstrap.resamples, opt.bootstrap.seed)
        if not content["total"]["regions_before"]:
            logger.warning(
                "removal and addition rates are undefined, so null: nothing was found before"
            )
        total = total_of(scores.values())
        texts.append(tables.image_table(metrics, scores, tables.CHANGED_IMAGE))
        texts.append(tables.summary(metrics, total, content["intervals"]))
        picture = sheet(files, scores, opt.sheet_rows) if opt.sheet else None
    if opt.masks is not None:
        metrics = rows.against_truth(opt.protocol)
        scores = {
            case.stem: masks.score(case, metrics, opt.protocol)
            for case in tqdm(cases, desc="masks", unit="image")
        }
        part = masks.content(metrics, scores, opt.masks, opt.bootstrap)
        content["masks"] = part
        total = total_of(scores.values())
        texts.append(tables.image_table(metrics, scores, tables.MASKED_IMAGE))
        texts.append(tables.summary(metrics, total, part["intervals"]))

    text = "\n\n".join([*texts, tables.LEGEND]) + "\n"
    with held_folder(opt.output, KIND, "output", beside=beside, part=KIND.name) as ledger, ledger:
        with atomic_write(out.with_suffix(".txt")) as file:
            file.write(printable(text).encode())
        write_json(out, content)
        if picture is not None and opt.sheet:
            write_image(opt.sheet, picture)
    logger.info("written: %s%s", out, f", {opt.sheet}" if opt.sheet else "")
    return content


def evaluate_and_print(opt: EvaluateOptions) -> None:
    """Score masks against the truth, and a network before and after finetuning."""
    evaluate(opt)
    print((Path(opt.output) / "scores.txt").read_text("utf-8"), end="")
