"""Every metric by its name, what it needs and which way is better; what it is, its docstring tells.

The docstrings are the one place where formula, range and source are written down: `Metric` reads
them from there, so that `--explain` and the documentation cannot drift apart.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum

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

#: Every metric by name, in the order of a table's columns.
METRICS: dict[str, Metric] = {metric.name: metric for metric in _METRICS}


def select(
    names: Iterable[str] | None = None, *, reference: bool = False, task: str | None = None
) -> list[Metric]:
    """Return the metrics of those names, in the order given; all that apply where none is.

    Args:
        names: Names as in `METRICS`, upper or lower case; None for every metric there is.
        reference: Whether a ground truth is at hand.
        task: Name of the task that images were fused for; it leaves out what is for other tasks
            alone, where no names are given.

    Raises:
        UsageError: No metric has that name, or it needs a ground truth and there is none.
    """
    if names is None:
        return [
            metric
            for metric in METRICS.values()
            if (reference or metric.needs is not Needs.REFERENCE)
            and (task is None or not metric.tasks or task in metric.tasks)
        ]
    by_name = {name.lower(): metric for name, metric in METRICS.items()}
    chosen: dict[str, Metric] = {}
    for name in names:
        metric = by_name.get(name.strip().lower())
        if metric is None:
            raise UsageError(f"no metric is called '{name}': choose from {', '.join(METRICS)}")
        if metric.needs is Needs.REFERENCE and not reference:
            raise UsageError(f"{metric.name} compares with a ground truth, and none was given")
        chosen[metric.name] = metric
    return list(chosen.values())
