from __future__ import annotations

from lkcfuse.images.profiles import is_rgb_profile


def test_the_header_tells_what_a_profile_is_of(rgb_profile):
    assert is_rgb_profile(rgb_profile)
    assert not is_rgb_profile(rgb_profile[:16] + b"CMYK" + rgb_profile[20:])
    assert not is_rgb_profile(rgb_profile[:18])
