from __future__ import annotations

import pytest

from lkcfuse.errors import WeightsError
from lkcfuse.models.source import HubSource, UrlSource, parse_hub_address


def test_hub_address_takes_main_unless_told():
    assert parse_hub_address("hf://a/b/c.pth") == HubSource("a/b", "c.pth", "main")
    assert parse_hub_address("hf://a/b/c/d.pth@feature/x").revision == "feature/x"


@pytest.mark.parametrize("text", ["hf://a/b", "hf://a/b/", "hf://a/b@main"])
def test_a_repository_alone_stands_for_its_model(text):
    assert parse_hub_address(text) == HubSource("a/b", "model.safetensors", "main")


@pytest.mark.parametrize(
    "text",
    [
        "hf://",
        "hf://a",
        "hf://a/b/c",
        "hf://a/b/../c.pth",
        "hf://a/../c.pth",
        "hf://../b/c.pth",
        "hf://a/b/c.pth@",
        "hf://a/b/c.pth@..",
        "hf://a/b/c.pth@x y",
        "hf://a/b//c.pth",
        "hf://a/b/c\n.pth",
    ],
)
def test_a_malformed_hub_address_is_refused(text):
    with pytest.raises(WeightsError, match="write hf://owner/repository/file@revision"):
        parse_hub_address(text)


def test_file_name_of_an_address_is_its_last_part_decoded():
    assert UrlSource("https://example.org/a/b%2Dc.pth?download=1#x").file_name == "b-c.pth"
