from __future__ import annotations

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813
from phantoms import grid, head, rotation, save_nifti

from lkcfuse import Fuser
from lkcfuse.errors import InputError, UsageError
from lkcfuse.images.colour import rgb_to_luma
from lkcfuse.volumes import VolumeOptions
from lkcfuse.volumes.colours import colour, colour_table
from lkcfuse.volumes.windows import apply_window

SHAPE = (6, 14, 12)
AFFINE = grid(SHAPE, (14, 14, 28))
RAS = np.diag([-1.0, -1, 1, 1]) @ AFFINE


@pytest.fixture
def fuser(maximum_weights):
    """Its answer is known: the maximum of both lumas."""

    def make(task):
        return Fuser(task, weights=maximum_weights, device="cpu", threads=1, notify=lines.append)

    lines: list[str] = []
    make.lines = lines
    return make


def array(modality, **options):
    return head(modality, SHAPE, AFFINE, **options).astype(np.float32).transpose(2, 1, 0)


def test_grey_volumes_are_fused_through_their_windows(fuser):
    mri, ct = array("MR"), array("CT")
    options = VolumeOptions(windows=("0..900", "brain"))
    fused = fuser("mri-ct").fuse_volume((mri, RAS), (ct, RAS), options=options)
    wanted = np.maximum(apply_window(mri, (0, 900)), apply_window(ct, (0, 80)))
    assert fused.array.dtype == np.float32
    np.testing.assert_allclose(fused.array, wanted, atol=1e-4)
    np.testing.assert_allclose(fused.affine, RAS)
    assert fused.fused + fused.passed == SHAPE[0]


@pytest.mark.parametrize("plane", ["axial", "coronal", "sagittal"])
@pytest.mark.parametrize("table", ["hot", "jet"])
def test_pet_gets_its_colours_and_their_luma(fuser, plane, table):
    mri, pet = array("MR"), array("PT")
    options = VolumeOptions(windows=("0..900", "0..1000"), colours=table, plane=plane)
    fused = fuser("mri-pet").fuse_volume((mri, RAS), (pet, RAS), options=options)
    assert fused.array.shape == (*mri.shape, 3)
    assert fused.array.dtype == np.uint8
    shown = colour(apply_window(pet, (0, 1000)), colour_table(table)) / np.float32(255)
    luma = rgb_to_luma(fused.array.astype(np.float32) / 255)
    wanted = np.maximum(apply_window(mri, (0, 900)), rgb_to_luma(shown))
    np.testing.assert_allclose(luma, wanted, atol=2 / 255)


def test_grey_pet(fuser):
    options = VolumeOptions(colours="off")
    fused = fuser("mri-pet").fuse_volume((array("MR"), RAS), (array("PT"), RAS), options=options)
    assert fused.array.ndim == 3


def test_where_one_scan_ends_the_other_is_taken(fuser):
    mri, ct = array("MR"), array("CT")
    half = ct[:, :, 3:]
    moved = RAS.copy()
    moved[:3, 3] += RAS[:3, 2] * 3
    options = VolumeOptions(windows=("0..900", "brain"))
    fused = fuser("mri-ct").fuse_volume((mri, RAS), (half, moved), options=options)
    wanted = apply_window(mri, (0, 900))[..., :3]
    np.testing.assert_allclose(fused.array[..., :3], wanted, atol=1e-4)
    assert fused.passed >= 3


def test_air_is_passed_through(fuser):
    shape = (10, 14, 12)
    affine = grid(shape, (14, 14, 24))
    ras = np.diag([-1.0, -1, 1, 1]) @ affine
    mri = head("MR", shape, affine, noise=6).transpose(2, 1, 0).astype(np.float32)
    pet = head("PT", shape, affine, noise=3).transpose(2, 1, 0).astype(np.float32)
    options = VolumeOptions(windows=("0..900", "0..1000"), colours="off")
    fused = fuser("mri-pet").fuse_volume((mri, ras), (pet, ras), options=options)
    head_slices = int((head("MR", shape, affine).max((1, 2)) > 0).sum())
    assert fused.passed == 10 - head_slices
    wanted = np.maximum(apply_window(mri, (0, 900)), apply_window(pet, (0, 1000)))
    np.testing.assert_allclose(fused.array[..., 0], wanted[..., 0], atol=1e-4)


def test_sources_of_every_kind_give_the_same(fuser, tmp_path):
    first = save_nifti(tmp_path / "mri.nii.gz", head("MR", SHAPE, AFFINE), AFFINE)
    other = grid((8, 12, 12), (14, 16, 20), direction=rotation(10, 2))
    second = save_nifti(tmp_path / "ct.nii.gz", head("CT", (8, 12, 12), other), other)
    one = fuser("mri-ct").fuse_volume(first, str(second))
    two = fuser("mri-ct").fuse_volume(sitk.ReadImage(first), nibabel.load(second))
    np.testing.assert_array_equal(one.values, two.values)
    assert one.values.dtype == np.uint16
    assert one.to_sitk().GetSize() == SHAPE[::-1]
    assert sum("is resampled onto the grid of" in line for line in fuser.lines) == 2


def test_strength(fuser):
    mri, ct = array("MR"), array("CT")
    options = VolumeOptions(windows=("0..900", "brain"), strength=0)
    fused = fuser("mri-ct").fuse_volume((mri, RAS), (ct, RAS), options=options)
    middle = slice(2, 4)
    wanted = apply_window(ct, (0, 80))
    np.testing.assert_allclose(fused.array[..., middle], wanted[..., middle], atol=1e-4)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (VolumeOptions(plane="oblique"), "no plane is called"),
        (VolumeOptions(grid="other"), "no grid is called"),
        (VolumeOptions(windows=("auto", "wide")), "is not a window"),
        (VolumeOptions(colours="heat"), "no colour table"),
    ],
)
def test_wrong_options(fuser, options, words):
    with pytest.raises(UsageError, match=words):
        fuser("mri-pet").fuse_volume((array("MR"), RAS), (array("PT"), RAS), options=options)


def test_windows_that_show_nothing(fuser):
    options = VolumeOptions(windows=("5000..6000", "5000..6000"))
    with pytest.raises(InputError, match="show nothing in one slice together"):
        fuser("mri-ct").fuse_volume((array("MR"), RAS), (array("CT"), RAS), options=options)
