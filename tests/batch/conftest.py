"""Batches of tiny pairs, and a fuser whose results only the same network gives."""

from __future__ import annotations

import pytest
from pairs import make_pairs

from lkcfuse.batch import open_batch, plan_folders
from lkcfuse.fusion.fuser import Fuser


@pytest.fixture
def folders(tmp_path):
    return make_pairs(tmp_path)


@pytest.fixture(scope="session")
def network(make_weights):
    """Weights that give what no other weights give."""
    return make_weights("none")


@pytest.fixture(scope="session")
def fuser(network):
    return Fuser(weights=network, device="cpu", threads=1).load()


@pytest.fixture
def run(folders, tmp_path, fuser):
    """Run a batch of the folders into `fused` and return the outcomes."""

    def call(*, overwrite=False, using=fuser, plan=None, **options):
        plan = plan or plan_folders(*folders, tmp_path / "fused")
        with open_batch(plan, overwrite=overwrite) as batch:
            return list(batch.run(using, **options))

    return call
