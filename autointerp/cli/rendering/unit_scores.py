"""The scores of a unit: five that tell most, or all of them with the candidates."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from autointerp.cli.rendering.console import interval, number, plain_table, score_cell, visible
from autointerp.cli.rendering.explanation_parts import text_with_senses
from autointerp.core.explanations import Candidate, Label
from autointerp.core.scores import Score, ScorerResult

_NARROW, _WIDE = 64, 100
_HEADLINES = 5


def score_parts(label: Label, width: int, *, every: bool) -> Iterator[RenderableType]:
    """The headline numbers and what failed, or the candidates and every score."""
    if every and label.candidates:
        yield Text("\ncandidates", "bold underline")
        yield _candidate_table(label)
    if not label.results:
        return
    title = Text("\nscores", "bold underline")
    yield title if every else title.append("  --scores for all", "not bold not underline dim")
    if every:
        yield from _score_table(label, width)
    else:
        yield _headline_table(label, width)
        yield from _failures(label)
    yield from _notes(label)


def _headline_table(label: Label, width: int) -> Table:
    """What the label is worth, beside what it is to be compared with."""
    if label.preferred is None or label.headline.value is None:
        rows = _own_headlines(label)
    else:
        rows = [
            ("all held-out text", label.headline),
            ("another unit's label there", label.score(f"{label.preferred}_null")),
            ("mean of each token there", label.score("lookup")),
            ("strongest against random windows", label.score(label.preferred, "top_random")),
            ("which tokens are active (AUPRC)", label.score(label.preferred, "auprc")),
        ]
    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=width >= _NARROW)
    grid.add_column(no_wrap=True)
    grid.add_column(style="dim", overflow="fold")
    for name, score in rows:
        grid.add_row(name, interval(score), Text(visible(score.reason or "")))
    return grid


def _own_headlines(label: Label) -> list[tuple[str, Score]]:
    """All held-out text, of which there is no score, and what other scorers came to."""
    rows = [("all held-out text", label.headline)]
    for result in _headline_first(label):
        first = next((score for score in result.scores if score.value is not None), None)
        if first is not None:
            rows.append((f"{result.scorer} {first.name}", first))
    return rows[:_HEADLINES]


def _failures(label: Label) -> Iterator[Text]:
    """Scorers that failed, wholly or in part."""
    for result in label.results:
        if result.failure is not None:
            yield Text(visible(f"{result.scorer} failed: {result.failure}"), "dim")
        elif result.n_failed:
            n = f"{result.n_failed} of {result.n_asked} questions without an answer"
            yield Text(visible(f"{result.scorer}: {n}"), "dim")


def candidate_text(candidate: Candidate) -> Text:
    """The explanation, its explainer, and why it has no validation score."""
    text = text_with_senses(candidate.explanation)
    text.append(f"  {candidate.explanation.explainer}", "dim")
    return text.append(f": {visible(candidate.reason)}" if candidate.reason else "", "dim")


def _candidate_table(label: Label) -> Table:
    table = Table(box=None, pad_edge=False, expand=True)
    table.add_column("")
    table.add_column("validation", justify="right")
    table.add_column("explanation", ratio=1, overflow="fold")
    for candidate in label.candidates:
        mark = ">" if candidate.chosen else " "
        table.add_row(mark, number(candidate.validation_score), candidate_text(candidate))
    return table


def _score_table(label: Label, width: int) -> Iterator[RenderableType]:
    """Every score; why there is none stands behind it, or below where that is too narrow."""
    medium, wide = width >= _NARROW, width >= _WIDE
    failed = medium and any(result.n_failed for result in label.results)
    table = plain_table("scorer", "score")
    table.add_column("value [95 %]" if medium else "value", justify="right", no_wrap=True)
    if medium:
        table.add_column("windows", justify="right")
    if failed:
        table.add_column("failed", justify="right")
    if wide:
        table.add_column("why there is none", overflow="fold")
    reasons: dict[str, None] = {}
    for result in _headline_first(label):
        for score in result.scores:
            reason = result.failure or score.reason
            row = [result.scorer, score.name, score_cell(result, score, wide=medium)]
            row += [str(score.n_windows)] if medium else []
            row += [str(result.n_failed)] if failed else []
            row += [reason or ""] if wide else []
            table.add_row(*(Text(visible(cell)) for cell in row))
            if reason:
                name = result.scorer if result.failure else f"{result.scorer} {score.name}"
                reasons[f"{name}: {reason}"] = None
    yield table
    yield from (Text(visible(reason), "dim") for reason in reasons if not wide)


def _headline_first(label: Label) -> list[ScorerResult]:
    order = (label.preferred, f"{label.preferred}_null", "lookup")
    places = {name: place for place, name in enumerate(order)}
    return sorted(label.results, key=lambda r: places.get(r.scorer, len(order)))


def _notes(label: Label) -> Iterator[Text]:
    for result in label.results:
        for note in result.notes:
            yield Text(f"{result.scorer}: {visible(note)}", "dim")
