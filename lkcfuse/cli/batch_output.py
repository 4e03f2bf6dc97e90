"""What `lkcfuse batch` says: what was found, each pair as it is done, and how it went."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from typing import TYPE_CHECKING

from lkcfuse.cli import failures, output
from lkcfuse.cli.output import Output, count
from lkcfuse.errors import InputError, LkcfuseError, PartialError

if TYPE_CHECKING:
    from lkcfuse.batch import Batch, Outcome, Plan
    from lkcfuse.batch.engine import Engine
    from lkcfuse.batch.scoring import Scorer
    from lkcfuse.fusion.fuser import Fuser
    from lkcfuse.pairs import PairOptions

_NAMES_SHOWN = 10


def notify_of_plan(plan: Plan, out: Output, *, strict: bool) -> None:
    """Say what was found, which files have no partner, and which were skipped."""
    alone = (*plan.only_first, *plan.only_second)
    text = f"{count(len(plan.pairs), 'pair')}"
    notes = "".join(f"; {note}" for note in plan.notes)
    if not alone:
        out.note(text + notes)
        return
    have = "file has" if len(alone) == 1 else "files have"
    text += f"; {len(alone)} {have} no partner: {_listed([*map(str, alone)])}{notes}"
    if strict:
        raise InputError(text)
    out.note(text)


def show_plan(plan: Plan, options: PairOptions, out: Output, *, end: str) -> None:
    """Show the pairs and their outputs; those that a run would refuse end it with exit code 1."""
    from lkcfuse.batch.headers import alike, check_files

    with out.progress("looking", unit="pairs") as report:
        troubles = check_files(plan, options, progress=report)
    messages = {trouble.pair.name: trouble.message for trouble in troubles}
    for pair in plan.pairs:
        message = messages.get(pair.name)
        record = {
            "name": pair.name,
            "status": "planned" if message is None else "failed",
            "first": str(pair.first),
            "second": str(pair.second),
            "output": str(pair.output),
        }
        if message is not None:
            record["error"] = message
        if message is None or out.as_json:
            out.result(f"{pair.first}\t{pair.second}\t{pair.output}", record, end=end)
    for first, *others in alike(troubles):
        text = f"{first.pair.name}: {first.message}"
        if others:
            names = _listed([other.pair.name for other in others])
            text += f" (likewise {count(len(others), 'more pair')}: {names})"
        output.error(text)
    if troubles:
        raise PartialError(f"{len(troubles)} of {count(len(plan.pairs), 'pair')} would fail")


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMES_SHOWN} more" if len(names) > _NAMES_SHOWN else ""
    return ", ".join(names[:_NAMES_SHOWN]) + more


def work_through(
    opened: Batch,
    fuser: Fuser,
    engine: Engine,
    scorer: Scorer | None,
    *,
    options: PairOptions,
    out: Output,
    end: str,
) -> list[Outcome]:
    """Work through the pairs, print each as it is done, and return them in the plan's order."""
    done = []
    with out.progress("fusing", unit="pairs") as report:
        run = opened.run(fuser, engine=engine, options=options, scorer=scorer, progress=report)
        try:
            with closing(run) as outcomes:
                for outcome in outcomes:
                    done.append(outcome)
                    message = None
                    if outcome.error is not None:
                        message, _ = failures.explain(outcome.error)
                        output.error(f"{outcome.pair.name}: {message}")
                    if outcome.record is not None or out.as_json:
                        out.result(str(outcome.pair.output), _record(outcome, message), end=end)
        except KeyboardInterrupt as stop:
            failures.with_hint(
                stop,
                f"{len(done)} of {count(len(opened.plan.pairs), 'pair')} done; run the same "
                "command to continue",
            )
            raise
    # Workers are done in any order; tables have one.
    position = {pair.name: number for number, pair in enumerate(opened.plan.pairs)}
    return sorted(done, key=lambda outcome: position[outcome.pair.name])


def _record(outcome: Outcome, message: str | None) -> dict[str, object]:
    """Return a pair's line of JSON."""
    pair, done = outcome.pair, outcome.record
    record: dict[str, object] = {
        "name": pair.name,
        "status": outcome.status,
        "first": str(pair.first),
        "second": str(pair.second),
        "output": str(pair.output),
    }
    if done is not None:
        record |= {
            "width": done.width,
            "height": done.height,
            "sha256": done.output.sha256,
            "seconds": done.seconds,
            "warnings": list(done.warnings),
        }
    if outcome.metrics is not None:
        record["metrics"] = outcome.metrics
    if message is not None:
        record["error"] = message
    return record


def summarise(outcomes: Sequence[Outcome], out: Output, *, seconds: float) -> None:
    """Say how it went; failures end the run with exit code 1."""
    fused = sum(outcome.status == "fused" for outcome in outcomes)
    verified = sum(outcome.status == "verified" for outcome in outcomes)
    failed = [outcome.pair.name for outcome in outcomes if outcome.error is not None]
    parts = [f"{count(fused, 'pair')} fused in {seconds:.1f} s"]
    if verified:
        parts.append(f"{verified} verified and left as they were")
    out.note(", ".join(parts))
    if not failed:
        return
    rest = "the others are done, and " if len(failed) < len(outcomes) else ""
    # A bug is shown with --debug: its traceback, below this line's.
    bugs = (o.error for o in outcomes if not isinstance(o.error, (LkcfuseError, type(None))))
    raise PartialError(
        f"{len(failed)} of {count(len(outcomes), 'pair')} failed: {_listed(failed)}; "
        f"{rest}running again does only these"
    ) from next(bugs, None)
