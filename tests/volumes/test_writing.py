from __future__ import annotations

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813
from phantoms import grid, rotation

from lkcfuse.errors import UsageError
from lkcfuse.images import read_image
from lkcfuse.volumes import Grid
from lkcfuse.volumes import writing as module
from lkcfuse.volumes.description import Description
from lkcfuse.volumes.planes import view_of
from lkcfuse.volumes.reading import read_volume
from lkcfuse.volumes.writing import check_volume_output, write_volume

SHAPE = (4, 5, 6)
GRIDS = {
    "upright": grid(SHAPE, (1, 1.5, 3.25), centre=(4, -7, 30)),
    "oblique": grid(SHAPE, (1, 1, 1), direction=rotation(25, 0) @ rotation(-10, 1)),
    "left-handed": grid(SHAPE, (1, 2, 3), direction=np.diag([-1, 1, 1])),
    "sheared": grid(SHAPE, (1, 1, 2), direction=[[1, 0, 0], [0, 1, 0.3], [0, 0, 1]]),
}


def make(kind):
    random = np.random.default_rng(0)
    if kind == "rgb":
        return random.integers(0, 256, (*SHAPE, 3)).astype(np.uint8)
    if kind == "float32":
        return random.random(SHAPE, np.float32)
    return random.integers(0, np.iinfo(kind).max, SHAPE).astype(kind)


@pytest.mark.parametrize("kind", ["uint8", "uint16", "float32", "rgb"])
@pytest.mark.parametrize("suffix", [".nii", ".nii.gz", ".nrrd", ".mha"])
@pytest.mark.parametrize("lie", GRIDS)
def test_nibabel_and_simpleitk_agree(tmp_path, kind, suffix, lie):
    values, affine = make(kind), GRIDS[lie]
    path = tmp_path / f"fused{suffix}"
    write_volume(values, Grid(SHAPE, affine), path, description=Description(short="by nobody"))
    assert [each.name for each in tmp_path.iterdir()] == [path.name]
    again = read_volume(path)
    np.testing.assert_array_equal(again.values, values)
    np.testing.assert_allclose(again.grid.affine, affine, atol=1e-5)
    if suffix.startswith(".nii"):
        image = nibabel.load(path)
        np.testing.assert_allclose(np.diag([-1, -1, 1, 1]) @ image.affine, affine, atol=1e-5)
        assert image.header["descrip"].item() == b"by nobody"
        if kind != "rgb":
            np.testing.assert_array_equal(np.asarray(image.dataobj).T, values)
        if lie == "sheared":
            return  # ITK refuses such NIfTI
    image = sitk.ReadImage(path)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(image), values)
    for index in ((0, 0, 0), (5, 4, 3), (1, 0, 2)):
        place = image.TransformIndexToPhysicalPoint(index)
        np.testing.assert_allclose(place, (affine @ [*index, 1])[:3], atol=1e-5)


def test_the_same_bytes_each_time(tmp_path):
    for name in ("a.nii.gz", "b.nii.gz"):
        write_volume(make("uint16"), Grid(SHAPE, np.eye(4)), tmp_path / name)
    assert (tmp_path / "a.nii.gz").read_bytes() == (tmp_path / "b.nii.gz").read_bytes()


@pytest.mark.parametrize(("plane", "count", "size"), [("axial", 4, (5, 6)), ("coronal", 5, (4, 6))])
def test_slices(tmp_path, plane, count, size):
    values = make("uint16")
    write_volume(values, Grid(SHAPE, np.eye(4)), tmp_path / "s", format="png", plane=plane)
    paths = sorted((tmp_path / "s").iterdir())
    assert [path.name for path in paths] == [f"{plane}-{n:03}.png" for n in range(1, count + 1)]
    pictures = [read_image(path) for path in paths]
    assert {picture.size for picture in pictures} == {size}
    wanted = values[1] if plane == "axial" else values[::-1, 1]
    np.testing.assert_array_equal(pictures[1].luma_samples, wanted)


def test_nothing_is_overwritten(tmp_path):
    path = tmp_path / "a.nii"
    path.write_bytes(b"mine")
    with pytest.raises(UsageError, match=r"a\.nii exists"):
        write_volume(make("uint8"), Grid(SHAPE, np.eye(4)), path)
    assert path.read_bytes() == b"mine"
    write_volume(make("uint8"), Grid(SHAPE, np.eye(4)), path, overwrite=True)
    assert read_volume(path).values.shape == SHAPE
    with pytest.raises(UsageError, match="exists and is not an empty folder"):
        check_volume_output(tmp_path, format="png", overwrite=True)


def test_a_folder_appears_whole_or_not_at_all(tmp_path, monkeypatch):
    seen = []

    def fail(image, path):
        seen.append(path)
        if len(seen) == 3:
            raise KeyboardInterrupt
        path.write_bytes(b"")

    monkeypatch.setattr(module, "write_image", fail)
    with pytest.raises(KeyboardInterrupt):
        write_volume(make("uint8"), Grid(SHAPE, np.eye(4)), tmp_path / "s", format="png")
    assert len(seen) == 3
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "asked", "words"),
    [
        ("fused.png", "nrrd", "is not written as 'nrrd'"),
        ("fused", None, "does not say what to write"),
        ("fused.nii", "png", "is named as one file"),
        ("fused.nii", "nrrd", "is not written as 'nrrd'"),
        ("fused.hdr", None, "does not say what to write"),
        ("fused", "gif", "is not written as 'gif'"),
    ],
)
def test_names_that_say_no_format(tmp_path, name, asked, words):
    with pytest.raises(UsageError, match=words):
        check_volume_output(tmp_path / name, format=asked)


def test_scans_of_one_slice_become_a_picture(tmp_path):
    values = np.arange(30, dtype=np.uint8).reshape(1, 5, 6) * 8
    grid = Grid((1, 5, 6), np.eye(4))
    write_volume(values, grid, tmp_path / "new" / "slice.png")
    expected = view_of(grid, "axial").cut(values)[0]
    np.testing.assert_array_equal(read_image(tmp_path / "new" / "slice.png").luma_samples, expected)
    with pytest.raises(UsageError, match="is one picture, and the scans have 5 slices"):
        write_volume(values, grid, tmp_path / "other.png", plane="coronal")
    assert not (tmp_path / "other.png").exists()
