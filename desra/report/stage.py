"""The page, from results to ``index.html``."""

import logging
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tqdm import tqdm

from desra.io import manifest
from desra.io.files import atomic_write
from desra.io.ledger import Ledger, inputs_of, refuse_inputs_in
from desra.io.lock import held_folder
from desra.options.loading import find_options_file
from desra.options.report import ReportOptions
from desra.report.entries import entry, read_results, summary
from desra.report.folder import KIND
from desra.report.page import page
from desra.report.pictures import FOLDER, Pictures
from desra.report.tables import part, read_json, read_table, score_tables, values
from desra.utils.errors import InputError
from desra.utils.reading import read_text

logger = logging.getLogger("desra")

_WORKERS = 4  # each holds an image; codecs let go of the interpreter


def _options_of(opt: ReportOptions) -> list[str]:
    """Return the files of the options that the folders were made with, where detect left them."""
    folders = [opt.before] if opt.after is None else [opt.before, opt.after]
    files = [Path(folder) / manifest.OPTIONS for folder in folders]
    return [str(file) for file in files if file.is_file()]


def _settings(path: str) -> dict[str, str]:
    """Read a file to show.

    Raises:
        InputError: it cannot be read as text.
    """
    try:
        file = find_options_file(path)
        return {"name": path, "text": read_text(file)}
    except InputError as error:
        raise InputError(f"settings: {path} does not exist") from error
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"settings: {path} cannot be read as text ({error})") from error


def report(opt: ReportOptions) -> Path:
    """Make a page of results, to look at in a browser.

    Args:
        opt: the options.

    Returns:
        Path of index.html.

    Raises:
        InputError: no results of detect, or a file that cannot be read or does not belong to them.
    """
    ledger, output = Ledger(opt.output, KIND), Path(opt.output)
    path = output / "index.html"
    written = [path, output / FOLDER]
    refuse_inputs_in(written, inputs_of(opt, ("output", "title")), "output")
    scores: dict[str, Any] = read_json(opt.scores, "scores") if opt.scores else {}
    source = opt.scores or ""
    results = read_results(opt.before, opt.after, part(scores, "images", source))
    tables = [*score_tables(scores, source), *map(read_table, opt.tables)]
    settings = [_settings(path) for path in [*_options_of(opt), *opt.settings]]

    rows = results.worst_first
    embedded = len(rows) <= opt.max_embedded
    pictures = Pictures(output, embedded, opt.quality, opt.max_side)
    ledger.refuse_foreign([path, *pictures.in_the_way()])
    with held_folder(output, KIND, "output", part=KIND.name) as ledger, ledger:
        with ThreadPoolExecutor(min(_WORKERS, os.cpu_count() or 1)) as workers:
            work = workers.map(lambda i: entry(results, rows[i], i, pictures), range(len(rows)))
            try:
                entries = list(tqdm(work, desc="report", unit="image", total=len(rows)))
            except BaseException:  # Ctrl-C, or an image that cannot be read
                workers.shutdown(cancel_futures=True)
                raise
        data = {
            "title": opt.title,
            "before": opt.before,
            "after": opt.after,
            "quality": opt.quality,
            "summary": summary(
                entries, values(part(scores, "total", source)), part(scores, "intervals", source)
            ),
            "images": entries,
            "tables": tables,
            "settings": settings,
        }
        with atomic_write(path) as file:
            file.write(page(data).encode())
        pictures.remove_old(ledger)
    logger.info("written: %s (%.1f MB)", path, path.stat().st_size / 1e6)
    return path
