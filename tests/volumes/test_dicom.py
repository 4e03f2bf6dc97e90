from __future__ import annotations

import numpy as np
import pydicom
import pytest
from phantoms import grid, rotation, save_series, slice_dataset
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from lkcfuse.errors import InputError
from lkcfuse.volumes import is_volume
from lkcfuse.volumes.dicom.series import find_series
from lkcfuse.volumes.reading import read_volume

SHAPE = (6, 8, 7)
AFFINE = grid(SHAPE, (1.5, 1.25, 3), centre=(5, 6, 7))


@pytest.fixture
def values():
    return np.random.default_rng(0).integers(-900, 900, SHAPE)


@pytest.mark.parametrize("turn", [np.eye(3), rotation(30, 0) @ rotation(20, 1)])
def test_a_series_in_any_order(tmp_path, values, turn):
    affine = grid(SHAPE, (1.5, 1.25, 3), centre=(5, 6, 7), direction=turn)
    folder = save_series(
        tmp_path / "s", values, affine, modality="CT", WindowCenter=40, WindowWidth=81
    )
    (folder / "README").write_text("not DICOM")
    assert is_volume(folder)
    volume = read_volume(folder)
    np.testing.assert_array_equal(volume.values, values)
    np.testing.assert_allclose(volume.grid.affine, affine, atol=1e-5)
    assert (volume.modality, volume.units, volume.window) == ("CT", "HU", (-0.5, 79.5))
    assert volume.patient.identity == "PHANTOM"
    assert volume.depth == np.uint16


def test_slices_against_their_normal_are_the_same_volume(tmp_path, values):
    """Some scanners number from the head down; a stack is what its positions say."""
    backwards = AFFINE.copy()
    backwards[:3, 2] *= -1
    volume = read_volume(save_series(tmp_path / "s", values, backwards))
    np.testing.assert_array_equal(volume.values, values[::-1])
    assert volume.grid.affine[2, 2] > 0


def test_a_tilted_gantry_shears_the_grid(tmp_path, values):
    tilted = AFFINE.copy()
    tilted[1, 2] = 0.8
    folder = save_series(tmp_path / "s", values, AFFINE)
    for path in folder.iterdir():
        data = pydicom.dcmread(path)
        index = data.InstanceNumber - 1
        data.ImagePositionPatient = list((tilted @ [0, 0, index, 1])[:3])
        data.save_as(path)
    volume = read_volume(folder)
    assert volume.grid.is_sheared
    np.testing.assert_allclose(volume.grid.affine, tilted, atol=1e-6)


def test_slopes_that_differ_from_slice_to_slice(tmp_path):
    """As PET has them."""
    folder = tmp_path / "s"
    folder.mkdir()
    uids = [generate_uid() for _ in range(3)]
    for index, slope in enumerate((0.5, 2.0, 1.25)):
        data = slice_dataset(
            np.full((4, 4), 100.0 * slope), AFFINE, index, modality="PT", uids=uids,
            RescaleSlope=slope, RescaleIntercept=0, Units="BQML",
        )  # fmt: skip
        data.save_as(folder / f"{9 - index}", enforce_file_format=True)
    volume = read_volume(folder)
    np.testing.assert_allclose(volume.values[:, 0, 0], [50, 200, 125])
    assert volume.units == "BQML"


def test_padding_is_no_data(tmp_path, values):
    values[:, :2] = -2000
    folder = save_series(
        tmp_path / "s", values, AFFINE, modality="CT", PixelPaddingValue=-2000 + 1024
    )
    volume = read_volume(folder)
    np.testing.assert_array_equal(volume.valid, values != -2000)


def test_monochrome1_is_shown_inverted(tmp_path, values):
    folder = save_series(tmp_path / "s", values, AFFINE, PhotometricInterpretation="MONOCHROME1")
    assert read_volume(folder).inverted


def test_several_series_are_listed_and_chosen(tmp_path, values):
    folder = tmp_path / "study"
    save_series(folder / "b", values, AFFINE, SeriesDescription="T1 3D", SeriesNumber=3)
    save_series(folder / "a", values + 1, AFFINE, SeriesDescription="T2 axial", SeriesNumber=11)
    with pytest.raises(InputError) as error:
        read_volume(folder)
    assert "2 series, choose one by --series: 1: T1 3D (MR, 6 images); 2: T2 axial" in str(
        error.value
    )
    uid = find_series(folder)[1].uid
    for asked in ("2", "T2", uid):
        np.testing.assert_array_equal(read_volume(folder, series=asked).values, values + 1)
    for asked in ("3", "T", "FLAIR"):
        with pytest.raises(InputError, match=f"--series {asked} names"):
            read_volume(folder, series=asked)


def test_missing_slices(tmp_path, values):
    folder = save_series(tmp_path / "s", values, AFFINE)
    for path in folder.iterdir():
        if pydicom.dcmread(path).InstanceNumber in (3, 4):
            path.unlink()
    with pytest.raises(
        InputError, match=r"misses 2 slices between slice 2 and slice 3 of 4 \(9 mm instead of 3\)"
    ):
        read_volume(folder)


def test_uneven_slices(tmp_path, values):
    folder = save_series(tmp_path / "s", values, AFFINE)
    path = next(path for path in folder.iterdir() if pydicom.dcmread(path).InstanceNumber == 6)
    data = pydicom.dcmread(path)
    data.ImagePositionPatient[2] += 1
    data.save_as(path)
    with pytest.raises(InputError, match="is not evenly spaced: 4 mm between slice 5 and slice 6"):
        read_volume(folder)


@pytest.mark.parametrize(
    ("tag", "value", "words"),
    [
        ("PatientID", "SOMEBODY", "2 patients"),
        ("FrameOfReferenceUID", "1.2.3", "2 frames of reference"),
        ("Modality", "CT", "2 modalities"),
        ("ImageOrientationPatient", [0, 1, 0, 0, 0, -1], "several orientations"),
        ("PixelSpacing", [1, 1], "several orientations or pixel sizes"),
    ],
)
def test_mixed_series(tmp_path, values, tag, value, words):
    folder = save_series(tmp_path / "s", values, AFFINE)
    path = next(folder.iterdir())
    data = pydicom.dcmread(path)
    setattr(data, tag, value)
    data.save_as(path)
    with pytest.raises(InputError, match=words):
        read_volume(folder)


def test_mixed_sizes(tmp_path, values):
    uids = [generate_uid() for _ in range(3)]
    folder = save_series(tmp_path / "s", values, AFFINE, uids=uids)
    other = slice_dataset(np.zeros((9, 9)), AFFINE, 8, uids=uids)
    other.save_as(folder / "other", enforce_file_format=True)
    with pytest.raises(InputError, match=r"mixes images of 2 sizes \(7x8, 9x9\)"):
        read_volume(folder)


def test_localisers(tmp_path, values):
    folder = save_series(tmp_path / "s", values, AFFINE)
    uid = find_series(folder)[0].uid
    scout = pydicom.dcmread(next(folder.iterdir()))
    scout.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
    scout.ImageOrientationPatient = [0, 1, 0, 0, 0, -1]
    scout.SOPInstanceUID = generate_uid()
    scout.save_as(folder / "scout")
    assert uid == scout.SeriesInstanceUID
    volume = read_volume(folder)
    assert volume.values.shape == SHAPE
    assert "1 localisers are left out" in volume.notes[0]
    with pytest.raises(InputError, match="is a localiser"):
        read_volume(folder / "scout")


def test_several_times(tmp_path, values):
    uids = [generate_uid() for _ in range(3)]
    folder = save_series(tmp_path / "s" / "1", values, AFFINE, uids=uids, AcquisitionNumber=1)
    save_series(tmp_path / "s" / "2", values + 5, AFFINE, uids=uids, AcquisitionNumber=2)
    with pytest.raises(InputError, match=r"2 slices at each place .* --volume N"):
        read_volume(folder.parent)
    np.testing.assert_array_equal(read_volume(folder.parent, number=2).values, values + 5)
    with pytest.raises(InputError, match="--volume 3 is none of them"):
        read_volume(folder.parent, number=3)


def test_an_enhanced_multi_frame_file(tmp_path, values):
    """Geometry and rescaling stand in functional groups, frames in any order."""
    data = slice_dataset(values[0], AFFINE, 0)
    for tag in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"):
        delattr(data, tag)
    order = [3, 0, 5, 1, 2, 4]
    data.SOPClassUID = data.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.4.1"
    data.NumberOfFrames = len(order)
    shared, measures, plane, scaling = Dataset(), Dataset(), Dataset(), Dataset()
    measures.PixelSpacing, measures.SliceThickness = [1.25, 1.5], 3
    plane.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    scaling.RescaleSlope, scaling.RescaleIntercept, scaling.RescaleType = 2, -7, "US"
    shared.PixelMeasuresSequence = [measures]
    shared.PlaneOrientationSequence = [plane]
    shared.PixelValueTransformationSequence = [scaling]
    data.SharedFunctionalGroupsSequence = [shared]
    data.PerFrameFunctionalGroupsSequence = []
    for index in order:
        group, place = Dataset(), Dataset()
        place.ImagePositionPatient = list((AFFINE @ [0, 0, index, 1])[:3])
        group.PlanePositionSequence = [place]
        data.PerFrameFunctionalGroupsSequence.append(group)
    data.PixelData = values[order].astype("<i2").tobytes()
    data.save_as(tmp_path / "enhanced.dcm", enforce_file_format=True)
    volume = read_volume(tmp_path / "enhanced.dcm")
    np.testing.assert_allclose(volume.values, values * 2 - 7)
    np.testing.assert_allclose(volume.grid.affine, AFFINE, atol=1e-9)


@pytest.mark.parametrize(
    "name",
    ["MR_small_RLE", "MR_small_jp2klossless", "MR_small_jpeg_ls_lossless", "MR_small_bigendian",
     "MR_small_implicit"],
)  # fmt: skip
def test_transfer_syntaxes(name):
    plain = read_volume(get_testdata_file("MR_small.dcm"))
    assert plain.values.shape == (1, 64, 64)
    volume = read_volume(get_testdata_file(f"{name}.dcm"))
    np.testing.assert_array_equal(volume.values, plain.values)
    np.testing.assert_allclose(volume.grid.affine, plain.grid.affine)


@pytest.mark.parametrize("name", ["SC_rgb_jpeg_gdcm", "SC_rgb_small_odd", "examples_palette"])
def test_colours(name):
    path = get_testdata_file(f"{name}.dcm")
    volume = read_volume(path)
    assert volume.is_coloured
    assert volume.values.dtype == np.uint8
    assert not volume.grid.positioned


@pytest.mark.parametrize("name", ["MR_truncated.dcm", "rtplan.dcm", "test-SR.dcm"])
def test_what_cannot_be_read(name):
    with pytest.raises(InputError, match=r"damaged or cut off|without an image"):
        read_volume(get_testdata_file(name))


def test_without_a_codec(tmp_path, monkeypatch):
    path = get_testdata_file("MR_small_jp2klossless.dcm")
    decoder = pydicom.pixels.decoders.JPEG2000LosslessDecoder
    for plugin in decoder.available_plugins:
        monkeypatch.delitem(decoder._available, plugin)
    with pytest.raises(InputError, match=r"compressed as JPEG 2000 .* no codec .* pip install"):
        read_volume(path)


def test_a_spacing_of_zero(tmp_path, values):
    folder = save_series(tmp_path / "s", values, AFFINE, PixelSpacing=[0, 1])
    with pytest.raises(InputError, match="has pixels of 1x0 mm"):
        read_volume(folder)


def test_a_folder_without_images(tmp_path):
    with pytest.raises(InputError, match="holds no images in DICOM"):
        read_volume(tmp_path)
