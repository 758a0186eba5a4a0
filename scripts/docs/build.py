#!/usr/bin/env python
"""Build the pages of the API: build/api/index.html. Needs ``pip install "desra[docs]"``.

    python scripts/docs/build.py [FOLDER]

Ends with status 1 if pdoc warns: a docstring or an annotation that it cannot read.
"""

import sys
import warnings
from pathlib import Path

import pdoc

import desra


def build(folder: Path) -> list[str]:
    """Write the pages of all modules; what pdoc warned of."""
    pdoc.render.configure(
        docformat="google", footer_text="desra", template_directory=Path(__file__).parent
    )
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        # The names that desra loads at first use have their pages where they are defined; with
        # __all__, pdoc takes them for modules, and lists no others.
        del desra.__all__
        pdoc.pdoc("desra", output_directory=folder)
    # What other libraries warn of while they are imported does not count.
    own = Path(pdoc.__file__).parent
    return [str(w.message) for w in caught if own in Path(w.filename).parents]


def main() -> int:
    root = Path(__file__).parents[2]
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else root / "build" / "api"
    for fault in (faults := build(folder)):
        print(f"warning: {fault}", file=sys.stderr)
    print(f"{folder / 'index.html'}: {len(list(folder.rglob('*.html')))} pages")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
