"""Names of the tensors: ours, and those in the authors' checkpoints."""

from __future__ import annotations

import re

AUTHORS_PREFIX = "model."

# Ours on the left, the authors' on the right; a name matches as a whole dotted prefix.
_BLOCKS = {
    "stem.conv": "init_conv",
    "stem.norm": "IN_conv.0",
    "stem.expand": "IN_conv.3",
    "encoder.0.residual": "downs.0",
    "encoder.0.large_kernel": "downs.1",
    "downsample.0": "downs.2",
    "encoder.1.residual": "downs.3",
    "encoder.1.large_kernel": "downs.4",
    "downsample.1": "downs.5",
    "encoder.2.residual": "downs.6",
    "encoder.2.large_kernel": "downs.7",
    "middle.0": "mid.0",
    "middle.1": "mid.1",
    "decoder.2.fusion": "ups.0",
    "decoder.2.residual": "ups.1",
    "decoder.2.large_kernels.0": "ups.2",
    "decoder.2.large_kernels.1": "ups.3",
    "upsample.1": "ups.4",
    "decoder.1.fusion": "ups.5",
    "decoder.1.residual": "ups.6",
    "decoder.1.large_kernels.0": "ups.7",
    "decoder.1.large_kernels.1": "ups.8",
    "upsample.0": "ups.9",
    "decoder.0.fusion": "ups.10",
    "decoder.0.residual": "ups.11",
    "decoder.0.large_kernels.0": "ups.12",
    "refine": "ups.13",
    "head": "final_conv",
}
_RESIDUAL = {
    "first.norm": "res_block.block1.block.0",
    "first.conv": "res_block.block1.block.3",
    "second.norm": "res_block.block2.block.0",
    "second.conv": "res_block.block2.block.3",
    "shortcut": "res_block.res_conv",
}
_LARGE_KERNEL = {
    "norm": "res_block.prelkb_bn",
    "expand": "res_block.pw1.conv",
    "expand_norm": "res_block.pw1.bn",
    "depthwise": "res_block.large_kernel.lkb_origin.conv",
    "depthwise_norm": "res_block.large_kernel.lkb_origin.bn",
    "project": "res_block.pw2.conv",
    "project_norm": "res_block.pw2.bn",
}
_FUSION = {
    "channel_squeeze": "multi.local.ca.0",
    "channel_excite": "multi.local.ca.2",
    "spatial": "multi.global_.proj.0",
    "spatial_norm": "multi.global_.proj.1",
    "path_norm": "multi.bn",
    "select": "selection",
    "mix": "proj",
    "mix_norm": "bn",
    "expand": "conv_block.0",
}
_PRE_NORM_CONV = {"norm": "block.0", "conv": "block.3"}
_RESAMPLING = {"conv": "conv"}


def _inside(block: str) -> dict[str, str]:
    """Names inside a block, by the kind of block its name tells."""
    if block == "refine" or block.endswith("residual"):
        return _RESIDUAL
    if re.search(r"large_kernel|middle", block):
        return _LARGE_KERNEL
    if block.endswith("fusion"):
        return _FUSION
    if block == "head":
        return _PRE_NORM_CONV
    if "sample" in block:
        return _RESAMPLING
    return {}


def _table() -> dict[str, str]:
    table = {}
    for ours, theirs in _BLOCKS.items():
        inside = _inside(ours)
        if not inside:
            table[theirs] = ours
        for our_part, their_part in inside.items():
            table[f"{theirs}.{their_part}"] = f"{ours}.{our_part}"
    return table


_OURS = _table()
_AUTHORS = {ours: theirs for theirs, ours in _OURS.items()}


def _rename(key: str, table: dict[str, str]) -> str | None:
    module, _, parameter = key.rpartition(".")
    renamed = table.get(module)
    return f"{renamed}.{parameter}" if renamed else None


def from_authors(key: str) -> str | None:
    """Our name of a tensor in an authors' checkpoint, or None where it is none of theirs.

    >>> from_authors("model.downs.0.res_block.block1.block.3.weight")
    'encoder.0.residual.first.conv.weight'
    """
    return _rename(key.removeprefix(AUTHORS_PREFIX), _OURS)


def to_authors(key: str) -> str | None:
    """The authors' name of one of our tensors, or None where it is none of ours.

    >>> to_authors("encoder.0.residual.first.conv.weight")
    'model.downs.0.res_block.block1.block.3.weight'
    """
    renamed = _rename(key, _AUTHORS)
    return AUTHORS_PREFIX + renamed if renamed else None
