"""A report of a study with every part that one can have."""

from __future__ import annotations

from autointerp.core.study_report import (
    Column,
    Series,
    StudyChart,
    StudyReport,
    StudyTable,
    StudyValue,
)

HOSTILE = "</style><script>alert(1)</script>\x1b[31m"


def study_report() -> StudyReport:
    """Two tables, lines with a gap and an interval, bars, and a text that is no friend."""
    places = tuple(map(str, range(12)))
    rising = tuple(
        None if i == 4 else StudyValue(i / 10, i / 10 - 0.1, i / 10 + 0.1) for i in range(12)
    )
    columns = (Column("layer", "text"), Column("labels", "count"), Column("score"))
    rows = tuple(
        (str(i), 1_000 + i, StudyValue(i / 10, i / 10 - 0.1, i / 10 + 0.1)) for i in range(12)
    )
    many = tuple(Column(f"share of kind {i}", "share") for i in range(9))
    return StudyReport(
        kind="layers",
        title="Labels of tiny by layer",
        asked={"dir": "runs/tiny", "limit": None},
        paragraphs=("Scores rise with depth.", f"The text is {HOSTILE}"),
        tables=(
            StudyTable("Scores", columns, rows, "Medians with their intervals."),
            StudyTable(
                "Kinds", (Column("layer", "text"), *many), (("0", *(i / 9 for i in range(9))),)
            ),
        ),
        charts=(
            StudyChart(
                "Score by layer",
                "lines",
                "layer",
                places,
                (Series("label", rising), Series("table", (StudyValue(0.4),) * 12)),
            ),
            StudyChart(
                "Change",
                "bars",
                "what",
                ("one", "another"),
                (Series("change", (StudyValue(-0.2, -0.3, -0.1), StudyValue(0.4))),),
                "signed",
            ),
        ),
        notes=("Nothing was left out.",),
        seed=3,
        provenance={"model": "tiny", "corpus": "wiki"},
    )
