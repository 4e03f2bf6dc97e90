"""The commands of every page run in their order, in a fresh folder with small inputs."""

from __future__ import annotations

import os
import shlex
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from doc_pages import PAGES, ROOT, commands, make_inputs

from lkcfuse.cli.app import run

pytestmark = pytest.mark.slow

ELSEWHERE: dict[str, str] = {
    # An environment of its own: .ci/run installs as the README says.
    "python3 -m venv .venv && . .venv/bin/activate": ".ci/run",
    "pip install torch --index-url https://download.pytorch.org/whl/cpu": ".ci/run",
    "pip install torch": ".ci/run",
    "pip install -e '.[dev]' && pytest": ".ci/run",
    "pip install '.[onnx]'": ".ci/run",
    "pip install '.[ray,remote]'": ".ci/run",
    "pip install '.[medical]'": ".ci/run",
    "pip install '.[thermal]'": ".ci/run",
    "pre-commit install": ".ci/run",
    # Clusters, stores and other packages.
    "lkcfuse batch s3://data/ir s3://data/vis -o s3://data/fused": "tests/batch/test_urls.py",
    "lkcfuse batch s3://data/ir s3://data/vis -o s3://data/fused --engine ray --address auto": (
        "tests/batch/test_ray_engine.py"
    ),
    "lkcfuse batch ir/ vis/ --engine ray --workers 4": "tests/batch/test_ray_engine.py",
    "lkcfuse batch ir/ vis/ --engine ray": "tests/batch/test_ray_engine.py",
    "lkcfuse batch /share/ir /share/vis -o /share/fused --engine ray --address auto": (
        "tests/batch/test_ray_engine.py"
    ),
    "lkcfuse batch s3://data/ir s3://data/vis -o s3://results/fused --engine ray --address auto "
    "--gpus-per-worker 0.25": "tests/batch/test_ray_engine.py",
    "split -l 1000000 -d -a 3 pairs.csv part-": "tests/batch/test_lists.py",
    "lkcfuse batch --pairs part-000 -o s3://results/part-000 --engine ray --address auto "
    "--workers 475": "tests/batch/test_ray_engine.py",
    "lkcfuse batch --pairs part-001 -o s3://results/part-001 --engine ray --address auto "
    "--workers 475": "tests/batch/test_ray_engine.py",
    "lkcfuse eval --metrics all,MAE": "tests/metrics",
    "lkcfuse eval --metrics VIF,Qabf,iqa:lpips,iqa:niqe": "tests/metrics",
    "lkcfuse fuse mri.nii.gz pet.nii.gz --task mri-pet -o fused.nii.gz": "tests/cli/test_scans.py",
    "lkcfuse fuse mri_series/ ct_series/ --task mri-ct -o fused_series/": "tests/cli/test_scans.py",
    "lkcfuse fuse mri_series/ ct_series/ --task mri-ct -o slices/ --format png": (
        "tests/cli/test_scans.py"
    ),
    "lkcfuse fuse export/ export/ --series 4,7 --task mri-ct -o fused.nii.gz": (
        "tests/cli/test_scans.py"
    ),
    # The network.
    "lkcfuse weights pull lkc-funet-vif": "tests/cli/test_weights.py",
    "lkcfuse fuse ir.png vis.png --weights lkc-funet-vif -o out.png": "tests/cli/test_fuse.py",
    "lkcfuse weights path lkc-funet-vif": "tests/cli/test_weights.py",
    "lkcfuse weights remove lkc-funet-vif": "tests/cli/test_weights.py",
    "lkcfuse weights import best_VIF.pth --name lkc-funet-vif": "tests/models/test_import.py",
    "lkcfuse export ltofusion --task mri-pet -o model.pt2": "tests/cli/test_export.py",
    "lkcfuse batch ir/ vis/ -w lkcfuse-ir-vis -w seafusion -w ./mine.safetensors "
    "--metrics metrics.csv --report report.html": "tests/cli/test_batch.py",
    "lkcfuse cite seafusion --metrics VIF,Qabf,SSIM": "tests/cli/test_cite.py",
    "lkcfuse cite lkcfuse-ir-vis": "tests/cli/test_cite.py",
    # Other inputs, which those tests make.
    "lkcfuse batch ir/ vis/ -o ours/": "tests/cli/test_batch.py",
    "lkcfuse fuse dark.jpg bright.jpg -t mef -o out.jpg": "tests/cli/test_fuse_photographs.py",
    "lkcfuse fuse a.jpg b.jpg c.jpg -t mef -o out.jpg": "tests/cli/test_fuse_photographs.py",
    "lkcfuse fuse near.jpg far.jpg -t mff -o out.jpg --map map.png": (
        "tests/cli/test_fuse_photographs.py"
    ),
    "lkcfuse batch under/ over/ -t mef -o fused/ --report report.html": (
        "tests/cli/test_fuse_photographs.py"
    ),
    "lkcfuse eval -t mef --fused mine/ --a under/ --b over/": "tests/cli/test_eval.py",
    "lkcfuse train --data DATA --recipe mff": "tests/training/test_photographs.py",
    "lkcfuse train --data DATA --recipe mef": "tests/training/test_photographs.py",
    "lkcfuse fuse mri/ pet/ --task mri-pet --align rigid -o fused/": "tests/cli/test_scans.py",
    "lkcfuse fuse examples/street_under.png examples/street_over.png -t mef -o exposures.png "
    "--map map.png": "tests/test_examples.py",
    "lkcfuse fuse examples/desk_near.png examples/desk_far.png -t mff -o desk.png --map map.png": (
        "tests/test_examples.py"
    ),
    # The inputs here are noise, which nothing registers.
    "lkcfuse fuse ir.png vis.png -o aligned.png --align affine": "tests/cli/test_align.py",
    "lkcfuse align ir/ vis/ -o rig.json": "tests/cli/test_align.py",
    "lkcfuse batch ir/ vis/ -o aligned/ --transform rig.json": "tests/cli/test_align.py",
    # Long ones.
    "lkcfuse train ir/ vis/ -o mine.safetensors --init lkcfuse-ir-vis": "tests/cli/test_train.py",
    "lkcfuse train ir/ vis/ -o mine.safetensors --init lkcfuse-ir-vis --minutes 60": (
        "tests/cli/test_train.py"
    ),
    "lkcfuse train --recipe my-settings.json ir/ vis/ -o weights.safetensors": (
        "tests/cli/test_train.py"
    ),
    "lkcfuse fuse ir.png vis.png -o fused.png --weights mine.safetensors": (
        "tests/cli/test_train.py"
    ),
    "lkcfuse export lkcfuse-ir-vis -o model.onnx": "tests/cli/test_export.py",
    "lkcfuse train --recipe ir-vis --data DIR": "tests/training/test_recipe.py",
    "lkcfuse train ir/ vis/ -o mine.safetensors --recipe ir-vis --stage finish --init "
    "lkcfuse-ir-vis --minutes 60": "tests/training/test_recipe.py",
    "lkcfuse doctor": "tests/cli/test_doctor.py",
    "python benchmarks/quality.py DATA --task ir-vis --weights mine.safetensors --sheet sheets/": (
        "tests/benchmarks/test_quality.py"
    ),
    "python benchmarks/quality.py DIR/val --task ir-vis --weights mine.safetensors "
    "--sheet sheets/": "tests/benchmarks/test_quality.py",
    "python examples/make_results.py": "tests/test_examples.py",
    "python examples/make_examples.py": "tests/test_examples.py",
    "python examples/make_examples.py --out DIR": "tests/test_examples.py",
    "python examples/make_examples.py --seed 8": "tests/test_examples.py",
}
"""Commands that are not run here, and where what they do is."""

FIRST: dict[str, list[str]] = {"metrics.md": ["lkcfuse batch ir/ vis/"]}
"""What a page takes to be done already."""

SMALLER: dict[str, str] = {
    "lkcfuse batch ir/ vis/ --match '{}_thermal={}_rgb' --dry-run": (
        "lkcfuse batch thermal/ rgb/ --match '{}_thermal={}_rgb' --dry-run"
    ),
}
"""Commands that run with other words, since they would take long or need other files."""


@pytest.fixture
def page_folder(tmp_path, monkeypatch):
    """The working folder of a page, with small inputs and the programs that pipes end in."""
    make_inputs(tmp_path)
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, text in (
        ("display", "cat >/dev/null"),
        ("lkcfuse", f'exec {shlex.quote(sys.executable)} -m lkcfuse "$@"'),
    ):
        program = programs / name
        program.write_text(f"#!/bin/sh\n{text}\n")
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "1")
    monkeypatch.setenv("SLURM_ARRAY_TASK_COUNT", "2")
    monkeypatch.setenv("LKCFUSE_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("page", [page for page in PAGES if commands(page)], ids=lambda p: p.name)
def test_the_commands_of_a_page_run_in_their_order(page: Path, page_folder, capfd):
    for command in [*FIRST.get(page.name, []), *commands(page)]:
        if command in ELSEWHERE:
            continue
        text = SMALLER.get(command, command).removeprefix("pip install . && ")
        if set(text) & set("|$"):
            done = subprocess.run(["bash", "-o", "pipefail", "-c", text], check=False)
            code = done.returncode
        else:
            program, *words = shlex.split(text)
            assert program == "lkcfuse", text
            code = run(words)
        assert code == 0, f"{text}\n{capfd.readouterr().err}"


def test_nothing_is_listed_that_no_page_has():
    written = {command for page in PAGES for command in commands(page)}
    assert set(ELSEWHERE) <= written
    assert set(SMALLER) <= written
    assert all((ROOT / place).exists() for place in ELSEWHERE.values())
