"""What a user installs: the wheel's content, and that it works away from the repository."""

import ast
import hashlib
import json
import os
import subprocess
import sys
import zipfile
from importlib.metadata import Distribution, distribution
from pathlib import Path

import pytest

import lkcfuse

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "lkcfuse"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Build the wheel as pip does, and unpack it into a folder."""
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    (archive,) = folder.glob("*.whl")
    with zipfile.ZipFile(archive) as content:
        content.extractall(folder / "unpacked")
    return folder / "unpacked"


def run(wheel, folder, *arguments):
    environment = {**os.environ, "PYTHONPATH": str(wheel), "LKCFUSE_CACHE": str(folder / "cache")}
    return subprocess.run(
        [sys.executable, "-m", "lkcfuse", *arguments],
        cwd=folder,
        env=environment,
        check=True,
        capture_output=True,
        text=True,
    )


def test_the_wheel_holds_the_package_and_nothing_else(wheel):
    packed = {path.relative_to(wheel) for path in wheel.rglob("*") if path.is_file()}
    ours = {path for path in packed if not path.parts[0].endswith(".dist-info")}
    source = {
        path.relative_to(ROOT)
        for path in PACKAGE.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert ours == source | {Path("lkcfuse/weights.json")}
    assert Path("lkcfuse/py.typed") in packed
    assert Path("lkcfuse/training/recipes/ir-vis.json") in packed


def test_the_packaged_weights_are_those_of_the_manifest(wheel):
    manifest = json.loads((wheel / "lkcfuse" / "weights.json").read_text(encoding="utf-8"))
    assert manifest == json.loads((ROOT / "weights.json").read_text(encoding="utf-8"))
    packaged = {
        entry["source"]["packaged"]: entry
        for entry in manifest["weights"]
        if "packaged" in entry["source"]
    }
    folder = wheel / "lkcfuse" / "models" / "files"
    assert {path.name for path in folder.glob("*")} == set(packaged)
    for name, entry in packaged.items():
        content = (folder / name).read_bytes()
        assert len(content) == entry["bytes"]
        assert hashlib.sha256(content).hexdigest() == entry["sha256"]


def test_the_wheel_works_away_from_the_repository(wheel, tmp_path):
    assert run(wheel, tmp_path, "--version").stdout.strip() == f"lkcfuse {lkcfuse.__version__}"
    assert "fuse" in run(wheel, tmp_path, "--help").stdout
    listed = json.loads(run(wheel, tmp_path, "weights", "list", "--json").stdout)
    manifest = json.loads((ROOT / "weights.json").read_text(encoding="utf-8"))
    assert [entry["name"] for entry in listed] == [entry["name"] for entry in manifest["weights"]]


def test_every_library_that_is_imported_is_declared(wheel):
    imported = set()
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                imported |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                imported.add(str(node.module).partition(".")[0])
    libraries = imported - sys.stdlib_module_names - {"lkcfuse"}
    (metadata,) = wheel.glob("*.dist-info")
    required = Distribution.at(metadata).requires or []
    declared = {_name(line) for line in required if "extra == 'dev'" not in line}
    # Those declared alone: to list every file of all that is installed takes half a minute.
    brought = {
        file.parts[0].removesuffix(".py")
        for name in declared - {"pyiqa"}  # imported by its name, and rarely installed
        for file in distribution(name).files or []
    }
    assert libraries
    assert not libraries - brought


def _name(requirement):
    """Return the normalised name of the distribution in a requirement such as `Torch>=2.6`."""
    end = next((i for i, c in enumerate(requirement) if c not in "-_." and not c.isalnum()), None)
    return requirement[:end].lower().replace("_", "-")
