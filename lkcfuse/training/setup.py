"""From what a user names to what a run needs: folders to pairs, a weight's name to a checkpoint."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from lkcfuse.architectures.lkc_funet import NetworkConfig
from lkcfuse.architectures.registry import title
from lkcfuse.architectures.weight_map import WeightMapConfig
from lkcfuse.errors import InputError, UsageError
from lkcfuse.models import resolve
from lkcfuse.models.checkpoint import Checkpoint, load_checkpoint
from lkcfuse.tasks import get_task
from lkcfuse.training.config import PROCESSING, TrainingConfig
from lkcfuse.training.data import Pair, PairSet, find_pairs, find_task_pairs, folder_names, split
from lkcfuse.training.loop import TrainingData
from lkcfuse.training.recipe import Recipe

INIT_SETTINGS = {"learning_rate": 1e-4, "freeze_statistics": 0.0}
"""What differs for weights that are trained already.

At the rate that a network needs from nothing, a few steps undo what a packaged one has learnt. So
do the running statistics of a few augmented crops: after 16 steps on five pairs they alone made it
worse at any rate, and with them kept it got better.
"""


def gather(
    config: TrainingConfig,
    *,
    first: Path | None = None,
    second: Path | None = None,
    data: Path | None = None,
    notify: Callable[[str], None] = lambda _: None,
) -> TrainingData:
    """Find the pairs of a run and set a tenth of them aside.

    Args:
        config: Names the tasks.
        first: Folder of the first sources, together with `second`, for a run of one task.
        second: Folder of the second sources.
        data: In their place, a data folder as `find_task_pairs` describes it; its `val` reports.
        notify: Told, in a line each, what the user should know of the images as they are read.

    Raises:
        InputError: A folder is missing or holds no pairs, or an image has no partner.
        UsageError: Two folders were given for several tasks.
    """
    if first is not None and second is not None:
        if len(config.tasks) != 1:
            raise UsageError("two folders hold the pairs of one task: use --data DIR for several")
        learning, choosing = split(find_pairs(first, second, config.tasks[0]))
        return TrainingData(PairSet(learning, notify), PairSet(choosing, notify), PairSet([]))
    if data is None:
        raise UsageError("give two folders of images, or one folder with --data")
    if not data.is_dir():
        raise InputError(f"{data} does not exist: check the path")
    training: list[Pair] = []
    choosing = []
    reporting: list[Pair] = []
    for task in config.tasks:
        found = find_task_pairs(data, task, "train")
        if found is None:
            names = " and ".join(f"{name}/" for name in folder_names(task))
            name = get_task(task).name
            raise InputError(
                f"{data}: no folders {names} for {name} in it, nor in train/ or {name}/train/"
            )
        learn, choose = split(found)
        training += learn
        choosing += choose
        reporting += find_task_pairs(data, task, "val") or []
    sets = (PairSet(pairs, notify) for pairs in (training, choosing, reporting))
    return TrainingData(*sets)


def start_from(
    weights: str,
    recipe: Recipe,
    *,
    width_given: bool,
    kernels_given: bool,
    notify: Callable[[str], None] | None = None,
    progress: Callable[[float, float], None] | None = None,
) -> tuple[Checkpoint, Recipe]:
    """Load the weights to start from, and give the recipe the network they are of.

    Args:
        weights: A name in the manifest or a path.
        recipe: The recipe.
        width_given: Whether the user asked for the recipe's width.
        kernels_given: Whether the user asked for the recipe's kernels.
        notify: Told in one line what the user should know of the weights.
        progress: Called with (done, total) bytes while they are fetched.

    Raises:
        UsageError: The weights are of another width or other kernels than asked for.
        WeightsError: There are no such weights, or they cannot be loaded.
    """
    config = recipe.last
    found = resolve(weights, config.tasks[0], notify=notify, progress=progress)
    checkpoint = load_checkpoint(found.path)
    if checkpoint.architecture.name != config.architecture:
        raise UsageError(
            f"{weights} is a network of the architecture {checkpoint.architecture.title}, and "
            f"{title(config.architecture)} is to be trained: choose other weights or another recipe"
        )
    swapped = found.processing.channel_order != PROCESSING.channel_order
    if swapped and isinstance(checkpoint.config, NetworkConfig):
        checkpoint = _with_channels_swapped(checkpoint)
    if notify is not None and found.processing.input_range != PROCESSING.input_range:
        low, high = found.processing.input_range
        black, white = PROCESSING.input_range
        notify(
            f"{weights} take values from {low:g} to {high:g} and are trained on {black:g} to "
            f"{white:g}: the first steps will adapt to that"
        )
    network: NetworkConfig | WeightMapConfig = checkpoint.config
    if isinstance(network, WeightMapConfig):
        widths = network.widths
        return checkpoint, recipe.map(lambda settings: settings.with_changes(widths=widths))
    if width_given and network.inner != config.inner:
        raise UsageError(
            f"{weights} has width {network.inner}, not {config.inner}: leave out --width"
        )
    if kernels_given and network.kernels != config.kernels:
        sizes = ",".join(map(str, network.kernels))
        raise UsageError(f"{weights} has kernels {sizes}: leave out --kernels")
    own = {
        "inner": network.inner,
        "kernels": network.kernels,
        "stem_norm": network.stem_norm,
        "base": network.base,
    }
    changed = recipe.map(lambda settings: settings.with_changes(**own))
    return checkpoint, changed


def _with_channels_swapped(checkpoint: Checkpoint) -> Checkpoint:
    """Return a network that takes the second source first, as training gives them."""
    weights = dict(checkpoint.state_dict)
    weights["stem.conv.weight"] = weights["stem.conv.weight"].flip(1)
    return replace(checkpoint, state_dict=weights)
