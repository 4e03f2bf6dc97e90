"""Two images in, one fused image out: the door that everything above enters through."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, overload

import numpy as np
import numpy.typing as npt

from lkcfuse.errors import InputError, UsageError, WeightsError
from lkcfuse.fusion.batches import check_is_array, is_tensor, join_batch, split_batch
from lkcfuse.fusion.brackets import check_bracket, place_in_order, weights_of_bracket
from lkcfuse.fusion.composition import (
    check_no_warnings,
    compose,
    constant_warning,
    other_source,
    sign,
)
from lkcfuse.fusion.mixing import mix
from lkcfuse.fusion.shares import least_squares_share
from lkcfuse.images import (
    Image,
    check_output,
    image_from_array,
    image_to_array,
    stretch_image,
    write_image,
)
from lkcfuse.images.arrays import to_array
from lkcfuse.images.colour import FloatArray
from lkcfuse.pairs import Pair, PairOptions, check_files, read_pair
from lkcfuse.tasks import Task, get_task

if TYPE_CHECKING:
    # torch is imported when a network is first needed, after everything that can fail quickly.
    import torch

    from lkcfuse.fusion.model import FusionModel
    from lkcfuse.fusion.volumes import FusedVolume
    from lkcfuse.inference import InferenceOptions, InferenceSession
    from lkcfuse.models import Manifest, ModelRecord
    from lkcfuse.volumes import VolumeOptions

_LOG = logging.getLogger(__name__)

Notify = Callable[[str], None]
"""Called with one line that the user should see."""

Progress = Callable[[float, float], None]
"""Called with (done, total), in any unit, as work goes on."""

Source = str | os.PathLike[str] | BinaryIO


class Fuser:
    """Fuses pairs of registered images with LKC-FUNet; loads the network once.

    The second image's chroma is kept, where the task keeps chroma at all; a coloured first image
    is reduced to its luma. A copy that is pickled for another process takes along what was asked
    for, and finds and loads the network there.

    Args:
        task: What the pairs show: `ir-vis`, `mri-ct`, `mri-pet`, `mri-spect`, `mef` or `mff`.
        weights: A name in the manifest of weights or the path of a checkpoint; None takes the
            first entry made for the task.
        device: `auto`, `cpu`, `cuda`, `cuda:N` or `mps`.
        threads: Threads on the CPU; None takes as many CPUs as this process may use.
        manifest: A further manifest of weights, read or by its path.
        offline: Never fetch weights from the network.
        options: How to run the network: tiles, memory, precision.
        notify: Told, one line each, what the user should know; left out, such lines are logged as
            warnings.

    Raises:
        UsageError: No task or device has that name, or the number of threads is below 1.
        WeightsError: No weights have that name, or a path leads nowhere; the manifest is not valid.

    Example:
        Weights come with the package, or are fetched when they are first needed::

            fuser = Fuser(task="ir-vis")
            fused = fuser.fuse(infrared, visible)
    """

    def __init__(
        self,
        task: str | Task = "ir-vis",
        *,
        weights: str | os.PathLike[str] | None = None,
        device: str = "auto",
        threads: int | None = None,
        manifest: Manifest | str | os.PathLike[str] | None = None,
        offline: bool = False,
        options: InferenceOptions | None = None,
        notify: Notify | None = None,
    ) -> None:
        from lkcfuse.inference.options import check_device_name, check_threads
        from lkcfuse.models.resolve import check_weights

        self.task = get_task(task)
        self._asked_device = check_device_name(device)
        self._asked_threads = check_threads(threads)
        check_weights(weights, self.task, manifest)
        self._asked_weights = weights
        self._manifest = manifest
        self._offline = offline
        self._options = options
        self.notify = notify or _LOG.warning
        self._resolved: ModelRecord | None = None
        self._loaded: (
            tuple[FusionModel, InferenceSession, ModelRecord, torch.device, int] | None
        ) = None

    def __repr__(self) -> str:
        if self._loaded is not None:
            return f"<Fuser {self.task.name}: {self.describe()}>"
        weights = self._asked_weights or "default weights"
        return f"<Fuser {self.task.name}: {weights} on {self._asked_device}, not loaded>"

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "notify": _LOG.warning, "_resolved": None, "_loaded": None}

    @classmethod
    def from_pretrained(
        cls,
        weights: str | os.PathLike[str],
        *,
        task: str | Task = "ir-vis",
        **settings: Any,
    ) -> Fuser:
        """Load a fuser's checkpoint, after the manner of the Hugging Face libraries.

        Args:
            weights: As `Fuser` takes it: `hf://owner/name`, a folder that `save_pretrained` wrote,
                a name or a file.
            task: What the pairs show.
            settings: Further arguments of `Fuser`.

        Raises:
            LkcfuseError: As `load`.
        """
        return cls(task, weights=weights, **settings).load()

    def save_pretrained(self, folder: str | os.PathLike[str]) -> Path:
        """Write the checkpoint as a folder that `from_pretrained` reads, or the Hub takes.

        See `FusionModel.save_pretrained`.
        """
        return self.model.save_pretrained(folder)

    def close(self) -> None:
        """Give back what was kept for the next image; fusing goes on all the same."""
        if self._loaded is not None:
            self._loaded[1].close()

    def __enter__(self) -> Fuser:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def load(self, *, progress: Progress | None = None) -> Fuser:
        """Find the device and the weights, and load the network; fusing does it if this did not.

        Args:
            progress: Called with (done, total) bytes while weights are fetched.

        Returns:
            This fuser.

        Raises:
            UsageError: The device's name or the number of threads is not valid.
            ResourceError: The device is absent.
            WeightsError: The weights are unknown, unreachable or damaged.
        """
        self._ready(progress)
        return self

    def resolve(self, *, progress: Progress | None = None) -> ModelRecord:
        """Find the weights, and fetch them if need be, without loading the network.

        Args:
            progress: Called with (done, total) bytes while weights are fetched.

        Returns:
            The weights: their name, file, hash and value ranges.

        Raises:
            WeightsError: The weights are unknown, unreachable or damaged.
        """
        if self._resolved is None:
            from lkcfuse.models import resolve

            self._resolved = resolve(
                self._asked_weights,
                self.task,
                offline=self._offline,
                manifest=self._manifest,
                notify=self.notify,
                progress=progress,
            )
        return self._resolved

    @property
    def model(self) -> FusionModel:
        """The network with all that is done before and after it, as a module on tensors."""
        return self._ready()[0]

    @property
    def weights(self) -> ModelRecord:
        """The weights in use: their name, file, hash and value ranges."""
        return self.resolve()

    @property
    def device(self) -> torch.device:
        """The device in use."""
        return self._ready()[3]

    @property
    def threads(self) -> int:
        """Threads that the CPU computes with."""
        return self._ready()[4]

    def describe(self) -> str:
        """Return what was chosen, for people: the weights and the device."""
        from lkcfuse.inference import describe

        _, _, weights, device, threads = self._ready()
        return f"{weights.name} on {describe(device, threads=threads)}"

    @overload
    def fuse(
        self,
        first: torch.Tensor,
        second: torch.Tensor,
        *,
        invert_first: bool = False,
        progress: Progress | None = None,
    ) -> torch.Tensor: ...

    @overload
    def fuse(
        self,
        first: npt.ArrayLike,
        second: npt.ArrayLike,
        *,
        invert_first: bool = False,
        progress: Progress | None = None,
    ) -> npt.NDArray[np.generic]: ...

    def fuse(
        self,
        first: npt.ArrayLike | torch.Tensor,
        second: npt.ArrayLike | torch.Tensor,
        *,
        invert_first: bool = False,
        progress: Progress | None = None,
    ) -> npt.NDArray[np.generic] | torch.Tensor:
        """Fuse two arrays or tensors, or two batches of them.

        Args:
            first: The infrared image or MRI slice. An array: (H, W) or (H, W, 1) grey or
                (H, W, 3) RGB, or a batch (N, H, W, 1) or (N, H, W, 3); uint8 or uint16 over their
                whole range, or float in [0, 1]. A Pillow image of mode L, RGB, I;16 or F counts as
                its array. A tensor: (C, H, W) or (N, C, H, W) with 1 or 3 channels, uint8 or float
                in [0, 1], on any device.
            second: The visible image, or the CT, PET or SPECT slice; likewise, of the same size.
            invert_first: The first image is black-hot: invert it before fusing.
            progress: Called with (done, total) as the network goes on, for each pair of a batch.

        Returns:
            As many channels as the second image has, if the task keeps chroma; else one. A grey
            image that is not a batch is (H, W) as an array, and (1, H, W) as a tensor. Of the
            sources' type; where they differ, of the one that holds both (`result_type`). A tensor
            is on the second source's device, and carries no gradient: see `FusionModel`.

        Raises:
            InputError: A source is unfit, or is a path (see `fuse_files`), or their sizes differ.
            LkcfuseError: As `load`.
        """
        for name, source in self._named(first, second):
            check_is_array(source, name)
        if is_tensor(first) or is_tensor(second):
            from lkcfuse.fusion.tensors import fuse_tensors

            model, session, *_ = self._ready()
            return fuse_tensors(
                model, session, first, second, invert_first=invert_first, progress=progress
            )
        named = self._named(first, second)
        if any(to_array(value, name).ndim == 4 for name, value in named):
            batches = [split_batch(name, batch) for name, batch in named]
            if len(batches[0]) != len(batches[1]):
                raise InputError(
                    f"the batches have {len(batches[0])} and {len(batches[1])} images: give "
                    "the same number of both"
                )
            fused = [
                self._fuse_arrays(one, other, invert_first, progress)
                for one, other in zip(batches[0], batches[1], strict=True)
            ]
            return join_batch(fused)
        return self._fuse_arrays(first, second, invert_first, progress)

    def _fuse_arrays(
        self,
        first: npt.ArrayLike,
        second: npt.ArrayLike,
        invert_first: bool,
        progress: Progress | None,
    ) -> npt.NDArray[np.generic]:
        pair = Pair(
            *(image_from_array(array, name=name) for name, array in self._named(first, second))
        )
        return image_to_array(self.fuse_pair(pair, invert_first=invert_first, progress=progress))

    def _named(
        self, first: npt.ArrayLike, second: npt.ArrayLike
    ) -> tuple[tuple[str, npt.ArrayLike], tuple[str, npt.ArrayLike]]:
        return (
            (f"the {self.task.first} array", first),
            (f"the {self.task.second} array", second),
        )

    def fuse_files(
        self,
        first: Source,
        second: Source,
        output: Source,
        *,
        format: str | None = None,  # noqa: A002 - the option's name
        overwrite: bool = False,
        invert_first: bool = False,
        options: PairOptions | None = None,
        progress: Progress | None = None,
    ) -> Image:
        """Fuse two image files into a third.

        Whatever can be found wrong with the files is, before the network is loaded.

        Args:
            first: The infrared image or MRI slice: a path, or a file open for reading bytes.
            second: The visible image, or the CT, PET or SPECT slice; likewise.
            output: Where to write: a path, which gets the file whole or not at all; or a file
                open for writing bytes.
            format: Format of the output; None goes by its suffix, and means PNG for an open file.
            overwrite: Whether an output that exists is replaced.
            invert_first: The first image is black-hot: invert it before fusing.
            options: How to read the two and bring them together; None for the defaults.
            progress: Called with (done, total) as the network goes on.

        Returns:
            The fused image; it was written as deep as the deeper source, if the format holds that.

        Raises:
            InputError: A source is missing, unreadable or unfit, or their sizes differ.
            UsageError: The output exists, its folder does not, or its format is unknown or cannot
                hold the size; or one file was given twice.
            ResourceError: The output cannot be written.
            LkcfuseError: As `load`.
        """
        options = options or PairOptions()
        # Each option takes another part of the file: four channels, or a radiometric one.
        parts = [(o.fourth_channel, o.radiometric) for o in (options.first, options.second)]
        both = first == second and parts[0] != parts[1]
        check_files(first, None if both else second, output)
        destination = output if isinstance(output, (str, os.PathLike)) else None
        check_output(destination, format=format, overwrite=overwrite)
        pair = read_pair(first, second, options)
        check_output(destination, format=format, overwrite=overwrite, size=pair.size)
        fused = self.fuse_pair(
            pair,
            invert_first=invert_first or options.invert_first,
            strength=options.strength,
            refuse_warnings=options.refuse_warnings,
            progress=progress,
        )
        write_image(fused, output, format=format, overwrite=overwrite)
        return fused

    def fuse_pair(
        self,
        pair: Pair,
        *,
        invert_first: bool = False,
        strength: float = 1.0,
        refuse_warnings: bool = False,
        progress: Progress | None = None,
        on_map: Callable[[FloatArray], None] | None = None,
    ) -> Image:
        """Fuse two images that have been read.

        Args:
            pair: The two images.
            invert_first: The first image is black-hot: invert it before fusing.
            strength: How much of the fusion there is in the result's luma: 0 is the second source,
                1 the fusion.
            refuse_warnings: Raise instead of fusing a pair that there is something to warn of.
            progress: Called with (done, total) as the network goes on.
            on_map: Called with the first source's share at each pixel, (H, W) float32 in [0, 1]:
                what the network weighs it by, or, where it does more than that, the share that is
                closest to its result in a window.

        Returns:
            The fused image: luma from the network, chroma and colour profile from the second
            image, samples as deep as the deeper source's; for exposures and focal planes the
            weighted mean of both, with the colours of both. Where a source has no data it is the
            other one; where one source is constant it is the other one everywhere. Its `notes` are
            the warnings about the pair; its `metadata` are those of the source that gives the
            colour (the first, where none does), with the task and the weights.

        Raises:
            RefusedError: There are warnings, and they are refused.
            LkcfuseError: As `load`.
        """
        model, session, weights, device, _ = self._ready()
        processing = model.processing
        if device.type == "cpu":
            # Memory is looked at before the first product of matrices, luma's: without any left,
            # NumPy's library would end the process.
            session.check(*pair.size)
        notes = pair.notes(self.task)
        constant = pair.constant()
        if constant is not None:
            notes += (constant_warning(pair, constant),)
        if refuse_warnings:
            check_no_warnings(notes)
        for note in notes:
            self.notify(note)
        if constant is not None:
            if on_map is not None:
                on_map(np.full(pair.size, constant == "second", np.float32))
            if model.weight_map is not None and not invert_first:
                alive = pair.second if constant == "first" else pair.first
                return sign(replace(alive, notes=notes), self.task, None)
            alone = other_source(pair, constant, self.task, invert_first=invert_first)
            return sign(replace(alone, notes=notes), self.task, None)
        output = self._run(pair, invert_first=invert_first, progress=progress)
        if model.weight_map is not None:
            first = output if processing.channel_order[0] == "first" else 1 - output
            if on_map is not None:
                on_map(first)
            first = first * np.float32(strength)
            sources = (pair.first, pair.second)
            fused = mix(
                sources,
                (first, 1 - first),
                colours_too=self.task.chroma == "map",
                invert_first=invert_first,
            )
        else:
            processing.unit_in_place(output)
            np.clip(output, 0, 1, out=output)
            if on_map is not None:
                planes = pair.stack(("first", "second"), invert_first=invert_first)
                on_map(least_squares_share(output, *planes))
            fused = compose(pair, output, self.task, invert_first=invert_first, strength=strength)
        fused = sign(replace(fused, notes=notes), self.task, weights)
        return stretch_image(fused) if processing.stretch else fused

    def fuse_images(
        self,
        images: Sequence[Image],
        *,
        refuse_warnings: bool = False,
        progress: Progress | None = None,
        on_map: Callable[[FloatArray], None] | None = None,
    ) -> Image:
        """Fuse two images or more, whose order does not matter: a bracket of exposures.

        Every two are compared by the network, and the weights of all are made of that
        (`lkcfuse.fusion.brackets`), so that n images take n (n - 1) / 2 runs.

        Args:
            images: At least two, of one size.
            refuse_warnings: Raise instead of fusing images that there is something to warn of.
            progress: Called with (done, total) as the network goes on.
            on_map: Called with the place of each pixel's source, (H, W) float32: 1 for the first
                image, 0 for the last, weighted means in between.

        Returns:
            The weighted mean, as deep as the deepest of them.

        Raises:
            InputError: The sizes differ, or there are fewer than two.
            UsageError: The task's sources have an order, or the weights do not weigh them.
            LkcfuseError: As `load`.
        """
        if len(images) == 2:
            return self.fuse_pair(
                Pair(*images), refuse_warnings=refuse_warnings, progress=progress, on_map=on_map
            )
        check_bracket(images, self.task)
        model = self.model
        if model.weight_map is None:
            raise UsageError(
                f"weights '{self.weights.name}' fuse two images and got {len(images)}: choose "
                "those of a weight-map network, such as the packaged ones"
            )
        notes = tuple(note for image in images for note in image.notes)
        if refuse_warnings:
            check_no_warnings(notes)
        for note in notes:
            self.notify(note)
        first_is_channel_0 = model.processing.channel_order[0] == "first"

        def share_of_first(pair: Pair, told: Progress | None) -> FloatArray:
            output = self._run(pair, progress=told)
            return output if first_is_channel_0 else 1 - output

        weights = weights_of_bracket(images, share_of_first, progress)
        if on_map is not None:
            on_map(place_in_order(weights))
        fused = mix(images, weights, colours_too=self.task.chroma == "map")
        return sign(replace(fused, notes=notes), self.task, self.weights)

    def _run(
        self, pair: Pair, *, invert_first: bool = False, progress: Progress | None = None
    ) -> FloatArray:
        """Run the network, or its weight map, and check what it gives: (H, W)."""
        model, session, weights, *_ = self._ready()
        inputs = pair.stack(model.processing.channel_order, invert_first=invert_first)
        model.processing.scale_in_place(inputs)
        output = session.run(inputs, progress=progress)
        del inputs  # of a large image they are a large part of the memory
        # NaN makes a bound NaN; a mask would be as large as an image.
        if not np.isfinite([output.min(), output.max()]).all():
            raise WeightsError(
                f"weights '{weights.name}' give NaN or infinite values for {pair.first.name} "
                f"and {pair.second.name}: choose other weights"
            )
        return output

    def fuse_volume(
        self,
        first: Any,
        second: Any,
        *,
        options: VolumeOptions | None = None,
        progress: Progress | None = None,
    ) -> FusedVolume:
        """Fuse two scans, slice by slice on one grid; takes the extra `medical`.

        Args:
            first: The MRI: a path (NIfTI, NRRD, MetaImage, DICOM or the folder of a series), a
                SimpleITK or nibabel image, or a tuple of an array and its affine, both as nibabel
                has them.
            second: The CT, PET or SPECT; likewise. It is resampled onto the first's grid.
            options: Windows, colours, grid and plane; None for the defaults.
            progress: Called with (done, total) slices.

        Returns:
            The fused scan: its `array` and `affine` as nibabel has them, or `to_sitk()`.

        Raises:
            InputError: A scan cannot be read, or the two cannot be compared.
            UsageError: An option makes no sense, or a library is not installed.
            LkcfuseError: As `load`.
        """
        from lkcfuse.fusion.volumes import fuse_scans, prepare_scans
        from lkcfuse.volumes import VolumeOptions

        options = options or VolumeOptions()
        scans = prepare_scans(first, second, self.task, options, self.notify)
        return fuse_scans(self, scans, options, progress)

    def _ready(
        self, progress: Progress | None = None
    ) -> tuple[FusionModel, InferenceSession, ModelRecord, torch.device, int]:
        if self._loaded is None:
            from lkcfuse.fusion.model import FusionModel
            from lkcfuse.inference import InferenceSession, select_device, thread_count

            device = select_device(self._asked_device)
            threads = thread_count(self._asked_threads)
            weights = self.resolve(progress=progress)
            model = FusionModel.of_record(weights).to(device)
            runs = model.network if model.weight_map is None else model.weight_map
            session = InferenceSession(runs, device=device, options=self._options, threads=threads)
            self._loaded = (model, session, weights, device, threads)
        return self._loaded


def fuse(
    first: npt.ArrayLike,
    second: npt.ArrayLike,
    *,
    task: str | Task = "ir-vis",
    weights: str | os.PathLike[str] | None = None,
    device: str = "auto",
    invert_first: bool = False,
) -> npt.NDArray[np.generic]:
    """Fuse two arrays once; for many pairs make a `Fuser`, which loads the network once.

    See `Fuser` and `Fuser.fuse` for the arguments, the result and what is raised.
    """
    return Fuser(task, weights=weights, device=device).fuse(
        first, second, invert_first=invert_first
    )
