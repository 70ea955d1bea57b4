"""How far labels tell their units apart, for people and for machines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from rich.console import Console
from rich.text import Text

from autointerp.cli.rendering.console import interval, number, plain_table
from autointerp.sanity.label_recall import FIRST, N_TEXTS, LabelRecall


def print_recall(rows: Sequence[LabelRecall], console: Console) -> None:
    """Recall beside the median score, and what it is of."""
    columns = [name for k in FIRST for name in (f"recall@{k}", "chance")]
    table = plain_table("text", "n", "score, median", *columns)
    for row in rows:
        cells = [c for one in row.recall for c in (interval(one), number(row.chance(one)))]
        n = str(row.recall[0].n_windows)
        table.add_row(*map(Text, (row.kind, n, number(row.median_score), *cells)))
    console.print(table)
    for reason in dict.fromkeys(one.reason for row in rows for one in row.recall if one.reason):
        console.print(Text(f"undefined: {reason}"))
    console.print(
        Text(
            f"recall@k: of a unit's {N_TEXTS} strongest held-out excerpts its own label is among "
            "the k that fit best by embedding, of all labels; it says that labels differ as their "
            "units do, not that they are right"
        )
    )
    left_out = rows[0].n_left_out
    if left_out:
        console.print(Text(f"left out, without a label or held-out activity: {left_out}"))


def recall_json(rows: Sequence[LabelRecall]) -> list[dict[str, object]]:
    """The same for ``--json``."""
    return [
        {
            "text": row.kind,
            "n": row.recall[0].n_windows,
            "n_left_out": row.n_left_out,
            "median_score": row.median_score,
            "recall": [{**asdict(one), "chance": row.chance(one)} for one in row.recall],
        }
        for row in rows
    ]
