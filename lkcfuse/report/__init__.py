"""A batch or an evaluation as one HTML page to look at, which needs no network and no server.

    report = batch_report(outcomes, task=..., method="fused", metrics=["VIF", "Qabf"])
    write_report(report, Path("report.html"))

Nothing here knows typer, rich or torch.
"""

from lkcfuse.report.content import Pair, Report, Section, batch_report, eval_report
from lkcfuse.report.destination import (
    MAX_PAIRS,
    check_report,
    check_report_size,
    is_own_report,
    write_report,
)

__all__ = [
    "MAX_PAIRS",
    "Pair",
    "Report",
    "Section",
    "batch_report",
    "check_report",
    "check_report_size",
    "eval_report",
    "is_own_report",
    "write_report",
]
