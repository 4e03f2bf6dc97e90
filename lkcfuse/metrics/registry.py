"""Every metric by its name, what it needs and which way is better; what it is, its docstring tells.

The docstrings are the one place where formula, range and source are written down: `Metric` reads
them from there, so that `--explain` and the documentation cannot drift apart.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from types import MappingProxyType
from typing import Any, Literal, TypeVar

from lkcfuse.errors import UsageError
from lkcfuse.metrics import (
    artefacts,
    correlation,
    edges,
    exposure,
    feature_information,
    information,
    multiscale,
    perceptual,
    pixelwise,
    saliency,
    sharpness,
    structural,
    visual_information,
)

_HEADINGS = ("Args:", "Returns:", "Raises:", "Source:", "Example:")

Function = TypeVar("Function", bound=Callable[..., Any])

_SUM = "a sum over the two sources"
_UP_TO_2 = "a sum over the two sources, up to 2"
_UNDER_7 = "images under 7 pixels in height or width"
_UNDER_161 = "images under 161 pixels in height or width"


class Needs(Enum):
    """What a metric compares the fused image with."""

    NOTHING = "nothing"
    SOURCES = "sources"
    REFERENCE = "reference"


@dataclass(frozen=True)
class Metric:
    """One metric: a pure function, and what a table or a report has to know about it.

    Attributes:
        name: The column's name, as the field writes it.
        function: `(fused)`, `(fused, a, b)` or `(fused, reference)`, by `needs`.
        needs: What the fused image is compared with.
        higher_is_better: The direction.
        verified: Whether the values agree with those of the evaluator behind the field's
            published tables. Otherwise the metric follows its paper and is tested on cases
            worked out by hand.
        ranks: Whether methods may be ranked by it alone. EN, SD, SF and AG may not: noise and
            oversharpening raise them as well.
        scale: How its scale differs from what many papers print; empty where it does not.
        undefined: Which images it is undefined for, where that may be all images of a table.
        on_request: Whether tables have it only where it is named.
        tasks: Names of the tasks whose tables have it where no metrics are named; empty for all.
    """

    name: str
    function: Callable[..., float]
    needs: Needs
    higher_is_better: bool = True
    verified: bool = False
    ranks: bool = True
    scale: str = ""
    undefined: str = ""
    on_request: bool = False
    tasks: tuple[str, ...] = ()

    @property
    def summary(self) -> str:
        """One sentence: what it measures."""
        return self._sections()[""].split("\n\n")[0]

    @property
    def formula(self) -> str:
        """The definition, with where it is undefined."""
        return "\n\n".join(self._sections()[""].split("\n\n")[1:])

    @property
    def range(self) -> str:
        """Unit and range of the values."""
        return self._sections()["Returns"].split(";")[0]

    @property
    def source(self) -> str:
        """The paper that defines it."""
        return self._sections()["Source"]

    def best(self, values: Iterable[float | None]) -> float | None:
        """Return the best of some values; None where all are undefined."""
        defined = [value for value in values if value is not None]
        return (max if self.higher_is_better else min)(defined, default=None)

    def _sections(self) -> dict[str, str]:
        """The docstring's Google-style sections, each paragraph on one line."""
        sections: dict[str, list[str]] = {"": []}
        current = sections[""]
        for line in (inspect.getdoc(self.function) or "").splitlines():
            if line in _HEADINGS:
                current = sections.setdefault(line[:-1], [])
            else:
                current.append(line.strip())
        return {
            name: "\n\n".join(
                paragraph.replace("\n", " ") for paragraph in "\n".join(lines).strip().split("\n\n")
            )
            for name, lines in {"Returns": [], "Source": [], **sections}.items()
        }


_METRICS = (
    Metric("EN", information.en, Needs.NOTHING, verified=True, ranks=False),
    Metric("SD", sharpness.sd, Needs.NOTHING, verified=True, ranks=False),
    Metric("SF", sharpness.sf, Needs.NOTHING, verified=True, ranks=False),
    Metric("AG", sharpness.ag, Needs.NOTHING, verified=True, ranks=False),
    Metric("MI", information.mi, Needs.SOURCES, verified=True),
    Metric("SCD", correlation.scd, Needs.SOURCES, verified=True),
    Metric("CC", correlation.cc, Needs.SOURCES, verified=True),
    Metric("MSE", pixelwise.mse, Needs.SOURCES, higher_is_better=False, verified=True),
    Metric("PSNR", pixelwise.psnr, Needs.SOURCES, verified=True),
    Metric(
        "SSIM", structural.ssim, Needs.SOURCES, verified=True, scale=_UP_TO_2, undefined=_UNDER_7
    ),
    Metric("VIF", visual_information.vif, Needs.SOURCES, verified=True, scale=_SUM),
    Metric("Qabf", edges.qabf, Needs.SOURCES, verified=True),
    Metric("NMI", information.nmi, Needs.SOURCES),
    Metric("FMI", feature_information.fmi, Needs.SOURCES),
    Metric("Nabf", artefacts.nabf, Needs.SOURCES, higher_is_better=False),
    Metric("MS-SSIM", multiscale.ms_ssim, Needs.SOURCES, scale=_UP_TO_2, undefined=_UNDER_161),
    Metric("Qcb", perceptual.qcb, Needs.SOURCES),
    Metric("Qcv", perceptual.qcv, Needs.SOURCES, higher_is_better=False),
    Metric("Qs", saliency.qs, Needs.SOURCES),
    Metric("Qw", saliency.qw, Needs.SOURCES),
    Metric("Qe", saliency.qe, Needs.SOURCES),
    Metric("MEF-SSIM", exposure.mef_ssim, Needs.SOURCES, tasks=("mef",)),
    Metric("GT_PSNR", pixelwise.gt_psnr, Needs.REFERENCE),
    Metric("GT_SSIM", structural.gt_ssim, Needs.REFERENCE, undefined=_UNDER_7),
    Metric("GT_MS-SSIM", multiscale.gt_ms_ssim, Needs.REFERENCE, undefined=_UNDER_161),
    Metric("GT_MAE", pixelwise.gt_mae, Needs.REFERENCE, higher_is_better=False),
)

_REGISTERED = {metric.name: metric for metric in _METRICS}

METRICS: Mapping[str, Metric] = MappingProxyType(_REGISTERED)
"""Every metric by name, in the order of a table's columns; read-only, see `metric` to add one."""

GROUP = "lkcfuse.metrics"
"""Entry points of this group are loaded when metrics are first looked up; see `metric`."""

ALL = "all"
"""Stands among names for all metrics that apply and need not be asked for."""


def metric(
    name: str,
    *,
    needs: Needs = Needs.SOURCES,
    higher_is_better: bool = True,
    ranks: bool = True,
) -> Callable[[Function], Function]:
    """Make a function a metric: `lkcfuse eval --metrics NAME` and `evaluate` then know it.

    Processes that share the scoring import the main module, or the entry point, and know it too.
    Tables have it where it is named (`--metrics all,NAME`).

    Args:
        name: The column's name: letters, digits, `-` and `_`.
        needs: What the function takes: `(fused)`, `(fused, a, b)` or `(fused, reference)`, each a
            `Plane` whose `pixels` have shape (H, W) in grey levels 0..255.
        higher_is_better: The direction.
        ranks: Whether methods may be ranked by it alone.

    Returns:
        A decorator that returns the function as it is. The docstring's first sentence, and its
        `Returns:` and `Source:`, are what `--explain` prints.

    Raises:
        UsageError: The name is taken, or cannot be one.
    """
    if not re.fullmatch(r"[A-Za-z0-9_-]+", name) or name.lower() == ALL:
        raise UsageError(f"'{name}' cannot name a metric: use letters, digits, - and _")

    def register(function: Function) -> Function:
        taken = _by_name().get(name.lower())
        # A main module is imported a second time by the processes that it starts.
        if taken is not None and not _is_same(taken.function, function):
            raise UsageError(f"a metric is called '{taken.name}' already: choose another name")
        _REGISTERED[name] = Metric(
            name,
            function,
            needs,
            higher_is_better=higher_is_better,
            ranks=ranks,
            on_request=True,
        )
        return function

    return register


def find(name: str) -> Metric:
    """Return the metric of a name, upper or lower case; `iqa:NAME` is one of pyiqa's.

    Raises:
        UsageError: There is none, or an entry point that brings metrics cannot be loaded.
        ResourceError: It is one of pyiqa's, which is not installed or cannot be loaded.
    """
    wanted = name.strip().lower()
    if wanted.startswith("iqa:"):
        from lkcfuse.metrics.iqa import iqa_metric

        return iqa_metric(wanted)
    if wanted not in _by_name():
        load_entry_points()
    found = _by_name().get(wanted)
    if found is None:
        raise UsageError(f"no metric is called '{name}': choose from {', '.join(METRICS)}")
    return found


def list_metrics(
    *, reference: bool | None = None, direction: Literal["higher", "lower"] | None = None
) -> list[str]:
    """Return the names of metrics, those of entry points among them.

    Args:
        reference: True for those that compare with a ground truth, False for the others; None for
            both.
        direction: Which way is better; None for both.

    Raises:
        UsageError: The direction is neither, or an entry point cannot be loaded.

    Example:
        >>> list_metrics(reference=False, direction="lower")
        ['MSE', 'Nabf', 'Qcv']
    """
    if direction not in (None, "higher", "lower"):
        raise UsageError(f"the direction is 'higher' or 'lower', not {direction!r}")
    load_entry_points()
    return [
        metric.name
        for metric in METRICS.values()
        if (reference is None or reference == (metric.needs is Needs.REFERENCE))
        and (direction is None or metric.higher_is_better == (direction == "higher"))
    ]


@cache
def load_entry_points() -> None:
    """Load what other packages offer in the group `lkcfuse.metrics`, once.

    Raises:
        UsageError: One cannot be loaded.
    """
    for entry in entry_points(group=GROUP):
        _load(entry)


def _load(entry: EntryPoint) -> None:
    try:
        entry.load()
    except Exception as error:
        package = entry.dist.name if entry.dist is not None else entry.value
        raise UsageError(
            f"the metrics of {package} cannot be loaded ({type(error).__name__}: {error}): "
            "update or uninstall it"
        ) from error


def select(
    names: Iterable[str] | None = None, *, reference: bool = False, task: str | None = None
) -> list[Metric]:
    """Return the metrics of those names, in the order given; all that apply where none is.

    Args:
        names: Names as in `METRICS`, upper or lower case, or `iqa:NAME`; `all` stands for all that
            apply; None for these too.
        reference: Whether a ground truth is at hand.
        task: Name of the task that images were fused for; it leaves out what is for other tasks
            alone, where no names are given.

    Raises:
        UsageError: No metric has that name, or it needs a ground truth and there is none.
        ResourceError: As `find`.
    """
    applying = [
        metric
        for metric in METRICS.values()
        if (reference or metric.needs is not Needs.REFERENCE)
        and (task is None or not metric.tasks or task in metric.tasks)
        and not metric.on_request
    ]
    chosen: dict[str, Metric] = {}
    for name in [ALL] if names is None else names:
        if name.strip().lower() == ALL:
            chosen |= {metric.name: metric for metric in applying}
            continue
        metric = find(name)
        if metric.needs is Needs.REFERENCE and not reference:
            raise UsageError(f"{metric.name} compares with a ground truth, and none was given")
        chosen[metric.name] = metric
    return list(chosen.values())


def _by_name() -> dict[str, Metric]:
    return {name.lower(): metric for name, metric in _REGISTERED.items()}


def _is_same(one: Callable[..., float], other: Callable[..., float]) -> bool:
    """Whether two functions stand at one place of one file."""
    places = [
        (function.__qualname__, getattr(function, "__code__", None)) for function in (one, other)
    ]
    (name, code), (other_name, other_code) = places
    return (
        name == other_name
        and code is not None
        and other_code is not None
        and (code.co_filename, code.co_firstlineno)
        == (other_code.co_filename, other_code.co_firstlineno)
    )
