"""What the help of each command begins and ends with: its usage and its examples."""

from __future__ import annotations

USAGE: dict[str, str] = {
    "fuse": "[OPTIONS] A B -o OUT",
    "batch": "[OPTIONS] DIR_A DIR_B",
    "align": "[OPTIONS] DIR_A DIR_B -o JSON",
    "train": "[OPTIONS] FIRST SECOND",
    "export": "[OPTIONS] WEIGHTS -o FILE",
    "weights import": "[OPTIONS] FILE -n NAME",
}
"""By the command's words, where an option is needed, or an argument nearly always is."""

EXAMPLES: dict[str, tuple[str, ...]] = {
    "": (
        "lkcfuse fuse ir.png vis.png -o fused.png",
        "lkcfuse batch ir/ vis/ -o fused/",
        "lkcfuse doctor",
    ),
    "fuse": (
        "lkcfuse fuse ir.png vis.png -o fused.png",
        "lkcfuse fuse mri.png pet.png --task mri-pet -o fused.png",
        "lkcfuse fuse mri.nii.gz pet.nii.gz --task mri-pet -o fused.nii.gz",
        "lkcfuse fuse ir.png vis.png --align affine -o fused.png",
        "lkcfuse fuse ir.tif vis.tif --memory 4GB -o fused.tif",
        "cat ir.png | lkcfuse fuse - vis.png -o - | display",
    ),
    "batch": (
        "lkcfuse batch ir/ vis/ -o fused/",
        "lkcfuse batch ir/ vis/ --match '{}_thermal={}_rgb' --dry-run",
        "lkcfuse batch mri/ pet/ --task mri-pet --report report.html",
        "lkcfuse batch ir/ vis/ --metrics metrics.csv",
    ),
    "align": (
        "lkcfuse align ir/ vis/ -o rig.json",
        "lkcfuse align ir/ vis/ --model homography --match '{}_thermal={}_rgb' -o rig.json",
    ),
    "eval": (
        "lkcfuse eval",
        "lkcfuse eval --fused ours/ --fused theirs/ --a ir/ --b vis/ --baselines",
        "lkcfuse eval --fused ours/ --fused theirs/ --a ir/ --b vis/ --summary table.tex "
        "--plot plots.pdf",
        "lkcfuse eval --explain --metrics VIF,Qabf",
    ),
    "cite": (
        "lkcfuse cite",
        "lkcfuse cite seafusion --metrics VIF,Qabf,SSIM",
    ),
    "train": (
        "lkcfuse train ir/ vis/ -o mine.safetensors",
        "lkcfuse train ir/ vis/ -o mine.safetensors --init lkcfuse-ir-vis",
        "lkcfuse train --data data/ --task mri-pet --minutes 30",
        "lkcfuse fuse ir.png vis.png -w mine.safetensors -o fused.png",
    ),
    "export": (
        "lkcfuse export lkcfuse-ir-vis -o model.onnx",
        "lkcfuse export mine.safetensors -o model.pt2",
    ),
    "doctor": (
        "lkcfuse doctor",
        "lkcfuse doctor --device cuda",
    ),
    "weights": (
        "lkcfuse weights list",
        "lkcfuse weights show lkcfuse-ir-vis",
        "lkcfuse weights pull authors",
    ),
    "weights list": (
        "lkcfuse weights list",
        "lkcfuse weights list --task mri-pet",
        "lkcfuse weights list --json",
    ),
    "weights show": ("lkcfuse weights show lkcfuse-ir-vis",),
    "weights pull": (
        "lkcfuse weights pull seafusion",
        "lkcfuse weights pull --task mri-pet",
    ),
    "weights verify": (
        "lkcfuse weights verify",
        "lkcfuse weights verify lkcfuse-ir-vis",
    ),
    "weights path": ("lkcfuse weights path lkcfuse-ir-vis",),
    "weights import": ("lkcfuse weights import best.pth --name lkc-funet-vif",),
    "weights remove": (
        "lkcfuse weights remove lkc-funet-vif",
        "lkcfuse weights remove all",
    ),
}
"""By the command's words."""
