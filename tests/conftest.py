from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest


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
