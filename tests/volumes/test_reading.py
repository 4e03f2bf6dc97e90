from __future__ import annotations

import gzip
import struct

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813
from nibabel.testing import data_path
from phantoms import grid, rotation, save_nifti

from lkcfuse.errors import InputError
from lkcfuse.volumes import is_volume
from lkcfuse.volumes.reading import as_volume, read_volume

SHAPE = (4, 5, 6)


@pytest.fixture
def values():
    return np.random.default_rng(0).integers(-1000, 1000, SHAPE)


@pytest.fixture(params=["upright", "oblique", "left-handed"])
def affine(request):
    direction = {
        "upright": np.eye(3),
        "oblique": rotation(25, 0) @ rotation(-10, 1),
        "left-handed": np.diag([-1, 1, 1]),
    }[request.param]
    return grid(SHAPE, (1, 1.5, 3.25), centre=(4, -7, 30), direction=direction)


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz", ".nrrd", ".mha", ".mhd"])
def test_files_lie_where_others_say(tmp_path, values, affine, suffix):
    nifti = save_nifti(tmp_path / "scan.nii", values, affine)
    path = tmp_path / f"scan{suffix}"
    if suffix.startswith(".nii"):
        save_nifti(path, values, affine)
    else:
        sitk.WriteImage(sitk.ReadImage(nifti), path)
    assert is_volume(path)
    volume = read_volume(path)
    np.testing.assert_array_equal(volume.values, values)
    np.testing.assert_allclose(volume.grid.affine, affine, atol=1e-5)
    other = sitk.ReadImage(path)
    corner = other.TransformIndexToPhysicalPoint((5, 4, 3))
    np.testing.assert_allclose(volume.grid.corners()[-1], corner, atol=1e-5)
    assert volume.depth == np.uint16


def test_what_nibabel_ships():
    path = f"{data_path}/example4d.nii.gz"
    with pytest.raises(InputError, match=r"has 2 volumes: choose one by --volume N"):
        read_volume(path)
    with pytest.raises(InputError, match="--volume 3 is none of them"):
        read_volume(path, number=3)
    wanted = nibabel.load(path)
    volume = read_volume(path, number=2)
    np.testing.assert_array_equal(volume.values, np.asarray(wanted.dataobj)[..., 1].T)
    np.testing.assert_allclose(volume.grid.ras_affine, wanted.affine)


def test_scaled_values(tmp_path):
    image = nibabel.Nifti1Image(np.arange(24, dtype=np.int16).reshape(2, 3, 4), np.eye(4))
    image.header.set_slope_inter(0.5, -3)
    nibabel.save(image, tmp_path / "a.nii")
    stored = np.asarray(nibabel.load(tmp_path / "a.nii").dataobj)
    volume = read_volume(tmp_path / "a.nii")
    np.testing.assert_allclose(volume.values, stored.T)
    assert volume.values.dtype == np.float32


def test_colours(tmp_path):
    rgb = np.zeros((6, 5, 4), [("R", "u1"), ("G", "u1"), ("B", "u1")])
    rgb["R"], rgb["B"][2] = 200, 9
    nibabel.save(nibabel.Nifti1Image(rgb, np.eye(4)), tmp_path / "a.nii.gz")
    volume = read_volume(tmp_path / "a.nii.gz")
    assert volume.is_coloured
    assert volume.values.shape == (4, 5, 6, 3)
    np.testing.assert_array_equal(volume.values[1, 2, 2], [200, 0, 9])


def test_a_sheared_grid_stays_sheared(tmp_path, values):
    sheared = np.array([[1.0, 0, 0, 0], [0, 1, 0.3, 0], [0, 0, 2, 0], [0, 0, 0, 1]])
    save_nifti(tmp_path / "a.nii", values, sheared)
    image = nibabel.load(tmp_path / "a.nii")
    image.set_sform(np.diag([-1.0, -1, 1, 1]) @ sheared, 1)
    nibabel.save(image, tmp_path / "b.nii")
    volume = read_volume(tmp_path / "b.nii")
    assert volume.grid.is_sheared
    np.testing.assert_allclose(volume.grid.affine, sheared, atol=1e-6)


def test_no_position_is_told(tmp_path, values):
    image = nibabel.Nifti1Image(values.astype(np.int16).T, None)
    nibabel.save(image, tmp_path / "a.nii")
    assert "does not say where it lies" in read_volume(tmp_path / "a.nii").notes[0]


def test_no_data(tmp_path, values):
    raw = values.astype(np.float32)
    raw[0, 0, :3] = np.nan
    raw[1, 1, 1] = -9999
    save_nifti(tmp_path / "a.nii", raw, np.eye(4), dtype=np.float32)
    volume = read_volume(tmp_path / "a.nii", nodata=-9999)
    missing = np.zeros(SHAPE, bool)
    missing[0, 0, :3] = missing[1, 1, 1] = True
    np.testing.assert_array_equal(volume.valid, ~missing)
    assert (volume.values[missing] == 0).all()
    np.testing.assert_array_equal(volume.values[~missing], values[~missing])


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz", ".nrrd", ".mha"])
def test_cut_off(tmp_path, values, suffix):
    save_nifti(tmp_path / "whole.nii", values, np.eye(4))
    path = tmp_path / f"cut{suffix}"
    sitk.WriteImage(sitk.ReadImage(tmp_path / "whole.nii"), path)
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(InputError, match=r"cut\.\S+ is damaged or cut off"):
        read_volume(path)


def test_a_damaged_beginning(tmp_path, values):
    path = save_nifti(tmp_path / "a.nii", values, np.eye(4))
    data = bytearray(path.read_bytes())
    for size in ((0, 5), (-3, 4), (20_000, 30_000)):
        struct.pack_into("<2h", data, 42, *size)
        path.write_bytes(data)
        with pytest.raises(InputError, match=r"a\.nii (has no voxels|is damaged)"):
            read_volume(path)


@pytest.mark.parametrize("place", [80, 280])  # pixdim[1], and the first column of the sform
def test_no_spacing(tmp_path, values, place):
    path = save_nifti(tmp_path / "a.nii", values, np.eye(4))
    data = bytearray(path.read_bytes())
    struct.pack_into("<f", data, place, 0)
    packed = tmp_path / "a.nii.gz"
    for target, content in ((path, bytes(data)), (packed, gzip.compress(bytes(data)))):
        target.write_bytes(content)
        with pytest.raises(InputError, match="has a spacing of"):
            read_volume(target)


def test_what_is_no_scan(tmp_path):
    (tmp_path / "a.nii").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(400))
    assert not is_volume(tmp_path / "a.nii")
    assert not is_volume(tmp_path / "absent.nii.gz")
    assert not is_volume(tmp_path)
    with pytest.raises(InputError, match="not a scan of a kind that is read"):
        read_volume(tmp_path / "a.nii")
    with pytest.raises(InputError, match="does not exist"):
        read_volume(tmp_path / "absent.nii.gz")


def test_arrays_images_and_paths_are_one(tmp_path, values, affine):
    path = save_nifti(tmp_path / "a.nii", values, affine)
    loaded = nibabel.load(path)
    sources = [str(path), loaded, sitk.ReadImage(path), (loaded.get_fdata(), loaded.affine)]
    volumes = [as_volume(source, "it") for source in sources]
    for volume in volumes:
        np.testing.assert_array_equal(volume.values, values)
        assert volume.grid.is_same(volumes[0].grid)


@pytest.mark.parametrize(
    "source",
    [7, np.zeros(SHAPE), (np.zeros(SHAPE), np.eye(3)), (np.zeros((3, 4)), np.eye(4))],
    ids=["number", "array", "affine", "picture"],
)
def test_what_is_no_volume(source):
    with pytest.raises(InputError, match=r"^it (is not a volume|has values of shape)"):
        as_volume(source, "it")
