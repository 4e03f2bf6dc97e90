from __future__ import annotations

import shutil
import subprocess

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk  # noqa: N813
from phantoms import grid, rotation, save_nifti, save_series
from pydicom.uid import generate_uid

from lkcfuse.errors import UsageError
from lkcfuse.volumes import Grid
from lkcfuse.volumes.description import Description
from lkcfuse.volumes.reading import read_volume
from lkcfuse.volumes.writing import write_volume

SHAPE = (5, 8, 7)
GRIDS = {
    "upright": grid(SHAPE, (1.5, 1.25, 3), centre=(5, 6, 7)),
    "oblique": grid(SHAPE, (1.1, 0.9, 2.7), direction=rotation(30, 0) @ rotation(20, 1)),
}
TEXT = Description("MRI + CT fused", "", "fused by nobody; not for diagnosis")


def make(kind):
    random = np.random.default_rng(0)
    if kind == "rgb":
        return random.integers(0, 256, (*SHAPE, 3)).astype(np.uint8)
    return random.integers(0, np.iinfo(kind).max, SHAPE).astype(kind)


@pytest.fixture(params=GRIDS)
def sources(request, tmp_path):
    """An MRI and a CT series of one study."""
    affine, values = GRIDS[request.param], np.random.default_rng(0).integers(0, 900, SHAPE)
    study, frame = generate_uid(), generate_uid()
    return tuple(
        read_volume(
            save_series(
                tmp_path / name,
                values,
                affine,
                modality=name,
                uids=(study, generate_uid(), frame),
                BodyPartExamined="HEAD",
            )
        )
        for name in ("MR", "CT")
    )


def write(sources, path, kind="uint16", **options):
    values = make(kind)
    write_volume(
        values, sources[0].grid, path, sources=sources, description=TEXT, format="dicom", **options
    )
    return values, path if path.is_file() else path / "fused.dcm"


@pytest.mark.parametrize("kind", ["rgb", "uint8", "uint16"])
@pytest.mark.parametrize("anonymize", [False, True])
def test_a_validator_finds_no_error(sources, tmp_path, kind, anonymize):
    if shutil.which("dciodvfy") is None:
        pytest.skip("needs dciodvfy, of Debian's dicom3tools")
    _, path = write(sources, tmp_path / "out.dcm", kind, anonymize=anonymize)
    done = subprocess.run(["dciodvfy", path], capture_output=True, text=True, check=False)
    said = (done.stdout + done.stderr).splitlines()
    assert any(line.startswith("Multiframe") for line in said), said
    assert [line for line in said if line.startswith("Error")] == []


@pytest.mark.parametrize("kind", ["rgb", "uint8", "uint16"])
def test_it_lies_where_its_sources_lie(sources, tmp_path, kind):
    values, path = write(sources, tmp_path / "series", kind)
    data = pydicom.dcmread(path)
    # A viewer's logic: sort the frames by position along their normal, and stack them.
    shared = data.SharedFunctionalGroupsSequence[0]
    rows, columns = np.split(
        np.array(shared.PlaneOrientationSequence[0].ImageOrientationPatient, float), 2
    )
    normal = np.cross(rows, columns)
    places = [
        np.array(group.PlanePositionSequence[0].ImagePositionPatient, float)
        for group in data.PerFrameFunctionalGroupsSequence
    ]
    order = np.argsort([place @ normal for place in places])
    np.testing.assert_array_equal(data.pixel_array[order], values)
    measures = shared.PixelMeasuresSequence[0]
    affine = np.eye(4)
    affine[:3, 0] = rows * measures.PixelSpacing[1]
    affine[:3, 1] = columns * measures.PixelSpacing[0]
    affine[:3, 2] = normal * measures.SpacingBetweenSlices
    affine[:3, 3] = places[order[0]]
    np.testing.assert_allclose(affine, sources[0].grid.affine, atol=1e-5)
    assert data.FrameOfReferenceUID == sources[0].frame_of_reference
    # Others read it alike, and so do we.
    image = sitk.ReadImage(path)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(image), values)
    corner = image.TransformIndexToPhysicalPoint((6, 7, 4))
    np.testing.assert_allclose(corner, sources[0].grid.corners()[-1], atol=1e-4)
    again = read_volume(path)
    np.testing.assert_array_equal(again.values, values)
    np.testing.assert_allclose(again.grid.affine, sources[0].grid.affine, atol=1e-5)


def test_what_it_says_about_itself(sources, tmp_path):
    _, path = write(sources, tmp_path / "out.dcm")
    data, head = pydicom.dcmread(path), sources[0].headers[0]
    for keyword in ("PatientName", "PatientID", "PatientBirthDate", "StudyInstanceUID", "StudyID"):
        assert data[keyword].value == head[keyword].value
    assert data.ImageType == ["DERIVED", "SECONDARY"]
    assert data.DerivationDescription == TEXT.derivation
    assert data.SeriesDescription == TEXT.series
    assert data.SeriesInstanceUID not in {s.headers[0].SeriesInstanceUID for s in sources}
    assert data.SOPInstanceUID.startswith("2.25.")
    used = {str(header.SOPInstanceUID) for source in sources for header in source.headers}
    named = {str(item.ReferencedSOPInstanceUID) for item in data.SourceImageSequence}
    assert named == used
    series = {str(item.SeriesInstanceUID) for item in data.ReferencedSeriesSequence}
    assert series == {str(source.headers[0].SeriesInstanceUID) for source in sources}
    _, other = write(sources, tmp_path / "other.dcm")
    assert pydicom.dcmread(other).SOPInstanceUID != data.SOPInstanceUID


def test_anonymous(sources, tmp_path):
    for source in sources:
        for header in source.headers:
            header.AccessionNumber, header.StudyDescription = "SECRET7", "SECRET8"
            header.ReferringPhysicianName, header.PatientSex = "SECRET9", "F"
    _, path = write(sources, tmp_path / "out.dcm", anonymize=True)
    data = pydicom.dcmread(path)
    assert data.PatientIdentityRemoved == "YES"
    assert data.DeidentificationMethodCodeSequence[0].CodeValue == "113100"
    known = [
        b"SECRET", b"PHANTOM", b"Phantom", b"20000101", b"20200101",
        *(
            str(header[keyword].value).encode()
            for source in sources
            for header in source.headers
            for keyword in (
                "SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID", "FrameOfReferenceUID",
            )
        ),
    ]  # fmt: skip
    content = path.read_bytes()
    assert [word for word in known if word in content] == []
    assert data.PatientSex == ""


def test_sources_that_are_not_dicom(tmp_path):
    source = read_volume(save_nifti(tmp_path / "a.nii", np.ones(SHAPE), GRIDS["oblique"]))
    _, path = write((source, source), tmp_path / "out.dcm")
    np.testing.assert_allclose(read_volume(path).grid.affine, GRIDS["oblique"], atol=1e-5)
    assert "SourceImageSequence" not in pydicom.dcmread(path)


def test_floats_become_sixteen_bits(tmp_path):
    values = np.linspace(0, 1, np.prod(SHAPE), dtype=np.float32).reshape(SHAPE)
    write_volume(values, Grid(SHAPE, np.eye(4)), tmp_path / "a.dcm")
    stored = pydicom.dcmread(tmp_path / "a.dcm").pixel_array
    np.testing.assert_allclose(stored / 65535, values, atol=1e-5)


def test_a_folder_that_has_something_in_it_is_left_alone(sources, tmp_path):
    (tmp_path / "series").mkdir()
    (tmp_path / "series" / "mine").write_text("mine")
    with pytest.raises(UsageError, match="is not an empty folder"):
        write(sources, tmp_path / "series", overwrite=True)
    assert [path.name for path in (tmp_path / "series").iterdir()] == ["mine"]
