import pytest

import lkcfuse.network
from lkcfuse.models import load_network


def test_the_place_that_readme_named_still_has_the_loader():
    with pytest.warns(DeprecationWarning, match=r"lkcfuse\.models\.load_network"):
        assert lkcfuse.network.load_network is load_network


def test_nothing_else_is_there():
    with pytest.raises(AttributeError):
        _ = lkcfuse.network.LKCFUNet
