"""The report of a study as one page that needs no other file."""

from __future__ import annotations

from markupsafe import Markup

from autointerp.core.study_report import StudyReport, written
from autointerp.web.page_templates import asset, render
from autointerp.web.study_charts import DrawnChart


def study_page(report: StudyReport) -> str:
    """The page, with its style sheets in it and without a script."""
    styles = "".join(asset(name).decode() for name in ("style.css", "study.css"))
    return render(
        "study.html",
        {
            "report": report,
            "charts": [DrawnChart.of(chart) for chart in report.charts],
            "written": written,
            # Style sheets of the package, and nothing of a study.
            "styles": Markup(styles),
        },
    )
