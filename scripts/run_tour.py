"""Run ``scripts/tour.ipynb`` from top to bottom, and keep what it shows in it.

python scripts/run_tour.py           run it and write it, pictures too
python scripts/run_tour.py --check   run it, write nothing; status 1 if a cell fails

Needs ``pip install "desra[notebook]"``.
"""

import argparse
import sys
import time
from pathlib import Path
from typing import Any

NOTEBOOK = Path(__file__).resolve().parent / "tour.ipynb"
TIMEOUT = 600  # seconds for a cell


def run(path: Path = NOTEBOOK) -> Any:
    """The notebook after a run in a fresh kernel of this very Python.

    Raises:
        nbclient.exceptions.CellExecutionError: a cell failed; the message holds cell and error.
    """
    import nbclient
    import nbformat

    notebook = nbformat.read(path, as_version=4)
    client = nbclient.NotebookClient(notebook, timeout=TIMEOUT, record_timing=False)
    client.execute(cwd=str(path.parent))
    return notebook


def main() -> int:
    parser = argparse.ArgumentParser(description="Run scripts/tour.ipynb from top to bottom.")
    parser.add_argument("--check", action="store_true", help="write nothing")
    check = parser.parse_args().check
    try:
        import nbformat
        from nbclient.exceptions import CellExecutionError
    except ImportError:
        print("error: run: pip install 'desra[notebook]'", file=sys.stderr)
        return 2
    start = time.perf_counter()
    try:
        notebook = run()
    except CellExecutionError as error:
        print(error, file=sys.stderr)
        return 1
    if not check:
        nbformat.write(notebook, NOTEBOOK)
    size = len(nbformat.writes(notebook)) / 1e6
    print(f"{NOTEBOOK}: {time.perf_counter() - start:.0f} s, {size:.2f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
