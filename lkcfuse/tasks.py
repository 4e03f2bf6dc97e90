"""The fusion tasks as data: what the two sources are, and where colour comes from."""

from __future__ import annotations

from dataclasses import dataclass

from lkcfuse.errors import UsageError


@dataclass(frozen=True)
class Task:
    """One kind of pair that can be fused.

    Attributes:
        name: The name on the command line and in the manifest of weights.
        first: Modality of the first source (structure or heat), always reduced to luma.
        second: Modality of the second source.
        keeps_chroma: Whether the result takes the second source's chroma. Where it does not, a
            coloured second source is reduced to luma and the result is grey.
    """

    name: str
    first: str
    second: str
    keeps_chroma: bool


IR_VIS = Task("ir-vis", "infrared", "visible", keeps_chroma=True)
MRI_CT = Task("mri-ct", "MRI", "CT", keeps_chroma=False)
MRI_PET = Task("mri-pet", "MRI", "PET", keeps_chroma=True)
MRI_SPECT = Task("mri-spect", "MRI", "SPECT", keeps_chroma=True)

TASKS: dict[str, Task] = {task.name: task for task in (IR_VIS, MRI_CT, MRI_PET, MRI_SPECT)}


def get_task(name: str | Task) -> Task:
    """Return the task of that name; a `Task` is returned as it is.

    Raises:
        UsageError: No task has that name; the message lists those there are.
    """
    if isinstance(name, Task):
        return name
    try:
        return TASKS[name]
    except KeyError:
        known = ", ".join(TASKS)
        raise UsageError(f"no task is called '{name}': choose one of {known}") from None
