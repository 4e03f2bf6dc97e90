"""What packaged weights have to reach, as data, and which of it they miss."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from quality_summary import Summary


@dataclass(frozen=True)
class Bar:
    """A bound of one figure of `Summary`.

    Attributes:
        figure: Its name there.
        above: It must be more than this.
        least: It must be this or more.
        most: It must be this or less.
        on_mean: The mean over the sets is judged, instead of every set.
    """

    figure: str
    above: float | None = None
    least: float | None = None
    most: float | None = None
    on_mean: bool = False

    def is_met(self, value: float) -> bool:
        """Whether a value of the figure is within the bounds."""
        return (
            (self.above is None or value > self.above)
            and (self.least is None or value >= self.least)
            and (self.most is None or value <= self.most)
        )

    def __str__(self) -> str:
        bounds = (("more than", self.above), ("at least", self.least), ("at most", self.most))
        return " and ".join(f"{word} {bound:g}" for word, bound in bounds if bound is not None)


_LOOK = (Bar("flat.excess_99", most=1), Bar("quarter", most=3))


def _medical(detail: float, *more: Bar) -> tuple[Bar, ...]:
    return (
        *(Bar(f"gain.{metric}", above=0) for metric in ("Qabf", "SSIM", "SCD")),
        Bar("detail.first.ours", least=detail),
        *more,
        Bar("size.512.ours", most=3),
        Bar("size.192.ours", most=3),
        *_LOOK,
    )


_HOTTEST = Bar("hottest", least=-2, most=15)

_LABELS = {
    "flat.excess_99": "flat areas rougher than the sources, worst hundredth, levels",
    "quarter": "quarter fused by itself, mean difference, levels",
    "quarter.worst": "quarter fused by itself, worst picture, levels",
    "detail.first.ours": "first source's detail under a brighter second",
    "detail.second.ours": "second source's detail under a brighter first",
    "darkening.mean": "darkening by block, levels",
    "darkening.far_below": "share of blocks darkened by more than 12 levels",
    "tone.worst": "darkest picture's mean less the maximum's, levels",
    "turns.mean": "flips and turns, mean difference, levels",
    "turns.largest": "flips and turns, largest difference, levels",
    "hottest": "hottest pixels less their source, levels",
    "size.512.ours": "fused at 512 pixels, mean difference, levels",
    "size.192.ours": "fused at 192 pixels, mean difference, levels",
}

BARS: dict[str, tuple[Bar, ...]] = {
    "ir-vis": (
        Bar("gain.VIF", above=0),
        Bar("gain.SSIM", above=0),
        Bar("gain.SCD", least=0.04),
        Bar("gain.Qabf", least=-0.01),
        Bar("darkening.mean", most=1.5),
        Bar("darkening.far_below", most=0.01),
        Bar("tone.worst", least=-4),
        *_LOOK,
        Bar("quarter.worst", most=8),
        Bar("turns.mean", most=0.3),
        Bar("turns.largest", most=10),
        Bar("gain.VIF", least=0.05, on_mean=True),
        Bar("gain.Qabf", above=0, on_mean=True),
        Bar("gain.SSIM", least=0.008, on_mean=True),
        Bar("gain.SCD", least=0.1, on_mean=True),
        Bar("detail.first.ours", least=0.2, on_mean=True),
        Bar("detail.second.ours", least=0.53, on_mean=True),
    ),
    "mri-ct": _medical(0.55),
    "mri-pet": _medical(0.72, _HOTTEST),
    "mri-spect": _medical(0.90, _HOTTEST),
}


@dataclass(frozen=True)
class Miss:
    """A bar and where it is missed.

    Attributes:
        bar: The bar.
        values: The figure by set, worst first; by "mean over the sets" where that is judged.
        pictures: By set, the picture that decides the figure, where one does.
    """

    bar: Bar
    values: dict[str, float]
    pictures: dict[str, str]

    def __str__(self) -> str:
        cells = []
        for name, value in self.values.items():
            picture = f" ({self.pictures[name]})" if name in self.pictures else ""
            cells.append(f"{name} {value:+.4g}{picture}".strip())
        return f"{label(self.bar.figure)}: {self.bar} is wanted; {', '.join(cells)}"

    def to_json(self) -> dict[str, object]:
        """Return it as JSON data."""
        return {
            "figure": self.bar.figure,
            "bar": str(self.bar),
            "values": self.values,
            "pictures": self.pictures,
        }


def missed(task: str, sets: Sequence[Summary], mean: Summary) -> Iterator[Miss]:
    """Yield the bars that a set, or the mean over the sets, misses.

    Args:
        task: The task's name; one that has no bars misses none.
        sets: The sets.
        mean: Their mean.
    """
    for bar in BARS.get(task, ()):
        judged = {s.name: s for s in ((mean,) if bar.on_mean else sets) if bar.figure in s.figures}
        values = {name: s.figures[bar.figure] for name, s in judged.items()}
        values = {name: value for name, value in values.items() if not bar.is_met(value)}
        if values:
            order = sorted(values, key=values.__getitem__, reverse=bar.most is not None)
            # Of a gain `worst` names the picture that drags it down, which decides nothing.
            pictures = {
                name: judged[name].worst[bar.figure]
                for name in order
                if bar.figure in judged[name].worst and not bar.figure.startswith("gain.")
            }
            yield Miss(bar, {name: values[name] for name in order}, pictures)


def label(figure: str) -> str:
    """Return what people call a figure."""
    gain = figure.removeprefix("gain.")
    return f"{gain} less the maximum's" if gain != figure else _LABELS[figure]


def not_judged(task: str, sets: Sequence[Summary]) -> list[str]:
    """Return what has a bar and could be measured on no set."""
    figures = dict.fromkeys(bar.figure for bar in BARS.get(task, ()))
    return [label(name) for name in figures if not any(name in s.figures for s in sets)]
