"""Probes on few units: the verdict in a sentence, a line a size, what chance gives."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console
from rich.table import Table
from rich.text import Text

from autointerp.cli.rendering.console import number, plain_table, visible
from autointerp.core.feature_probes import FeatureProbes, ProbeLine
from autointerp.core.feature_search import ProbeReport
from autointerp.core.one_line import joined
from autointerp.core.scores import Score

_WIDE = 100
_GRAINS = {
    "coarser": "; it is coarser than the feature: it is there at other tokens too",
    "finer": "; it is finer than the feature: it is at a part of its tokens",
}


def print_probe_report(report: ProbeReport, console: Console) -> None:
    """Prints what was probed for, and the probes."""
    hard = f"; the hard negatives: {report.hard}" if report.hard else ""
    for line in (
        f"Probed for {report.feature}: {report.marks}{hard}.",
        f"Of {report.n_units:,} units of {report.subject} the {report.probes.n_candidates:,} best "
        f"are candidates; {report.tested.base_rate:.2%} of the tokens held out carry the feature.",
    ):
        console.print(Text(visible(line)))
    console.print()
    print_probes(report.probes, console)
    for line in report.notes:
        console.print(Text(visible(line), "dim"))


def print_probes(probes: FeatureProbes, console: Console) -> None:
    """Prints verdict, probes and baselines, for people."""
    verdict = probes.verdict
    units = joined([unit.short for unit in verdict.units], most=8)
    carried = f" ({units})" if units else ""
    console.print(Text(visible(f"Verdict: {verdict.carrier}{carried}"), "bold"))
    console.print(Text(visible(f"{verdict.reason}{_GRAINS.get(verdict.grain or '', '')}.")))
    console.print()
    console.print(_table(probes, wide=console.width >= _WIDE))
    console.print()
    if probes.baselines:
        console.print(_baselines(probes))
        console.print()
    for line in _legend(probes):
        console.print(Text(visible(line), "dim"))


def _table(probes: FeatureProbes, *, wide: bool) -> Table:
    table = plain_table()
    names = ["k", "F1", "precision", "recall", "MCC", "95 %"]
    for name in names if wide else names[:5]:
        table.add_column(name, justify="right", no_wrap=True)
    if wide:
        table.add_column("best of", no_wrap=True)
        table.add_column("units", overflow="fold")
    for line in probes.lines:
        scores = [line.f1, line.precision, line.recall, line.mcc]
        cells = [str(line.k), *(number(score.value) for score in scores)]
        if wide:
            units = joined([unit.short for unit in line.units], most=4)
            cells += [_interval(line.mcc), _search(line), visible(units)]
        table.add_row(*cells)
    return table


def _baselines(probes: FeatureProbes) -> Table:
    found = {(one.name, one.k): one for one in probes.baselines}
    ks = list(dict.fromkeys(k for _, k in found))
    table = plain_table()
    table.add_column("MCC to compare with", no_wrap=True)
    for k in ks:
        table.add_column(f"k = {k}", justify="right", no_wrap=True)
    for name in dict.fromkeys(name for name, _ in found):
        row = [found.get((name, k)) for k in ks]
        cells = (f"{one.median_mcc:.2f} ({one.highest_mcc:.2f})" if one else "-" for one in row)
        table.add_row(visible(name), *cells)
    return table


def _interval(score: Score) -> str:
    return "-" if score.low is None else f"{number(score.low)} to {number(score.high)}"


def _search(line: ProbeLine) -> str:
    if line.certified is None:
        return "-"
    how = "certified" if line.certified else f"within {line.gap:.4f} nats"
    return f"{line.n_searched:,}: {how}"


def _legend(probes: FeatureProbes) -> Iterator[str]:
    yield (
        f"probes: the best k of {probes.n_candidates:,} units of {joined(probes.hooks)}, fitted on "
        f"{probes.n_train:,} tokens and scored on {probes.n_test:,} of other documents; MCC: "
        f"Matthews' correlation; all {probes.n_candidates:,} together "
        f"{number(probes.dense_mcc.value)}"
    )
    yield (
        "MCC to compare with: the median of several draws, and the highest in brackets; random "
        f"units are of the {probes.n_candidates:,} candidates; rotated bases and shuffled labels "
        "are searched less than the table's probes: read them against the same search"
    )
    yield from _searches(probes)


def _searches(probes: FeatureProbes) -> Iterator[str]:
    searched = [line for line in probes.lines if line.certified is not None]
    for line in searched:
        if not line.certified:
            yield (
                f"k = {line.k} is not certified: the loss found is {line.loss:.4f} nats, none is "
                f"below {line.bound:.4f}, a gap of {line.gap:.4f}"
            )
    for n in dict.fromkeys(line.n_searched for line in searched if line.certified):
        ks = [str(line.k) for line in searched if line.certified and line.n_searched == n]
        yield (
            f"k = {joined(ks, most=8)} certified: no others of {n:,} candidates fit the training "
            "text better"
        )
