"""The README says what the code does: its notebook snippet runs, the files that it names exist."""

import re
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_notebook_snippet_goes_from_an_image_to_a_mask():
    section = README.split("## In a notebook")[1]
    snippet = re.findall(r"```python\n(.*?)```", section, flags=re.DOTALL)[0]
    assert len(snippet.strip().splitlines()) < 10
    names: dict = {}
    exec(snippet, names)
    height, width = (4 * n for n in names["lq"].shape[:2])
    assert names["mask"].shape == (height, width) and names["mask"].dtype == np.bool_
    assert names["target"].shape == (height, width, 3) and names["target"].dtype == np.uint8
    assert (names["target"][~names["mask"]] == names["sr"].gan[~names["mask"]]).all()


def test_files_named_in_commands_exist():
    files = set(re.findall(r"(?:options|scripts)/[\w/]+\.(?:yml|sh|py)", README))
    assert files
    assert not [file for file in files if not (ROOT / file).is_file()]
