from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

from lkcfuse.environment import apply_library_settings

# As the command line does, and as early: before numpy is loaded.
apply_library_settings()


@pytest.fixture
def unprivileged_folder():
    """A folder of root's or ours, seen as a user who may read it but not write to it."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o555)
        is_root = os.geteuid() == 0
        if is_root:
            os.seteuid(65534)
        try:
            yield folder
        finally:
            if is_root:
                os.seteuid(0)
            folder.chmod(0o755)


@pytest.fixture(scope="session")
def make_weights(tmp_path_factory):
    """Save a tiny network of random weights as a checkpoint, and return its path.

    Untrained, a network with `base="max"` adds nothing to the maximum of its inputs, so that the
    answer is known; with `base="none"` it gives what only the same network gives.
    """
    import torch

    from lkcfuse.architectures.lkc_funet import LKCFUNet, NetworkConfig
    from lkcfuse.architectures.processing import Processing
    from lkcfuse.models.checkpoint import save_checkpoint
    from lkcfuse.models.metadata import to_metadata

    def make(base="max", *, change=None, **processing):
        torch.manual_seed(7)
        network = LKCFUNet(NetworkConfig(inner=2, base=base)).eval()
        if change is not None:
            with torch.no_grad():
                change(network)
        path = tmp_path_factory.mktemp("weights") / f"{base}.safetensors"
        save_checkpoint(path, network, metadata=to_metadata(Processing(**processing)))
        return path

    return make


@pytest.fixture(scope="session")
def maximum_weights(make_weights):
    """Weights whose fusion is the pixelwise maximum of the two lumas."""
    return make_weights("max")
