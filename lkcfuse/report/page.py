"""A report as HTML: the page of `assets/`, with the data and the pictures in it.

The page is one file that asks nothing of any network: its own policy forbids that, and allows no
script and no style but those that are part of it, by their hashes. All that comes from outside
(names, paths, messages) is data, which the script puts into the page as text.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib.resources import files
from string import Template
from typing import Any

from lkcfuse.report.content import Report
from lkcfuse.report.pictures import Pictured, choose_pictured, make_pictures
from lkcfuse.report.record import rankings, to_record

STYLES = (
    "theme.css",
    "layout.css",
    "controls.css",
    "sections.css",
    "cards.css",
    "tables.css",
    "charts.css",
    "viewer.css",
    "print.css",
)
SCRIPTS = (
    "dom.js",
    "data.js",
    "theme.js",
    "overview.js",
    "distributions.js",
    "gallery.js",
    "view.js",
    "viewer.js",
    "gestures.js",
    "table.js",
    "export.js",
    "main.js",
)
"""The parts of the page's one script, in their order; they share one scope."""

_MARK = "$pictures"


def render(report: Report, progress: Callable[[float, float], None] | None = None) -> Iterator[str]:
    """Yield the page, piece by piece: a pair's pictures at a time.

    Args:
        report: What it shows.
        progress: Called with (pairs done, pairs in all).
    """
    style = "\n".join(_asset(name) for name in STYLES)
    body = "\n".join(_asset(name) for name in SCRIPTS)
    script = f'"use strict";\n(() => {{\n{body}}})();\n'
    before, _, after = _asset("page.html").partition(_MARK)
    # A character that XML does not allow becomes a replacement character, which browsers show so.
    title = html.escape(report.title).encode("ascii", "xmlcharrefreplace").decode()
    yield Template(before).substitute(title=title, policy=_policy(style, script), style=style)
    pictured = choose_pictured(report.pairs, rankings(report))
    chosen = [report.pairs[index] for index in pictured]
    shown: dict[int, Pictured] = {}
    number = 0
    for index, pair in zip(pictured, make_pictures(chosen, progress), strict=True):
        for picture in pair.pictures.values():
            yield f'<script type="text/plain" id="picture-{number}">{picture.base64}</script>\n'
            number += 1
        # Only sizes are wanted from here on.
        shown[index] = _without_bytes(pair)
    yield Template(after).substitute(data=embed(to_record(report, shown)), script=script)


def embed(record: Any) -> str:
    r"""Return JSON that can stand in a script element, whatever its strings hold.

    Example:
        >>> print(embed({"name": "</script><!--"}))
        {"name":"\u003c/script>\u003c!--"}
    """
    return json.dumps(record, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")


def _without_bytes(pair: Pictured) -> Pictured:
    pictures = {name: replace(picture, base64="") for name, picture in pair.pictures.items()}
    return Pictured(pictures, pair.missing)


def _policy(style: str, script: str) -> str:
    return "; ".join(
        (
            "default-src 'none'",
            f"script-src 'sha256-{_hash(script)}'",
            f"style-src 'sha256-{_hash(style)}'",
            "img-src data:",
            "base-uri 'none'",
            "form-action 'none'",
        )
    )


def _hash(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")


def _asset(name: str) -> str:
    return (files("lkcfuse.report") / "assets" / name).read_text(encoding="utf-8")
