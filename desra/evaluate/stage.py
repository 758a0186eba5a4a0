"""The scores of masks, and of a network before and after finetuning."""

import logging
from pathlib import Path
from typing import Any

from tqdm import tqdm

from desra.evaluate import change, masks, tables
from desra.evaluate.sheet import sheet
from desra.io.files import atomic_write, write_json
from desra.io.images import write_image
from desra.metrics.iqa import make_metrics
from desra.options.evaluate import EvaluateOptions
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


def evaluate_and_print(opt: EvaluateOptions) -> None:
    """Score masks against the truth, and a network before and after finetuning."""
    evaluate(opt)
    print((Path(opt.output) / "scores.txt").read_text("utf-8"), end="")
