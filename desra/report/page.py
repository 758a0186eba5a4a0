"""``index.html`` from its template, style and script, with the data as a JSON island.

What comes from outside (names of images, titles, settings) goes into the island alone, and the
script puts it into the page as text. The content security policy forbids every request but that for
pictures of the report itself, and every script but ours.
"""

import base64
import hashlib
import html
import json
from collections.abc import Mapping
from importlib import resources
from string import Template
from typing import Any


def _asset(name: str) -> str:
    return (resources.files("desra") / "assets" / "report" / name).read_text("utf-8")


def island(data: Mapping[str, Any]) -> str:
    """Return JSON that cannot end the element which holds it: ASCII, ``<`` as ``\\u003c``."""
    return json.dumps(data, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")


def page(data: Mapping[str, Any]) -> str:
    """Return the whole page as HTML.

    Args:
        data: what the script reads, ``title`` among it.
    """
    script = _asset("report.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return Template(_asset("index.html")).substitute(
        title=html.escape(str(data["title"])),
        style=_asset("report.css"),
        script=script,
        script_hash=f"sha256-{digest}",
        data=island(data),
    )
