"""The fusion tasks as data: what the two sources are, and where colour comes from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from lkcfuse.errors import UsageError

Chroma = Literal["second", "none", "blend", "map"]
"""Where a fused image's chroma comes from: the second source; nowhere; both sources, weighed at
each pixel by how colourful they are there; or both, weighed as luma is by a network that gives a
map of weights, and as in `blend` by one that does not."""


@dataclass(frozen=True)
class Role:
    """What one source of a task is.

    Attributes:
        modality: What people call it: `infrared`, `MRI`.
        folder: Name of the folder that data sets keep such images in.
    """

    modality: str
    folder: str


@dataclass(frozen=True)
class Task:
    """One kind of pair that can be fused.

    Attributes:
        name: The name on the command line and in the manifest of weights.
        sources: The roles of the first source (structure or heat) and of the second.
        chroma: Where the result's chroma comes from. A coloured source whose chroma is not used is
            reduced to its luma.
        ordered: Whether it matters which source comes first.
        caution: What whoever looks at a result must know; None where nothing is.

    Raises:
        ValueError: There is no such chroma policy.
    """

    name: str
    sources: tuple[Role, Role]
    chroma: Chroma = "second"
    ordered: bool = True
    caution: str | None = None

    def __post_init__(self) -> None:
        if self.chroma not in get_args(Chroma):
            choices = ", ".join(get_args(Chroma))
            raise ValueError(f"chroma is {self.chroma!r}: it must be one of {choices}")

    @property
    def first(self) -> str:
        """Modality of the first source."""
        return self.sources[0].modality

    @property
    def second(self) -> str:
        """Modality of the second source."""
        return self.sources[1].modality

    @property
    def mixes(self) -> bool:
        """Whether both sources are alike, so that a result may be a mean of the two."""
        return self.chroma in ("blend", "map")

    @property
    def keeps_chroma(self) -> bool:
        """Whether a result can be coloured."""
        return self.chroma != "none"


_INFRARED, _VISIBLE = Role("infrared", "ir"), Role("visible", "vis")
_MRI, _CT = Role("MRI", "mri"), Role("CT", "ct")
_PET, _SPECT = Role("PET", "pet"), Role("SPECT", "spect")

_NO_DIAGNOSIS = "For research, not for diagnosis."

IR_VIS = Task("ir-vis", (_INFRARED, _VISIBLE), "second")
MRI_CT = Task("mri-ct", (_MRI, _CT), "none", caution=_NO_DIAGNOSIS)
MRI_PET = Task("mri-pet", (_MRI, _PET), "second", caution=_NO_DIAGNOSIS)
MRI_SPECT = Task("mri-spect", (_MRI, _SPECT), "second", caution=_NO_DIAGNOSIS)
# Two exposures, and two focal planes: the same camera twice, so the order means nothing. Of two
# exposures one is black or white where the other has colour, and a mean of both is pale; of two
# focal planes both have it.
MEF = Task("mef", (Role("under-exposed", "under"), Role("over-exposed", "over")), "blend", False)
MFF = Task("mff", (Role("near-focus", "near"), Role("far-focus", "far")), "map", False)

TASKS: dict[str, Task] = {
    task.name: task for task in (IR_VIS, MRI_CT, MRI_PET, MRI_SPECT, MEF, MFF)
}


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
