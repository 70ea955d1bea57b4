"""The results of ``sanity``, for people and for machines."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict

from rich.console import Console
from rich.table import Table
from rich.text import Text

from autointerp.cli.rendering.console import counted, number, plain_table, visible
from autointerp.sanity.metric_checks import HEADLINE, LEAST_SHARE, MetricCheck
from autointerp.sanity.metric_values import PUBLISHED
from autointerp.sanity.nulls import NullRow, Separation
from autointerp.wiring.sanity_runs import SanityReport

_WIDE = 90


def print_report(report: SanityReport, console: Console) -> None:
    """Prints metrics, nulls, scorers that ask an LLM, and what was counted."""
    wide = console.width >= _WIDE
    for share, checks in report.checks.items():
        for windows in dict.fromkeys(check.windows for check in checks):
            windows_text = _windows(report, windows)
            own = [check for check in checks if check.windows == windows]
            console.print(Text(f"{_labels(share, own)}; {windows_text}", "bold"))
            console.print(_metric_table(own, wide=wide))
    console.print(Text("population scores of explanations that cannot be right", "bold"))
    rows = [row for row in report.nulls if row.score == "population"]
    console.print(_null_table(rows, wide=wide))
    if report.separations:
        console.print(Text("own labels against other units', by scorers that ask an LLM", "bold"))
        console.print(_separation_table(report.separations, wide=wide))
    for line in _summary(report):
        console.print(Text(line))


def report_json(report: SanityReport) -> dict[str, object]:
    """A sanity report for ``--json``."""
    return {
        "units": report.units,
        "n_units": report.n_units,
        "n_dead": report.n_dead,
        "n_tokens": report.n_tokens,
        "n_heldout": report.n_heldout,
        "headline": HEADLINE,
        "passed": report.passed,
        "metrics": [
            {"label": share, **asdict(check), "passed": check.passed, **_published(check)}
            for share, checks in report.checks.items()
            for check in checks
        ],
        "nulls": [asdict(row) for row in report.nulls],
        "separations": [asdict(separation) for separation in report.separations],
        "seconds_by_stage": dict(report.seconds),
    }


def _labels(share: str, checks: Sequence[MetricCheck]) -> str:
    """Which labels were damaged."""
    kind = "best-fitting labels" if share == "best" else f"labels of the strongest {share}"
    typical = checks[0].share if checks else None
    return kind if typical is None else f"{kind}, {typical:.1%} of tokens at the median"


def _windows(report: SanityReport, windows: str) -> str:
    if windows == "all":
        return "all held-out windows"
    return f"{report.n_heldout} held-out windows drawn for each unit"


def _published(check: MetricCheck) -> dict[str, float | None]:
    published = PUBLISHED.get(check.metric)
    return {
        "published_removed": published.removed / 100 if published else None,
        "published_added": published.added / 100 if published else None,
    }


def _table(*names: str, right: int = 1) -> Table:
    table = plain_table()
    for place, name in enumerate(names):
        left = place < right
        table.add_column(name, justify="left" if left else "right", overflow="fold")
    return table


def _metric_table(checks: Sequence[MetricCheck], *, wide: bool) -> Table:
    extra = ("published", "published") if wide else ()
    counts = ("n", "median") if wide else ()
    table = _table("metric", *counts, "removed", *extra[:1], "added", *extra[:1], "falls")
    for check in checks:
        published = _published(check)
        cells = [str(check.n), number(check.median)] if wide else []
        for name in ("removed", "added"):
            cells.append(_percent(getattr(check, name)))
            cells += [_percent(published[f"published_{name}"])] if wide else []
        verdict = Text("yes", "green") if check.passed else Text("no", "red")
        table.add_row(Text(check.metric), *map(Text, cells), verdict)
    return table


def _null_table(rows: Sequence[NullRow], *, wide: bool) -> Table:
    counts = ("n", "undefined") if wide else ()
    table = _table("scorer", "label", *counts, "median", "95 %", "own above", right=2)
    for row in rows:
        cells = [str(row.n), str(row.n_undefined)] if wide else []
        cells += [number(row.median), number(row.high), _percent(row.separated)]
        table.add_row(*map(Text, (row.scorer, row.explained_by, *cells)))
    return table


def _separation_table(separations: Sequence[Separation], *, wide: bool) -> Table:
    extra = ("score", "own", "other") if wide else ()
    table = _table("scorer", *extra, "n", "own above")
    for one in separations:
        cells = [one.score, number(one.own), number(one.shuffled)] if wide else []
        area = number(one.auc)
        if one.low is not None and one.high is not None:
            area += f" [{number(one.low)}, {number(one.high)}]"
        cells += [f"{one.n} of {one.n_asked}", area]
        table.add_row(*map(Text, (one.scorer, *cells)))
    return table


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.0%}"


def _summary(report: SanityReport) -> Iterator[str]:
    dead = f", {counted(report.n_dead, 'unit')} left out as dead" if report.n_dead else ""
    seconds = ", ".join(f"{stage} {s:,.0f} s" for stage, s in report.seconds.items())
    yield (
        f"{counted(report.n_units, 'unit')} of {visible(report.units)}, "
        f"{report.n_tokens:,} tokens{dead}; {seconds}"
    )
    yield (
        "removed, added: share of units in which a metric fell by more than a thousandth of its "
        "range when half of a right label's positives were removed, or as many others added; it "
        f"must fall in {LEAST_SHARE:.0%} both times; published: Oikarinen et al. 2025"
    )
    verdict = "passes" if report.passed else "does not pass"
    yield f"the headline, {HEADLINE} correlation, {verdict}"
