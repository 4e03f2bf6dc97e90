"""A network with all that is done before and after it, as one module on tensors."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from lkcfuse.architectures.base import Architecture
from lkcfuse.architectures.processing import Processing
from lkcfuse.architectures.registry import architecture_of
from lkcfuse.atomic import atomic_write
from lkcfuse.errors import ResourceError, UsageError
from lkcfuse.fusion.colour import blended, chroma_of, luma_of, recoloured, stretched
from lkcfuse.models.checkpoint import load_network, save_checkpoint
from lkcfuse.models.metadata import to_metadata
from lkcfuse.models.record import ModelRecord
from lkcfuse.models.resolve import resolve
from lkcfuse.models.source import PRETRAINED_FILE
from lkcfuse.tasks import Task, get_task

if TYPE_CHECKING:
    from lkcfuse.models import Manifest


class FusionModel(nn.Module):
    """Fuses batches of registered pairs: range, order, network, clip, chroma, post-processing.

    Differentiable in both sources and in the network's parameters, on any device that they are on.
    It runs the network in one piece; `lkcfuse.Fuser` does so to images of any size.

    Args:
        network: `(N, 2, H, W)` to `(N, 1, H, W)`, in evaluation mode for results.
        processing: How it is fed, and what its output needs; None takes what its architecture
            says for the task.
        task: What the pairs show; it decides whether chroma is kept.
        record: The checkpoint the network was loaded from, if it was.

    Raises:
        UsageError: The task is unknown.
        TypeError: No processing is given, and the network is not of a registered architecture.

    Example:
        >>> import torch
        >>> from lkcfuse.architectures.lkc_funet import LKCFUNet, NetworkConfig
        >>> network = LKCFUNet(NetworkConfig(inner=2, base="max")).eval()
        >>> model = FusionModel(network)
        >>> infrared, visible = torch.rand(4, 1, 24, 32), torch.rand(4, 3, 24, 32)
        >>> model(infrared, visible).shape
        torch.Size([4, 3, 24, 32])
    """

    def __init__(
        self,
        network: nn.Module,
        processing: Processing | None = None,
        *,
        task: str | Task = "ir-vis",
        record: ModelRecord | None = None,
    ) -> None:
        super().__init__()
        self.network = network
        self.task = get_task(task)
        self.processing = processing or self.architecture.processing(self.task.name)
        self.record = record

    @property
    def architecture(self) -> Architecture:
        """What the network is of.

        Raises:
            TypeError: It is not of a registered architecture.
        """
        return architecture_of(self.network)

    @property
    def weight_map(self) -> nn.Module | None:
        """What gives the weight of the network's first channel, where the result is a mean of both.

        None where the task asks for another colour than such a mean has, or where the network gives
        more than a mean.
        """
        if not self.task.mixes:
            return None
        return self.architecture.weight_map(self.network)

    @classmethod
    def of_record(cls, record: ModelRecord) -> FusionModel:
        """Load the checkpoint of a record, in evaluation mode, on the CPU.

        Raises:
            WeightsError: The file cannot be read, or holds no network of a known architecture.
        """
        network = load_network(record.path, task=record.task.name)
        return cls(network, record.processing, task=record.task, record=record)

    @classmethod
    def from_pretrained(
        cls,
        weights: str | os.PathLike[str] | None = None,
        *,
        task: str | Task = "ir-vis",
        manifest: Manifest | str | os.PathLike[str] | None = None,
        offline: bool = False,
    ) -> FusionModel:
        """Find, fetch and load a checkpoint, in evaluation mode, on the CPU.

        Args:
            weights: A name in the manifest, the path of a checkpoint or of a folder that
                `save_pretrained` wrote, or an address on the Hugging Face Hub (`hf://owner/name`);
                None takes the first entry made for the task.
            task: What the pairs show.
            manifest: A further manifest of weights, read or by its path.
            offline: Never fetch weights from the network.

        Raises:
            UsageError: The task is unknown.
            WeightsError: The weights are unknown, unreachable or damaged.
        """
        return cls.of_record(resolve(weights, task, manifest=manifest, offline=offline))

    def save_pretrained(self, folder: str | os.PathLike[str]) -> Path:
        """Write the model as a folder that `from_pretrained` reads, or the Hub takes.

        It gets `model.safetensors`, which has all that is needed in its metadata, and
        `config.json`, the same for people and for the Hub.

        Args:
            folder: It is made if it does not exist; files of these names in it are replaced.

        Returns:
            The checkpoint's path.

        Raises:
            UsageError: There is a file in the folder's place.
            ResourceError: A file cannot be written.
        """
        folder = Path(folder)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except FileExistsError:
            raise UsageError(f"{folder} is a file: name a folder") from None
        except OSError as error:
            raise ResourceError(f"{folder}: cannot be made: {error.strerror}") from None
        metadata = to_metadata(self.processing) | {"tasks": json.dumps([self.task.name])}
        entry = None if self.record is None else self.record.entry
        if entry is not None:
            metadata |= {
                "name": entry.name,
                "licence": entry.licence,
                "citation": entry.citation,
            }
        path = folder / PRETRAINED_FILE
        save_checkpoint(path, self.network, metadata=metadata)
        config = {
            "library_name": "lkcfuse",
            "architecture": self.architecture.name,
            "network": json.loads(self.architecture.write_config(self.network.config)),
            "tasks": [self.task.name],
            "input_range": list(self.processing.input_range),
            "output_range": list(self.processing.output_range),
            "channel_order": list(self.processing.channel_order),
            "stretch": self.processing.stretch,
        }
        with atomic_write(folder / "config.json", overwrite=True) as file:
            file.write(json.dumps(config, indent=2).encode() + b"\n")
        return path

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """Fuse a batch of pairs.

        Args:
            first: Infrared images or MRI slices, (N, 1, H, W) or (N, 3, H, W) floats in [0, 1]; of
                coloured ones the luma is taken.
            second: Visible images, or CT, PET or SPECT slices, likewise, of the same size.

        Returns:
            (N, 3, H, W) in [0, 1] where a source is coloured whose chroma the task keeps, else
            (N, 1, H, W).

        Raises:
            ValueError: The shapes are not such.
        """
        self.check_shapes(first, second)
        if self.weight_map is not None:
            planes = torch.cat(self.processing.ordered(luma_of(first), luma_of(second)), 1)
            weight: Tensor = self.weight_map(self.processing.scaled(planes))
            return self.mixed(weight, first, second)
        fused = self.luma(luma_of(first), luma_of(second)).clamp(0, 1)
        return self.finished(fused, first, second)

    def luma(self, first: Tensor, second: Tensor) -> Tensor:
        """Fuse lumas, without clipping the result.

        Args:
            first: (N, 1, H, W) in [0, 1].
            second: Likewise.

        Returns:
            (N, 1, H, W) float32 or float64, 0 for black and 1 for white.
        """
        planes = torch.cat(self.processing.ordered(first, second), 1)
        output: Tensor = self.network(self.processing.scaled(planes))
        if output.dtype != torch.float64:
            output = output.float()  # autocast may have made it shorter
        return self.processing.unit(output)

    def finished(self, luma: Tensor, first: Tensor, second: Tensor) -> Tensor:
        """Put chroma back as the task wants it, and do what else the finished image needs.

        Args:
            luma: The fused luma, (N, 1, H, W) in [0, 1].
            first: The first source, as `forward` takes it.
            second: The second source, likewise.

        Returns:
            As `forward`.
        """
        sources = {"second": [second], "none": []}.get(self.task.chroma, [first, second])
        coloured = [source for source in sources if source.shape[1] == 3]
        pixels = recoloured(luma, blended([chroma_of(s) for s in coloured])) if coloured else luma
        return stretched(pixels) if self.processing.stretch else pixels

    def mixed(self, weight: Tensor, first: Tensor, second: Tensor) -> Tensor:
        """Return the mean of two sources, for a network that has a `weight_map`.

        Args:
            weight: What the map gives, (N, 1, H, W) in [0, 1].
            first: The first source, as `forward` takes it.
            second: The second source, likewise.

        Returns:
            As `forward`.
        """
        weight = weight.to(second.dtype)
        if self.task.chroma != "map":
            one, other = self.processing.ordered(luma_of(first), luma_of(second))
            return self.finished(torch.lerp(other, one, weight).clamp(0, 1), first, second)
        if first.shape[1] != second.shape[1]:
            first, second = (s.expand(-1, 3, -1, -1) for s in (first, second))
        one, other = self.processing.ordered(first, second)
        pixels = torch.lerp(other, one, weight)
        return stretched(pixels) if self.processing.stretch else pixels

    @staticmethod
    def check_shapes(first: Tensor, second: Tensor) -> None:
        """Check that two batches are such as `forward` takes.

        Raises:
            ValueError: They are not.
        """
        for name, batch in (("first", first), ("second", second)):
            if batch.ndim != 4 or batch.shape[1] not in (1, 3) or 0 in batch.shape:
                raise ValueError(
                    f"{name} has shape {tuple(batch.shape)}: give (N, 1, H, W) or (N, 3, H, W)"
                )
        if first.shape[0] != second.shape[0] or first.shape[2:] != second.shape[2:]:
            raise ValueError(
                f"first has shape {tuple(first.shape)} and second {tuple(second.shape)}: they must "
                "agree in number, height and width"
            )
