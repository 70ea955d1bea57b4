"""A feature dictionary as HTML, for notebooks."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

from autointerp.core.notebook_html import facts_html, table_html

if TYPE_CHECKING:
    from autointerp.dictionary.read import Dictionary

_MOST_ROWS = 20
_SIGNS = {"positive": "+", "negative": "-"}


def dictionary_html(dictionary: Dictionary) -> str:
    """What it is of, and its first rows."""
    made, counts = dictionary.manifest, dictionary.manifest.counts
    facts = {
        "labels": f"{counts.labels:,}, of which {counts.ok:,} with a score",
        "corpus": f"{made.corpus} ({made.n_tokens:,} tokens)",
        "explainer": made.explainer_model or "rules alone",
        "folder": dictionary.folder,
    }
    rows = [
        (
            f"{row['layer']}:{row['index']} {_SIGNS.get(str(row['polarity']), '')}",
            row["status"],
            _number(row["score"]),
            row["description"] or row["status_reason"] or "",
        )
        for row in islice(dictionary.rows(), _MOST_ROWS)
    ]
    columns = ("unit", "status", "score", "explanation")
    table = table_html(columns, rows, more=counts.labels - len(rows))
    return facts_html(f"Feature dictionary of {made.subject}", facts) + table


def _number(value: Any) -> str:
    return "-" if value is None else f"{value:.2f}"
