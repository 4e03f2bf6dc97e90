"""Score image files: read, evaluate, over processes where there is enough to do."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import islice

import cv2
import numpy as np

from lkcfuse.errors import LkcfuseError, ResourceError
from lkcfuse.images import Image, read_image
from lkcfuse.metrics.cases import MAXIMUM, Case, Plan
from lkcfuse.metrics.evaluator import evaluate
from lkcfuse.metrics.plane import FloatArray, Plane, planes
from lkcfuse.metrics.registry import Needs, select
from lkcfuse.metrics.workers import WorkerPool
from lkcfuse.pairs.options import PairOptions
from lkcfuse.pairs.prepare import prepare_pair
from lkcfuse.remote import Location

#: Starting a process costs about as much as scoring this many images.
_WORTH_A_PROCESS = 4


@dataclass(frozen=True)
class Score:
    """The metrics of one method on one case.

    Attributes:
        name: The case's.
        method: The method's.
        values: Value by metric; nan where undefined.
    """

    name: str
    method: str
    values: dict[str, float]


@dataclass(frozen=True)
class Failure:
    """A case, or one method's image of it, that could not be scored.

    Attributes:
        name: The case's.
        message: One line that names the file and the cure.
    """

    name: str
    message: str


@dataclass(frozen=True)
class Scores:
    """What `score` returns.

    Attributes:
        scores: In the order of the plan: method by method, case by case.
        failures: What could not be scored, in the order of the cases.
        notes: What the user should know about the files as they were read, a line each.
    """

    scores: tuple[Score, ...]
    failures: tuple[Failure, ...]
    notes: tuple[str, ...]


def score(
    plan: Plan,
    metrics: Sequence[str] | None = None,
    *,
    workers: int = 1,
    progress: Callable[[float, float], None] | None = None,
) -> Scores:
    """Score every case of a plan with every metric.

    A file that cannot be read, or whose size is not its sources', fails alone: the rest is scored.

    Args:
        plan: What to score.
        metrics: Names of metrics; by default all that apply. A metric that needs a ground truth is
            left out of cases that have none.
        workers: Processes to spread the cases over; fewer are started where there is little to do.
            The main module must be importable, as `multiprocessing`'s spawn has it.
        progress: Called with (cases done, cases in all).

    Returns:
        The scores, and what failed.

    Raises:
        UsageError: An unknown metric, or one that needs a ground truth where no case has one.
        ResourceError: A worker process was killed.
    """
    reference = any(case.reference is not None for case in plan.cases)
    names = [metric.name for metric in select(metrics, reference=reference)]
    methods = plan.methods + plan.baselines
    images = len(plan.cases) * len(methods)
    workers = min(workers, len(plan.cases), images // _WORTH_A_PROCESS)
    results: dict[int, _Result] = {}
    report = progress or (lambda _done, _total: None)
    # Closed at once when an interrupt comes here: the processes would go on until all is done.
    with closing(_results(plan.cases, names, plan.baselines, workers)) as finished:
        for index, result in finished:
            results[index] = result
            report(len(results), len(plan.cases))
    ordered = [results[index] for index in range(len(plan.cases))]
    return Scores(
        tuple(r.values[m] for m in methods for r in ordered if m in r.values),
        tuple(failure for r in ordered for failure in r.failures),
        tuple(dict.fromkeys(note for r in ordered for note in r.notes)),
    )


def levels_of(image: Image) -> FloatArray:
    """Return an image's luma as the metrics take it: float grey levels 0..255, shape (H, W).

    The luma of colour, and all luma of 8-bit files, is rounded to whole levels, as the field's
    evaluator reads it; grey of 16 bits or float keeps its fractions.
    """
    levels: FloatArray = image.luma.astype(np.float64) * 255
    if image.chroma_samples is not None or image.dtype == np.uint8:
        # BT.601 luma of 8-bit colour has three decimals: what float32 added must not turn a tie.
        levels = np.rint(np.round(levels, 3))
    return levels


@dataclass
class _Result:
    """One case's part of the table."""

    values: dict[str, Score]
    failures: list[Failure]
    notes: list[str]


def _results(
    cases: Sequence[Case], names: list[str], baselines: tuple[str, ...], workers: int
) -> Generator[tuple[int, _Result], None, None]:
    """Yield each case's index and result, as they are done."""
    if workers < 2:
        with _one_thread():
            for index, case in enumerate(cases):
                yield index, _score_case(case, names, baselines)
        return
    try:
        with WorkerPool(workers) as pool:
            waiting = iter(enumerate(cases))
            running: dict[Future[_Result], int] = {}
            while True:
                for index, case in islice(waiting, 2 * workers - len(running)):
                    running[pool.submit(_score_case, case, names, baselines)] = index
                if not running:
                    break
                # Not without end: an interrupt is only answered between two waits where the
                # system wakes another thread for it, or none (Windows).
                done, _ = wait(running, timeout=0.2, return_when=FIRST_COMPLETED)
                for future in done:
                    yield running.pop(future), future.result()
    except BrokenProcessPool:
        raise ResourceError(
            "a worker process ended before its work, for want of memory most likely: "
            "use fewer (--workers 1)"
        ) from None


def _score_case(case: Case, names: list[str], baselines: tuple[str, ...]) -> _Result:
    result = _Result({}, [], [])

    @contextmanager
    def failing_alone() -> Iterator[None]:
        try:
            yield
        except LkcfuseError as error:
            result.failures.append(Failure(case.name, str(error)))

    sources: tuple[Plane, ...] = ()
    with failing_alone():
        sources = planes(*_read_sources(case, result))
    if not sources:
        return result
    a, b = sources
    reference: Plane | None = None
    if case.reference is not None:
        with failing_alone():
            reference = planes(a, _read(case.reference, result))[1]
    applying = [
        metric.name
        for metric in select(names, reference=True)
        if reference is not None or metric.needs is not Needs.REFERENCE
    ]

    def add(method: str, fused: Plane) -> None:
        values = evaluate(fused, a, b, applying, reference=reference)
        result.values[method] = Score(case.name, method, values)

    for method, path in case.fused.items():
        with failing_alone():
            fused = _read(path, result)
            for source in (a, b):
                if np.array_equal(fused.pixels, source.pixels):
                    result.notes.append(
                        f"{fused.name} does not differ in luma from its source {source.name}"
                    )
            add(method, fused)
    for method in baselines:
        add(method, Plane(_baseline(method, a.pixels, b.pixels), method))
    return result


def _baseline(method: str, a: FloatArray, b: FloatArray) -> FloatArray:
    """Return a baseline as a file of the sources' depth would hold it."""
    if method == MAXIMUM:
        return np.maximum(a, b)
    mean: FloatArray = (a + b) / 2
    if (np.rint(a) == a).all() and (np.rint(b) == b).all():
        # Halves go up: to the even level they would thin out every other one, and lower EN.
        mean = np.floor(mean + 0.5)
    return mean


def _read_sources(case: Case, result: _Result) -> tuple[Plane, Plane]:
    """Return both sources as they were fused."""
    images = (
        read_image(case.first, case.options.first),
        read_image(case.second, case.options.second),
    )
    for image in images:
        result.notes.extend(image.notes)
    if case.options != PairOptions():
        pair = prepare_pair(*images, case.options)
        images = pair.first, pair.second
    first, second = (Plane(levels_of(image), image.name) for image in images)
    return first, second


def _read(path: Location, result: _Result) -> Plane:
    image = read_image(path)
    result.notes.extend(image.notes)
    return Plane(levels_of(image), str(path))


@contextmanager
def _one_thread() -> Iterator[None]:
    """Keep OpenCV to one thread: at these sizes more threads cost more than they give."""
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(threads)
