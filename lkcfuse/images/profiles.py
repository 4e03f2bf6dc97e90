"""ICC colour profiles: what they are of."""

from __future__ import annotations


def is_rgb_profile(profile: bytes) -> bool:
    """Whether a profile is of RGB values: its header names their colour space (ICC.1, 7.2.8)."""
    return profile[16:20] == b"RGB "
