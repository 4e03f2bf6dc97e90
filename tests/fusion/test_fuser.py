from __future__ import annotations

import io
import subprocess
import sys

import numpy as np
import PIL.Image
import pytest
import torch
from flir_files import make_registered
from PIL import ImageCms

import lkcfuse
from lkcfuse.errors import InputError, ResourceError, UsageError, WeightsError
from lkcfuse.fusion.fuser import Fuser, fuse
from lkcfuse.images import (
    ReadOptions,
    image_from_array,
    image_to_array,
    read_image,
    write_image,
)
from lkcfuse.models.checkpoint import load_network
from lkcfuse.pairs import PairOptions


def noise(*shape, dtype=np.uint8, seed=0):
    high = np.iinfo(dtype).max + 1
    return np.random.default_rng(seed).integers(0, high, shape).astype(dtype)


def make_fuser(task="ir-vis", **settings):
    """One thread is quickest for images this small."""
    return Fuser(task, device="cpu", threads=1, **settings)


def luma_of(array):
    return image_from_array(array).luma


@pytest.fixture(scope="module")
def maximum(maximum_weights):
    return make_fuser(weights=maximum_weights)


@pytest.fixture
def notes():
    return []


@pytest.mark.parametrize("size", [(1, 1), (5, 7), (1, 9), (18, 33)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_grey_arrays_of_any_size_come_back_in_their_type(maximum, size, dtype):
    first, second = noise(*size, dtype=dtype), noise(*size, dtype=dtype, seed=1)
    fused = maximum.fuse(first, second)
    assert fused.dtype == dtype
    np.testing.assert_array_equal(fused, np.maximum(first, second))


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_float_arrays_come_back_in_their_type(maximum, dtype):
    first, second = np.random.default_rng(2).random((2, 6, 5)).astype(dtype)
    fused = maximum.fuse(first, second)
    assert fused.dtype == dtype
    np.testing.assert_allclose(fused, np.maximum(first, second), atol=1e-3 * (dtype == np.float16))


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        (np.uint16, np.uint8, np.uint16),
        (np.uint8, np.uint16, np.uint16),
        (np.uint8, np.float32, np.float32),
        (np.uint16, np.float16, np.float32),
        (np.float32, np.float64, np.float64),
    ],
)
def test_of_two_types_the_one_that_holds_both_comes_back(maximum, first, second, expected):
    def white(dtype):
        return np.full((4, 4), 1 if np.dtype(dtype).kind == "f" else np.iinfo(dtype).max, dtype)

    fused = maximum.fuse(white(first), white(second))
    assert fused.dtype == expected
    np.testing.assert_array_equal(fused, white(expected))


@pytest.mark.parametrize("task", ["ir-vis", "mri-pet", "mri-spect"])
def test_colour_is_the_seconds_and_luma_the_fused(maximum_weights, task):
    first, second = noise(12, 9), noise(12, 9, 3, seed=1)
    fused = make_fuser(task, weights=maximum_weights, notify=print).fuse(first, second)
    assert fused.shape == second.shape
    wanted = np.maximum(first, luma_of(second) * 255)
    assert np.abs(luma_of(fused) * 255 - wanted).max() <= 0.52
    untouched = first <= luma_of(second) * 255
    np.testing.assert_array_equal(fused[untouched], second[untouched])


def test_a_grey_second_gives_a_grey_result(maximum):
    assert maximum.fuse(noise(4, 5), noise(4, 5)).shape == (4, 5)


def test_the_shape_of_the_result_depends_on_no_pixel(maximum):
    grey = np.dstack([noise(4, 5)] * 3)
    np.testing.assert_array_equal(maximum.fuse(np.zeros((4, 5), np.uint8), grey), grey)


def test_a_coloured_first_is_reduced_to_luma(maximum):
    first, second = noise(6, 5, 3), np.zeros((6, 5, 3), np.uint8)
    second[..., 0] = 40
    fused = maximum.fuse(first, second)
    wanted = np.maximum(luma_of(first), luma_of(second)) * 255
    assert np.abs(luma_of(fused) * 255 - wanted).max() <= 0.52


def test_ct_is_grey(maximum_weights):
    first, second = noise(6, 5), noise(6, 5, 3, seed=1)
    fused = make_fuser("mri-ct", weights=maximum_weights).fuse(first, second)
    np.testing.assert_array_equal(fused, np.rint(np.maximum(first, luma_of(second) * 255)))


def test_black_hot_is_inverted(maximum):
    first, second = noise(6, 5), noise(6, 5, seed=1)
    fused = maximum.fuse(first, second, invert_first=True)
    np.testing.assert_array_equal(fused, np.maximum(255 - first, second))


@pytest.mark.parametrize("order", [("second", "first"), ("first", "second")])
def test_the_network_gets_its_range_and_order_and_the_result_is_scaled_back(make_weights, order):
    path = make_weights("none", input_range=(-1, 1), output_range=(-3, 5), channel_order=order)
    first, second = np.random.default_rng(3).random((2, 13, 10), dtype=np.float32)
    fused = make_fuser(weights=path).fuse(first, second)
    channels = [{"first": first, "second": second}[name] for name in order]
    with torch.inference_mode():
        output = load_network(path)(torch.from_numpy(np.stack(channels))[None] * 2 - 1)[0, 0]
    wanted = ((output.numpy() + 3) / 8).clip(0, 1)
    assert wanted.std() > 0.02  # it is no flat image that would agree by chance
    np.testing.assert_allclose(fused, wanted, atol=2e-4)


def test_two_sizes_are_named(maximum):
    with pytest.raises(InputError, match=r"infrared array has 5x4 .* visible array has 6x4"):
        maximum.fuse(noise(4, 5), noise(4, 6))


def test_unfit_arrays_are_named(maximum):
    with pytest.raises(InputError, match="the visible array has float values"):
        maximum.fuse(noise(4, 5), noise(4, 5) / 2)


def test_swapped_sources_are_suspected(maximum_weights, notes, caplog):
    colour, grey = noise(6, 5, 3), noise(6, 5)
    make_fuser(weights=maximum_weights, notify=notes.append).fuse(colour, grey)
    assert len(notes) == 1
    assert "swapped" in notes[0]
    make_fuser(weights=maximum_weights).fuse(colour, grey)
    assert "swapped" in caplog.text
    make_fuser("mri-ct", weights=maximum_weights, notify=notes.append).fuse(colour, grey)
    make_fuser(weights=maximum_weights, notify=notes.append).fuse(grey, colour)
    make_fuser(weights=maximum_weights, notify=notes.append).fuse(colour, colour)
    assert len(notes) == 1


def test_weights_that_overflow_are_refused(make_weights):
    def explode(network):
        network.head.conv.weight.fill_(3e38)

    path = make_weights("none", change=explode)
    with pytest.raises(WeightsError, match=r"none\.safetensors.*NaN or infinite"):
        make_fuser(weights=path).fuse(noise(4, 5), noise(4, 5))


def test_what_was_chosen_is_known(maximum_weights):
    fuser = Fuser(weights=maximum_weights, device="cpu", threads=1).load()
    assert fuser.weights.path == maximum_weights
    assert fuser.device == torch.device("cpu")
    assert fuser.threads == 1
    assert fuser.describe() == "max.safetensors on cpu (1 thread)"


def test_wrong_settings(maximum_weights, tmp_path):
    with pytest.raises(UsageError, match="no task"):
        Fuser("ir-ir")
    with pytest.raises(UsageError, match="no device"):
        Fuser(weights=maximum_weights, device="gpu").load()
    with pytest.raises(UsageError, match="threads"):
        Fuser(weights=maximum_weights, threads=0).load()
    with pytest.raises(WeightsError, match=r"nope\.safetensors"):
        Fuser(weights=tmp_path / "nope.safetensors").load()
    if not torch.cuda.is_available():
        with pytest.raises(ResourceError, match="cuda is absent"):
            Fuser(weights=maximum_weights, device="cuda").load()


def save(array, path):
    write_image(image_from_array(array), path)
    return path


def test_files(maximum, tmp_path):
    first, second = noise(12, 9), noise(12, 9, 3, seed=1)
    fused = maximum.fuse_files(
        save(first, tmp_path / "ir.png"), save(second, tmp_path / "vis.png"), tmp_path / "out.png"
    )
    written = image_to_array(read_image(tmp_path / "out.png"))
    np.testing.assert_array_equal(written, maximum.fuse(first, second))
    np.testing.assert_array_equal(written, image_to_array(fused))


def test_files_as_deep_as_the_deeper_source(maximum, tmp_path):
    first, second = noise(12, 9, dtype=np.uint16), noise(12, 9, 3, seed=1)
    paths = save(first, tmp_path / "ir.png"), save(second, tmp_path / "vis.png")
    for suffix, dtype in ((".png", np.uint16), (".tif", np.uint16), (".bmp", np.uint8)):
        output = tmp_path / f"out{suffix}"
        maximum.fuse_files(*paths, output)
        image = read_image(output)
        assert image.dtype == dtype
        assert image.chroma is not None


def test_open_files(maximum, tmp_path):
    array = noise(5, 4)
    buffer = io.BytesIO()
    with save(array, tmp_path / "x.png").open("rb") as file:
        maximum.fuse_files(file, tmp_path / "x.png", buffer, format="tiff")
    buffer.seek(0)
    np.testing.assert_array_equal(image_to_array(read_image(buffer)), array)


def test_a_colour_profile_stays_with_its_colour(maximum_weights, tmp_path):
    from dataclasses import replace

    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    image = replace(image_from_array(noise(5, 4, 3)), icc_profile=profile)
    write_image(image, tmp_path / "x.png")
    write_image(image, tmp_path / "first.png")
    for task, expected in (("mri-pet", profile), ("mri-ct", None)):
        fuser = make_fuser(task, weights=maximum_weights)
        fused = fuser.fuse_files(
            tmp_path / "first.png", tmp_path / "x.png", tmp_path / "y.png", overwrite=True
        )
        assert fused.icc_profile == expected


def test_files_are_checked_before_the_network_is_loaded(tmp_path):
    (tmp_path / "broken.safetensors").write_bytes(b"no checkpoint")
    fuser = Fuser(weights=tmp_path / "broken.safetensors")
    here, out = save(noise(4, 5), tmp_path / "here.png"), tmp_path / "out.png"
    other = save(noise(4, 6), tmp_path / "other.png")
    with pytest.raises(UsageError, match=r"other\.png exists"):
        fuser.fuse_files(tmp_path / "nope.png", here, other)
    with pytest.raises(UsageError, match="the same file"):
        fuser.fuse_files(here, tmp_path / "." / "here.png", out)
    with pytest.raises(UsageError, match="would be overwritten"):
        fuser.fuse_files(here, other, here, overwrite=True)
    with pytest.raises(InputError, match=r"nope\.png"):
        fuser.fuse_files(tmp_path / "nope.png", here, out)
    with pytest.raises(InputError, match=r"here\.png has 5x4.*other\.png has 6x4"):
        fuser.fuse_files(here, other, out)
    with pytest.raises(WeightsError):
        fuser.fuse_files(here, save(noise(4, 5), tmp_path / "third.png"), out)
    assert not out.exists()


def test_a_format_too_small_is_refused_before_the_network_is_loaded(tmp_path):
    fuser = Fuser(weights=__file__)
    paths = [save(np.zeros((1, 17_000), np.uint8), tmp_path / name) for name in ("a.png", "b.png")]
    with pytest.raises(UsageError, match="webp holds at most 16383"):
        fuser.fuse_files(*paths, tmp_path / "out.webp")
    with pytest.raises(UsageError, match="webp holds at most 16383"):
        fuser.fuse_files(*paths, io.BytesIO(), format="webp")
    assert not (tmp_path / "out.webp").exists()


def test_progress_ends_at_its_total(maximum):
    calls = []
    maximum.fuse(noise(8, 8), noise(8, 8), progress=lambda *call: calls.append(call))
    assert calls
    assert calls[-1][0] == calls[-1][1]
    assert all(0 <= done <= total for done, total in calls)


def test_the_sources_stay_as_they_are(maximum):
    first, second = noise(6, 5).astype(np.float32) / 255, noise(6, 5, 3, seed=1)
    before = first.copy(), second.copy()
    maximum.fuse(first, second, invert_first=True)
    np.testing.assert_array_equal(first, before[0])
    np.testing.assert_array_equal(second, before[1])


def test_fuse_in_one_call(maximum_weights):
    first, second = noise(4, 5), noise(4, 5, seed=1)
    fused = fuse(first, second, weights=maximum_weights, device="cpu")
    np.testing.assert_array_equal(fused, np.maximum(first, second))


def test_the_public_face():
    assert lkcfuse.Fuser is Fuser
    assert lkcfuse.fuse is fuse
    assert lkcfuse.Task.__name__ == "Task"
    assert set(lkcfuse.__all__) <= set(dir(lkcfuse))
    with pytest.raises(AttributeError, match="no attribute 'fuze'"):
        lkcfuse.fuze  # noqa: B018


def test_modules_are_reachable_from_the_package():
    code = (
        "import lkcfuse; print(lkcfuse.errors.InputError.exit_code, "
        "lkcfuse.metrics.evaluate.__name__, lkcfuse.models.resolve.__name__, "
        "lkcfuse.images.Image is lkcfuse.Image, lkcfuse.network.__name__)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["3", "evaluate", "resolve", "True", "lkcfuse.network"]


def test_a_fuser_is_shown_in_a_line(maximum_weights):
    assert repr(Fuser("mri-pet")) == "<Fuser mri-pet: default weights on auto, not loaded>"
    fuser = make_fuser(weights=maximum_weights)
    assert repr(fuser) == f"<Fuser ir-vis: {maximum_weights} on cpu, not loaded>"
    assert repr(fuser.load()) == "<Fuser ir-vis: max.safetensors on cpu (1 thread)>"


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"task": "mri-pat"}, UsageError, "no task is called 'mri-pat'"),
        ({"device": "cudda"}, UsageError, "no device is called 'cudda'"),
        ({"threads": 0}, UsageError, "threads"),
        ({"weights": "lkcfuse-ir-viz"}, WeightsError, "did you mean 'lkcfuse-ir-vis'"),
        ({"weights": "no/such/file.pth"}, WeightsError, "does not exist"),
        ({"weights": "https://a.b/c.pth"}, WeightsError, "bare address"),
        ({"weights": "hf://owner"}, WeightsError, "hf://owner/repository"),
        ({"manifest": "no-such.json"}, WeightsError, "no-such.json"),
    ],
)
def test_a_bad_name_fails_when_it_is_given(settings, error, message):
    with pytest.raises(error, match=message):
        Fuser(**settings)


def test_a_path_points_to_the_method_for_files(maximum, tmp_path):
    for path in ("ir.png", tmp_path / "ir.png"):
        with pytest.raises(InputError, match=r"ir\.png' is a path.*fuse_files"):
            maximum.fuse(path, "vis.png")
    with pytest.raises(InputError, match=r"visible array is an encoded file.*BytesIO"):
        maximum.fuse(noise(4, 5), b"bytes")
    with pytest.raises(InputError, match="infrared array is an encoded file"):
        maximum.fuse(io.BytesIO(), noise(4, 5))
    with pytest.raises(InputError, match=r"is an Image.*fuse_pair"):
        maximum.fuse(image_from_array(noise(4, 5)), noise(4, 5))


def test_a_channel_of_one_and_pillow_images_are_arrays(maximum):
    first, second = noise(6, 5), noise(6, 5, 3, seed=1)
    wanted = maximum.fuse(first, second)
    np.testing.assert_array_equal(maximum.fuse(first[..., None], second), wanted)
    pictures = PIL.Image.fromarray(first), PIL.Image.fromarray(second)
    np.testing.assert_array_equal(maximum.fuse(*pictures), wanted)
    with pytest.raises(InputError, match="visible array is a Pillow image of mode RGBA"):
        maximum.fuse(first, pictures[1].convert("RGBA"))


def test_tensors_with_gradients_are_taken(maximum):
    first = torch.rand(1, 6, 5, requires_grad=True)
    second = torch.rand(3, 6, 5, requires_grad=True)
    fused = maximum.fuse(first * 1.0, second)
    assert not fused.requires_grad
    torch.testing.assert_close(fused, maximum.fuse(first.detach(), second.detach()))


def test_importing_the_package_imports_nothing_heavy():
    code = (
        "import sys, lkcfuse; lkcfuse.__version__;"
        "heavy = {'torch', 'numpy', 'cv2', 'PIL', 'typer'} & set(sys.modules);"
        "assert not heavy, heavy; lkcfuse.Fuser; assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.skipif(sys.platform != "linux", reason="an address-space limit that holds")
def test_too_little_memory_is_an_error_and_no_end_of_the_process(maximum_weights):
    code = (
        "import resource, sys, numpy, psutil\n"
        "from lkcfuse import Fuser\n"
        "from lkcfuse.errors import ResourceError\n"
        "fuser = Fuser(weights=sys.argv[1], device='cpu', threads=1)\n"
        "fuser.load()\n"
        "pair = [numpy.zeros((900, 1200, 3), numpy.uint8)] * 2\n"
        "used = psutil.Process().memory_info().vms\n"
        "resource.setrlimit(resource.RLIMIT_AS, (used + 20_000_000,) * 2)\n"
        "try:\n"
        "    fuser.fuse(*pair)\n"
        "except ResourceError as error:\n"
        "    print(error)\n"
    )
    words = [sys.executable, "-c", code, str(maximum_weights)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "of memory are needed to fuse 1200 x 900 pixels" in done.stdout


def test_one_file_may_hold_both_sources(maximum, tmp_path):
    data, _ = make_registered(ratio=1.6)
    path = tmp_path / "IR_1.jpg"
    path.write_bytes(data)
    options = PairOptions(
        ReadOptions("20,40", radiometric="thermal"), ReadOptions(radiometric="visible")
    )
    fused = maximum.fuse_files(path, path, tmp_path / "fused.png", options=options)
    heat, seen = read_image(path, options.first), read_image(path, options.second)
    assert np.abs(fused.luma - np.maximum(heat.luma, seen.luma)).max() < 0.005
    with pytest.raises(UsageError, match="same file"):
        maximum.fuse_files(path, path, tmp_path / "other.png")


@pytest.mark.parametrize("value", [[[1, 2], [3]], [[[1], [2, 3]]], [[1.0, 2.0], 3.0]])
def test_lists_whose_rows_differ_in_length_are_named(maximum_weights, value):
    fuser = Fuser("ir-vis", weights=maximum_weights, device="cpu")
    for pair in ((value, value), (np.zeros((2, 2), np.uint8), value)):
        with pytest.raises(InputError, match=r"array is not an array: .*rows of one length"):
            fuser.fuse(*pair)
