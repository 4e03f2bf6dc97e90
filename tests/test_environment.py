import os
import subprocess
import sys

import pytest

from lkcfuse.environment import apply_library_settings, has_unused_avx512, library_settings

ALL = "fpu avx2 avx512f avx512dq avx512cd avx512bw avx512vl"


def processor(folder, vendor, flags):
    (folder / "proc").mkdir()
    one = f"processor\t: 0\nvendor_id\t: {vendor}\nflags\t\t: {flags}\nbugs\t\t:\n"
    (folder / "proc" / "cpuinfo").write_text(one + "\n" + one)
    return folder


@pytest.mark.parametrize(
    ("vendor", "flags", "expected"),
    [
        ("AuthenticAMD", ALL, True),
        ("AuthenticAMD", "fpu avx2", False),
        ("AuthenticAMD", "fpu avx2 avx512f", False),
        ("GenuineIntel", ALL, False),
    ],
)
def test_the_processor_is_known_by_what_the_system_says(tmp_path, vendor, flags, expected):
    root = processor(tmp_path, vendor, flags)
    assert has_unused_avx512(root) is expected
    assert ("OPENBLAS_CORETYPE" in library_settings(root)) is expected


def test_an_unknown_system_gets_no_guess(tmp_path):
    assert not has_unused_avx512(tmp_path)
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc" / "cpuinfo").write_text("Processor\t: ARMv8\n")
    assert not has_unused_avx512(tmp_path)


def test_what_the_user_set_stays():
    environment = {"OPENBLAS_NUM_THREADS": "7"}
    apply_library_settings(environment)
    assert environment["OPENBLAS_NUM_THREADS"] == "7"
    assert environment["OMP_WAIT_POLICY"] == "PASSIVE"


def test_where_the_processor_has_them_numpy_takes_the_wider_kernels():
    code = """
from lkcfuse.environment import apply_library_settings, has_unused_avx512
apply_library_settings()
from lkcfuse.ops.products import numpy_is_faster
print(has_unused_avx512() == numpy_is_faster())"""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("OPENBLAS")}
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, env=environment
    )
    assert done.stdout == "True\n"
