"""What distinguishes one LKC-FUNet from another."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Literal, get_args

from lkcfuse import strict_json

StemNorm = Literal["batch", "instance"]
Base = Literal["none", "max"]

LEVELS = 3
"""Resolutions the network works at: full, half and quarter."""

SIZE_MULTIPLE = 2 ** (LEVELS - 1)
"""Height and width inside the network are multiples of this; `LKCFUNet` pads to them."""


@dataclass(frozen=True)
class NetworkConfig:
    """Configuration of an LKC-FUNet. All but `base` can be read off a checkpoint's tensors.

    Attributes:
        inner: The width parameter: 32 in the paper, 8 for the compact network. The levels work on
            `channels = 4 * inner` channels.
        kernels: Side of the large kernels at full, half and quarter resolution, each odd.
        stem_norm: Normalisation before the first large kernel: `batch` as the authors released it,
            `instance` as the paper describes it.
        base: What the network's output is added to: nothing, or the pixelwise maximum of the two
            inputs. No property of the tensors: it comes from a checkpoint's metadata.
    """

    inner: int = 32
    kernels: tuple[int, int, int] = (15, 11, 5)
    stem_norm: StemNorm = "batch"
    base: Base = "none"

    def __post_init__(self) -> None:
        if self.inner < 2 or self.inner % 2:
            raise ValueError(f"inner is {self.inner}: it must be even and 2 or more")
        if len(self.kernels) != LEVELS or any(k < 1 or k % 2 == 0 for k in self.kernels):
            raise ValueError(f"kernels are {self.kernels}: they must be three odd sizes")
        if self.stem_norm not in get_args(StemNorm):
            raise ValueError(f"stem_norm is {self.stem_norm!r}: it must be batch or instance")
        if self.base not in get_args(Base):
            raise ValueError(f"base is {self.base!r}: it must be none or max")

    @property
    def channels(self) -> int:
        """Channels that every level works on (C in the paper, 128 there)."""
        return 4 * self.inner

    @property
    def groups(self) -> int:
        """Groups of the group normalisations.

        As many as `inner`, so that a group keeps 4 channels at any width: with one channel a group
        the last normalisation would erase the absolute tone.
        """
        return self.inner

    def to_json(self) -> str:
        """Return the configuration as one line of JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> NetworkConfig:
        """Read what `to_json` wrote.

        Raises:
            ValueError: It is not JSON, or not such a configuration.
        """
        fields = strict_json.loads(text)
        try:
            return cls(**{**fields, "kernels": tuple(fields["kernels"])})
        except (TypeError, KeyError) as error:
            raise ValueError(f"not a network configuration: {text[:80]}") from error
