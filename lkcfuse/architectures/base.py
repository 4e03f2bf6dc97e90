"""What an architecture is: how its checkpoints are recognised, built, fed and run."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor, nn

from lkcfuse.architectures.processing import Processing
from lkcfuse.ops.streaming.feature_map import NewMap
from lkcfuse.ops.streaming.layers import Advance, SpectrumCache
from lkcfuse.ops.streaming.offload import GpuOffload

Tensors = Mapping[str, Tensor]
"""A checkpoint's tensors by name."""

Config = Any
"""What distinguishes one network of an architecture from another; each has a type of its own."""


class Architecture(ABC):
    """A family of networks with one wiring.

    A network of it is a `torch.nn.Module` that takes `(N, 2, H, W)` and gives `(N, 1, H, W)`, for
    any H and W from 1 on, and has its configuration in the attribute `config`. What a subclass does
    not override holds for a plain network that is run whole.

    Attributes:
        name: What manifests and checkpoints call it.
        title: What people call it.
        network_type: The class of its networks.
        streaming: How its networks are streamed layer by layer; None where they are not.
        preferred_tile: Side in pixels of the tiles that a larger image is run in even where it
            would fit in memory; None where a whole run is preferred.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    network_type: ClassVar[type[nn.Module]]
    streaming: ClassVar[Streaming | None] = None
    preferred_tile: ClassVar[int | None] = None

    @abstractmethod
    def recognises(self, names: Collection[str]) -> bool:
        """Whether tensors of these names look like a checkpoint of this architecture."""

    @abstractmethod
    def read_config(self, tensors: Tensors, stored: str | None) -> Config:
        """Read a configuration off a checkpoint.

        Args:
            tensors: Under our names.
            stored: What `write_config` returned for it; None where the checkpoint has none.

        Raises:
            ValueError: A tensor that tells it is missing or has another form.
        """

    @abstractmethod
    def build(self, config: Config, task: str | None = None) -> nn.Module:
        """Make a network of a configuration.

        Args:
            config: The configuration.
            task: Name of the task it is to be used for, where that changes how it runs.
        """

    def our_names(self, tensors: Tensors) -> dict[str, Tensor]:
        """Return a checkpoint's tensors under the names its network has for them.

        Tensors that the network does not use, as some authors leave behind, are left out.

        Raises:
            ValueError: A tensor is not one of this architecture.
        """
        return dict(tensors)

    def write_config(self, config: Config) -> str:  # noqa: ARG002 - for those that have one
        """Return a configuration as one line of JSON, for a checkpoint's metadata."""
        return "{}"

    def facts(self, config: Config) -> dict[str, int]:  # noqa: ARG002
        """Return the sizes that people tell networks of this architecture apart by."""
        return {}

    def processing(self, task: str) -> Processing:  # noqa: ARG002
        """Return how networks are fed for a task where the checkpoint does not say."""
        return Processing()

    def weight_map(self, network: nn.Module) -> nn.Module | None:  # noqa: ARG002
        """Return what gives the weight of the network's first channel at each pixel.

        Its result, `(N, 1, H, W)` in [0, 1], says of which source a pixel is, where the network
        gives a mean of the two; it shares the network's parameters and is of this architecture.
        None where a fused image is more than that.
        """
        return None

    def halo(self, network: nn.Module) -> int | None:  # noqa: ARG002
        """Return how many pixels around a pixel its value depends on.

        None where that is the whole image, through statistics of all of it: such a network cannot
        be run in tiles.
        """
        return None

    def alignment(self, network: nn.Module) -> int:  # noqa: ARG002
        """Return the pixels that the edges of an exact tile have to be a multiple of."""
        return 1

    def outputs(self, tensors: Tensors, layer: str) -> int:
        """Return the channels that a convolution gives, for `read_config`.

        Raises:
            ValueError: There is no such layer, or it is not a convolution.
        """
        name = f"{layer}.weight"
        return self.shape(tensors, name)[0]

    def shape(self, tensors: Tensors, name: str) -> tuple[int, ...]:
        """Return the shape of a convolution's weight, for `read_config`.

        Raises:
            ValueError: There is no such tensor, or it is not of a convolution.
        """
        if name not in tensors:
            raise ValueError(f"is not a network of {self.title}: it has no tensor '{name}'")
        if tensors[name].ndim != 4:
            raise ValueError(f"'{name}' is not the weight of a convolution")
        return tuple(tensors[name].shape)

    @abstractmethod
    def floats_per_pixel(self, config: Config) -> float:
        """Return the numbers a pixel that are in memory at the worst moment of a whole run."""


@dataclass(frozen=True)
class MapMemory:
    """What the feature maps of a streamed run take.

    Attributes:
        channels: Floats a pixel of the maps that `live` counts.
        live: For every stage of a run, how many such maps are alive at every level; level n has
            half the height and width of level n - 1.
        widest: How many times as many channels as the others the widest map has.
        size_multiple: What height and width are padded to a multiple of.
        buffers: Floats of the buffers that regions go through, by height, width and tile.
    """

    channels: int
    live: tuple[tuple[float, ...], ...]
    widest: float
    size_multiple: int
    buffers: Callable[[int, int, int | None], float]

    @property
    def levels(self) -> int:
        """Number of resolutions."""
        return len(self.live[0])


@dataclass(frozen=True)
class StreamingContext:
    """What a streamed run is given.

    Attributes:
        spectra: Transformed kernels, kept from image to image.
        new_map: Makes feature maps.
        tile: Bound on the sides of a region, in pixels; None for what is fastest.
        advance: Called with the number of multiplications (of direct convolution) just done.
        offload: The GPU that computes the large convolutions; None for the CPU.
    """

    spectra: SpectrumCache
    new_map: NewMap
    tile: int | None = None
    advance: Advance = lambda _: None
    offload: GpuOffload | None = None


class Streaming(ABC):
    """The capability of a network to go layer by layer over images that do not fit in memory."""

    @abstractmethod
    def memory(self, config: Config) -> MapMemory:
        """Return what the feature maps of a network take."""

    @abstractmethod
    def multiplications(self, network: nn.Module, height: int, width: int) -> float:
        """Return the sum of what `StreamingContext.advance` is told in a run."""

    @abstractmethod
    def run(self, network: nn.Module, pair: Tensor, context: StreamingContext) -> Tensor:
        """Run a network.

        Args:
            network: In evaluation mode, float32, on the CPU.
            pair: `(2, H, W)` float32, of any size.
            context: Where maps and spectra are.

        Returns:
            `(H, W)` float32, as the network itself gives it, but for rounding.
        """
