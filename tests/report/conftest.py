"""Reports of small pairs, and what stands in a page."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from html.parser import HTMLParser

import numpy as np
import pytest

from lkcfuse.images import image_from_array, write_image
from lkcfuse.metrics import evaluate
from lkcfuse.report import Pair, Report, Section
from lkcfuse.report.content import FIRST, SECOND, picture_of
from lkcfuse.tasks import get_task

METRICS = ("EN", "SCD", "MSE", "VIF")
METHODS = ("fused", "maximum", "mean")


class Page(HTMLParser):
    """A page's elements, taken apart.

    Attributes:
        scripts: Content of each script element, with its attributes.
        style: Content of the style element.
        addresses: Every address that an element names.
        policy: What the page may do.
    """

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.scripts, self.style, self.addresses, self.policy = [], "", [], ""
        self.title = ""
        self.open = []
        self.feed(text)
        self.close()
        assert self.open == []

    VOID = frozenset({"meta", "input", "link", "img", "br"})

    def handle_starttag(self, tag, attrs):
        named = dict(attrs)
        self.addresses += [named[name] for name in ("href", "src", "action") if name in named]
        if named.get("http-equiv") == "Content-Security-Policy":
            self.policy = named["content"]
        if tag not in self.VOID:
            self.open.append(tag)
        if tag == "script":
            self.scripts.append([named, ""])

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] == "script":
            self.scripts[-1][1] += data
        elif self.open and self.open[-1] == "style":
            self.style += data
        elif self.open and self.open[-1] == "title":
            self.title += data

    @property
    def record(self):
        (data,) = (text for named, text in self.scripts if named.get("id") == "data")
        return json.loads(data)

    @property
    def pictures(self):
        return [text for named, text in self.scripts if named.get("id", "").startswith("picture-")]

    @property
    def program(self):
        (code,) = (text for named, text in self.scripts if not named)
        return code


@dataclass
class Scene:
    """Pairs on the disk, as a report has them."""

    folder: object
    pairs: list = field(default_factory=list)

    def add(self, name, *, size=(48, 64), seed=0, **options):
        stem = f"{len(self.pairs)}"
        rng = np.random.default_rng(seed or len(self.pairs) + 1)
        rows, columns = np.mgrid[: size[0], : size[1]]
        first = (128 + 100 * np.sin(columns / 7 + rng.random() * 6)).astype(np.uint8)
        second = np.stack([(rows * 3 + 40 * c) % 256 for c in range(3)], -1).astype(np.uint8)
        grey = second.mean(-1).round().astype(np.uint8)
        images = {"a": first, "b": second, "f": np.maximum(first, grey)}
        paths = {}
        for key, pixels in images.items():
            paths[key] = self.folder / f"{stem}-{key}.png"
            write_image(image_from_array(pixels), paths[key])
        methods = (images["f"], np.maximum(first, grey), (first / 2 + grey / 2).round())
        scores = {
            method: evaluate(plane.astype(float), first.astype(float), grey.astype(float), METRICS)
            for method, plane in zip(METHODS, methods, strict=True)
        }
        files = {FIRST: paths["a"], SECOND: paths["b"], picture_of("fused"): paths["f"]}
        pair = Pair(
            name, files, **{"scores": scores, "size": size[::-1], "seconds": 0.5, **options}
        )
        self.pairs.append(pair)
        return pair

    def report(self, title="Infrared and visible: fused", **options):
        settings = (Section("Settings", (("task", "ir-vis"), ("weights", "some weights"))),)
        return Report(
            title, get_task("ir-vis"), METRICS, ("fused",), tuple(self.pairs), settings, **options
        )


@pytest.fixture
def scene(tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    return Scene(folder)


@pytest.fixture
def page_of():
    """Take a report's page apart."""
    from lkcfuse.report.page import render

    return lambda report: Page("".join(render(report)))
