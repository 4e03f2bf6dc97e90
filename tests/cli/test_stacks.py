from __future__ import annotations

import json

import numpy as np
import pytest
import tifffile

from lkcfuse.images import ReadOptions, read_image


@pytest.fixture
def stacks(tmp_path, monkeypatch):
    """Two stacks of three pages, in the working folder."""
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(0)
    for name in ("a", "b"):
        pages = random.integers(0, 256, (3, 14, 18)).astype(np.uint8)
        tifffile.imwrite(tmp_path / f"{name}.tif", pages, photometric="minisblack")
    return tmp_path


def test_stacks_in_a_stack_out(lkcfuse, settings, stacks):
    done = lkcfuse(
        "fuse", "a.tif", "b.tif", "--page", "all", "-o", "o/out.tif", "--json", *settings
    )
    assert done.code == 0, done.err
    assert "only the first is read" not in done.err
    record = json.loads(done.text)
    assert (record["pages"], record["width"], record["height"]) == (3, 18, 14)
    fused, a, b = (tifffile.imread(name) for name in ("o/out.tif", "a.tif", "b.tif"))
    # The network of these tests is the pixelwise maximum.
    assert np.abs(fused.astype(int) - np.maximum(a, b)).max() <= 1
    for number in ("1", "2", "3"):
        lkcfuse("fuse", "a.tif", "b.tif", "--page", number, "-o", f"{number}.png", *settings)
        np.testing.assert_array_equal(
            read_image(f"{number}.png").luma_samples, fused[int(number) - 1]
        )


def test_one_image_goes_with_every_page(lkcfuse, settings, stacks):
    tifffile.imwrite("one.tif", tifffile.imread("b.tif")[1])
    done = lkcfuse("fuse", "a.tif", "one.tif", "--page", "all", "-o", "out.tif", *settings)
    assert done.code == 0, done.err
    expected = np.maximum(tifffile.imread("a.tif"), tifffile.imread("one.tif"))
    assert np.abs(tifffile.imread("out.tif").astype(int) - expected).max() <= 1


def test_raw_pages_keep_one_tone(lkcfuse, settings, stacks):
    ramp = np.arange(14 * 18, dtype=np.uint16).reshape(14, 18)
    raw = np.stack([30_000 + ramp, 30_200 + ramp, 30_400 + ramp])
    tifffile.imwrite("raw.tif", raw, photometric="minisblack")
    tifffile.imwrite("black.tif", np.eye(14, 18, dtype=np.uint8))
    done = lkcfuse("fuse", "raw.tif", "black.tif", "--page", "all", "-o", "out.tif", *settings)
    assert done.code == 0, done.err
    assert "one range for all pages: --range-first 30001,30650" in done.err
    fused = tifffile.imread("out.tif") / 65535
    np.testing.assert_allclose(fused, (raw - 30_001.0) / 649, atol=0.005)


def test_what_is_said_of_every_page_is_said_once(lkcfuse, settings, stacks):
    pages = tifffile.imread("a.tif").astype(np.float32) / 255
    pages[:, :3] = np.nan
    tifffile.imwrite("holed.tif", pages, photometric="minisblack")
    done = lkcfuse(
        "fuse", "holed.tif", "b.tif", "--page", "all", "-o", "o.tif", "--json", *settings
    )
    assert done.code == 0, done.err
    assert done.err.count("has no data") == 1
    assert [warning["code"] for warning in json.loads(done.text)["warnings"]] == ["no-data"]


def test_what_cannot_be_a_stack_is_one_line(lkcfuse, settings, stacks):
    every = ["--page", "all", *settings]
    done = lkcfuse("fuse", "a.tif", "b.tif", "-o", "out.png", *every)
    done.assert_fails(2, "png holds one page", ".tif")
    lkcfuse("fuse", "a.tif", "-", "-o", "o.tif", *every).assert_fails(2, "name files")
    tifffile.imwrite("two.tif", tifffile.imread("b.tif")[:2])
    done = lkcfuse("fuse", "a.tif", "two.tif", "-o", "out.tif", *every)
    done.assert_fails(3, "a.tif has 3 pages and two.tif has 2")
    with tifffile.TiffWriter("sizes.tif") as writer:
        for size in ((14, 18), (15, 18), (14, 18)):
            writer.write(np.eye(*size, dtype=np.uint8) * 200)
    done = lkcfuse("fuse", "sizes.tif", "sizes.tif", "-o", "out.tif", *every)
    assert done.code == 2
    (stacks / "other.tif").write_bytes((stacks / "sizes.tif").read_bytes())
    done = lkcfuse("fuse", "sizes.tif", "other.tif", "-o", "out.tif", "-q", *every)
    done.assert_fails(3, "page 2", "18x15")
    assert not (stacks / "out.tif").exists()
    for number in ("0", "-1", "x", "1.5"):
        done = lkcfuse("fuse", "a.tif", "b.tif", "-o", "o.tif", "--page", number, *settings)
        done.assert_fails(2, "--page", "all")
    lkcfuse("batch", "a", "b", "--page", "all", *settings).assert_fails(2, "fuse", "--page N")


def test_a_chosen_first_page_has_no_warning(lkcfuse, settings, stacks):
    done = lkcfuse("fuse", "a.tif", "b.tif", "-o", "1.png", "--page", "1", *settings)
    assert "only the first" not in done.err
    done = lkcfuse("fuse", "a.tif", "b.tif", "-o", "2.png", *settings)
    assert done.err.count("only the first is read") == 2
    assert read_image("a.tif", ReadOptions(page=1)).notes
