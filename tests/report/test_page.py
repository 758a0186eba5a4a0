"""The HTML of the report, read by Python's own parser."""

from __future__ import annotations

import base64
import hashlib
import json
from html.parser import HTMLParser

import pytest

from desra.report.page import island, page

VOID = {"meta", "link"}


class Reader(HTMLParser):
    """Elements that are closed in order, and the text of each script and style."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, str] = {}
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] in ("script", "style", "title"):
            tag, attributes = self.elements[-1]
            self.texts[attributes.get("id") or tag] = data


HOSTILE = ["</script><script>alert(1)</script>", "<!--<script>", "$script", "\udc80", "\u2028", "é"]


@pytest.mark.parametrize("text", HOSTILE)
def test_nothing_ends_the_island(text: str) -> None:
    data = {"title": text, "images": [{"name": text}]}
    whole = page(data)
    reader = Reader(whole)
    assert json.loads(reader.texts["data"]) == data
    assert "<" not in island(data)
    assert [tag for tag, _ in reader.elements].count("script") == 2


def test_only_our_script_may_run_and_nothing_is_fetched() -> None:
    reader = Reader(page({"title": "a & b"}))
    assert reader.texts["title"] == "a & b"
    digest = hashlib.sha256(reader.texts["script"].encode()).digest()
    (policy,) = [
        a["content"] or "" for _, a in reader.elements if "content-security" in str(a).lower()
    ]
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    assert rules["default-src"] == "'none'"
    assert rules["script-src"] == f"'sha256-{base64.b64encode(digest).decode()}'"
    links = [a[key] for _, a in reader.elements for key in ("src", "href") if key in a]
    assert links == ["data:,"]
    assert "http" not in reader.texts["style"] and "url(" not in reader.texts["style"]


def test_nan_is_refused() -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        island({"x": float("nan")})
