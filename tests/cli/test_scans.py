from __future__ import annotations

import json

import nibabel
import numpy as np
import pydicom
import pytest
from phantoms import grid, head, rotation, save_nifti, save_series
from pydicom.uid import generate_uid

from lkcfuse.images import image_from_array, read_image, write_image

SHAPE = (6, 14, 12)
AFFINE = grid(SHAPE, (14, 14, 28), centre=(3, 2, 1))
OTHER_SHAPE = (8, 12, 12)
OTHER = grid(OTHER_SHAPE, (14, 16, 20), direction=rotation(10, 2))


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def scans(tmp_path):
    """The paths of an MRI, a CT and a PET scan on another grid."""
    folder = tmp_path / "in"
    folder.mkdir()
    return (
        save_nifti(folder / "mri.nii.gz", head("MR", SHAPE, AFFINE), AFFINE),
        save_nifti(folder / "ct.nii.gz", head("CT", SHAPE, AFFINE), AFFINE),
        save_nifti(folder / "pet.nii", head("PT", OTHER_SHAPE, OTHER), OTHER),
    )


def test_volumes_in_and_a_volume_out(lkcfuse, scans, machine, tmp_path):
    mri, _, pet = scans
    output = tmp_path / "new" / "fused.nii.gz"
    done = lkcfuse("fuse", mri, pet, "--task", "mri-pet", "-o", output, "--json", *machine)
    assert done.code == 0, done.err
    assert names(output.parent) == ["fused.nii.gz"]
    source, fused = nibabel.load(mri), nibabel.load(output)
    np.testing.assert_allclose(fused.affine, source.affine, atol=1e-5)
    assert fused.shape == source.shape
    assert fused.get_data_dtype().names == ("R", "G", "B")
    record = json.loads(done.text)
    assert record["output"] == str(output)
    assert record["slices"] == record["fused_slices"] + record["passed_slices"] == 6
    assert record["spacing"] == [14, 14, 28]
    assert record["caution"] == "For research, not for diagnosis."
    assert record["window_second"][1] > record["window_second"][0]
    assert "is resampled onto the grid of" in done.err
    assert "(from the background to 99.5 % of the head)" in done.err


def test_series_in_and_slices_out(lkcfuse, machine, tmp_path):
    study, frame = generate_uid(), generate_uid()
    for modality, shape, affine in (("MR", SHAPE, AFFINE), ("CT", OTHER_SHAPE, OTHER)):
        save_series(
            tmp_path / modality, head(modality, shape, affine), affine,
            modality=modality, uids=(study, generate_uid(), frame),
        )  # fmt: skip
    output = tmp_path / "slices"
    done = lkcfuse(
        "fuse", tmp_path / "MR", tmp_path / "CT", "--task", "mri-ct", "-o", output,
        "--format", "png", "--window-second", "soft", "--plane", "coronal", *machine,
    )  # fmt: skip
    assert done.code == 0, done.err
    assert names(output) == [f"coronal-{number:03}.png" for number in range(1, 15)]
    assert read_image(output / "coronal-010.png").size == (6, 12)
    assert "from -160 to 240 (the soft window)" in done.err


def test_two_series_of_one_folder(lkcfuse, machine, tmp_path):
    study, frame = generate_uid(), generate_uid()
    for number, modality in enumerate(("MR", "CT"), 1):
        save_series(
            tmp_path / "export" / modality, head(modality, SHAPE, AFFINE), AFFINE,
            modality=modality, uids=(study, generate_uid(), frame), SeriesNumber=number,
        )  # fmt: skip
    words = ["fuse", tmp_path / "export", tmp_path / "export", "--task", "mri-ct"]
    output = tmp_path / "fused.mha"
    done = lkcfuse(*words, "-o", output, "--series", "1,CT", *machine)
    assert done.code == 0, done.err
    lkcfuse(*words, "-o", tmp_path / "b.mha", *machine).assert_fails(2, "is both sources")
    lkcfuse(*words, "-o", tmp_path / "b.mha", "--series", "9,1", *machine).assert_fails(
        3, "--series 9 names no one series", "1: MR of a phantom (MR, 6 images)"
    )


def test_frames_of_reference_and_patients(lkcfuse, machine, tmp_path):
    save_series(tmp_path / "MR", head("MR", SHAPE, AFFINE), AFFINE)
    save_series(tmp_path / "CT", head("CT", SHAPE, AFFINE), AFFINE, modality="CT")
    words = ["fuse", tmp_path / "MR", tmp_path / "CT", "--task", "mri-ct", *machine]
    output = tmp_path / "out.nii"
    lkcfuse(*words, "-o", output).assert_fails(3, "two frames of reference", "--align off")
    assert not output.exists()
    assert lkcfuse(*words, "-o", output, "--align", "off").code == 0
    lkcfuse(*words, "-o", tmp_path / "b.nii", "--align", "rigid").assert_fails(
        3, "are registered from 8 slices on"
    )
    for path in (tmp_path / "CT").iterdir():
        data = pydicom.dcmread(path)
        data.PatientID = "OTHER"
        data.save_as(path)
    words += ["--align", "off", "-o", tmp_path / "b.nii"]
    lkcfuse(*words).assert_fails(3, "of two patients", "--force-patient")
    assert lkcfuse(*words, "--force-patient").code == 0


def test_several_volumes(lkcfuse, scans, machine, tmp_path):
    mri = nibabel.load(scans[0])
    values = np.asarray(mri.dataobj)
    nibabel.save(
        nibabel.Nifti1Image(np.stack([values, values // 2], -1), mri.affine), tmp_path / "4d.nii"
    )
    words = ["fuse", tmp_path / "4d.nii", scans[1], "--task", "mri-ct", *machine]
    lkcfuse(*words, "-o", tmp_path / "a.nii").assert_fails(3, "4d.nii has 2 volumes", "--volume N")
    assert lkcfuse(*words, "-o", tmp_path / "a.nii", "--volume", "2,1").code == 0


def test_what_is_refused_before_any_work(lkcfuse, scans, tmp_path, machine):
    mri, ct, _ = scans
    output = tmp_path / "a.nii"
    words = ["fuse", mri, ct, "-o", output]
    lkcfuse(*words).assert_fails(2, "scans take --task")
    words += ["--task", "mri-ct"]
    for options, said in (
        (["--range-first", "0,1"], "--range-first is for pictures: for scans there is --window"),
        (["--resize", "first"], "--resize is for pictures: for scans there is --grid"),
        (["--window-first", "1"], "1 is not a window"),
        (["--volume", "0"], "--volume 0: give a number"),
        (["--align", "magic"], "--align magic is unknown for scans"),
        (["--plane", "up"], "no plane is called 'up'"),
        (["--grid", "best"], "no grid is called 'best'"),
    ):
        lkcfuse(*words, *options, *machine).assert_fails(2, said)
    lkcfuse("fuse", mri, "-o", output, "--task", "mri-ct").assert_fails(2, "got one")
    lkcfuse("fuse", mri, mri, "-o", output, "--task", "mri-ct").assert_fails(2, "both sources")
    lkcfuse("fuse", mri, ct, "-o", ct, "--task", "mri-ct").assert_fails(2, "would be overwritten")
    lkcfuse("fuse", mri, ct, "--task", "mri-ct").assert_fails(2, "the output is missing")
    words = ["fuse", mri, ct, "-o", tmp_path / "a.png", "--task", "mri-ct", "-q"]
    lkcfuse(*words, *machine).assert_fails(2, "is one picture, and the scans have 6 slices")
    assert names(tmp_path) == ["in"]


def test_a_scan_and_a_picture(lkcfuse, scans, tmp_path, machine):
    picture = tmp_path / "a.png"
    write_image(image_from_array(np.zeros((4, 4), np.uint8)), picture)
    words = ["fuse", scans[0], picture, "-o", tmp_path / "b.nii", "--task", "mri-ct"]
    lkcfuse(*words, *machine).assert_fails(3, "a.png is not a scan of a kind that is read")


def test_options_of_scans_are_not_for_pictures(lkcfuse, tmp_path):
    for name in ("a.png", "b.png"):
        write_image(image_from_array(np.zeros((4, 4), np.uint8)), tmp_path / name)
    words = ["fuse", tmp_path / "a.png", tmp_path / "b.png", "-o", tmp_path / "c.png"]
    lkcfuse(*words, "--cmap", "jet").assert_fails(2, "--cmap is for scans")
    lkcfuse(*words, "--align", "off").assert_fails(2, "--align off is for scans")


def test_damage_leaves_nothing_behind(lkcfuse, scans, machine, tmp_path):
    mri, ct, _ = scans
    ct.write_bytes(ct.read_bytes()[:-30])
    lkcfuse("fuse", mri, ct, "--task", "mri-ct", "-o", tmp_path / "new" / "a.nii").assert_fails(
        3, "ct.nii.gz is damaged or cut off"
    )
    assert names(tmp_path) == ["in"]


def test_without_the_extra(lkcfuse, scans, machine, tmp_path, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "nibabel", None)
    lkcfuse(
        "fuse", scans[0], scans[1], "--task", "mri-ct", "-o", tmp_path / "a.nii", *machine
    ).assert_fails(2, "scans take nibabel", "pip install 'lkcfuse[medical]'")


def test_series_in_and_a_series_out(lkcfuse, machine, tmp_path):
    study, frame = generate_uid(), generate_uid()
    for modality in ("MR", "PT"):
        save_series(
            tmp_path / modality, head(modality, SHAPE, AFFINE), AFFINE,
            modality=modality, uids=(study, generate_uid(), frame),
        )  # fmt: skip
    words = ["fuse", tmp_path / "MR", tmp_path / "PT", "--task", "mri-pet", *machine]
    done = lkcfuse(*words, "-o", tmp_path / "fused", "--json")
    assert done.code == 0, done.err
    assert json.loads(done.text)["format"] == "dicom"
    assert names(tmp_path / "fused") == ["fused.dcm"]
    data = pydicom.dcmread(tmp_path / "fused" / "fused.dcm")
    assert (data.StudyInstanceUID, data.FrameOfReferenceUID) == (study, frame)
    assert data.PhotometricInterpretation == "RGB"
    assert data.SeriesDescription == "MRI + PET fused, not for diagnosis"
    for word in ("mri-pet", "max.safetensors", "PET shown from 0 to ", "not for diagnosis"):
        assert word in data.DerivationDescription
    assert lkcfuse(*words, "-o", tmp_path / "a.dcm", "--anonymize").code == 0
    assert pydicom.dcmread(tmp_path / "a.dcm").PatientName == ""
    lkcfuse(*words, "-o", tmp_path / "a.nii", "--anonymize").assert_fails(2, "is for DICOM")
    lkcfuse(*words, "-o", tmp_path / "fused").assert_fails(2, "is not an empty folder")
