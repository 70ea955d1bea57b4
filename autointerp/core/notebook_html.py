"""Labels and other values as HTML, for notebooks and pages.

Everything of a text, a model or an LLM is escaped, nothing is a script, and colours are laid over
whatever the page has, so that they read on light and on dark.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING

from autointerp.core.characters import whole_characters
from autointerp.core.ids import Side

if TYPE_CHECKING:
    from autointerp.core.explanations import Label
    from autointerp.core.records import ActivationRecord

_BEFORE, _BEHIND = 16, 8
"""Tokens that are shown around a peak."""
_MOST_EXEMPLARS, _MOST_HELD_OUT, _MOST_LABELS = 8, 5, 50
_REAL, _PREDICTED = "30, 120, 230", "225, 120, 0"
_SHORT = 24
"""Characters of a cell that is not broken into lines."""
_STRONGEST = 0.6
"""Opacity at the peak: text stays readable in black and in white."""
_SIGNS = {"\n": "\u21b5", "\t": "\u21e5", "\r": "\u240d"}
_LINE = "border-top:1px solid rgba(128,128,128,.35)"
_CELL = "text-align:left;vertical-align:top;padding:2px 12px 2px 0"


def tokens_html(
    tokens: Sequence[str], activations: Sequence[float], *, peak: float, colour: str = _REAL
) -> str:
    """Tokens on one line, each the more coloured the nearer its activation is to the peak.

    The activation of a coloured token is its tooltip.
    """
    pieces = []
    for token, activation in zip(*whole_characters(tokens, activations), strict=True):
        text = escape(visible_text(token))
        share = min(1.0, max(0.0, activation / peak)) if peak > 0 else 0.0
        if share > 0:
            style = f"background:rgba({colour},{_STRONGEST * share:.2f});border-radius:2px"
            text = f'<span style="{style}" title="{activation:.3g}">{text}</span>'
        pieces.append(text)
    return f'<span style="white-space:pre-wrap;font-family:monospace">{"".join(pieces)}</span>'


def visible_text(text: str) -> str:
    """The text on one line, with signs for line breaks and tabs, and escapes of what is unseen."""
    return "".join(_SIGNS.get(c) or (c if c.isprintable() else f"\\u{ord(c):04x}") for c in text)


def facts_html(title: str, facts: Mapping[str, object]) -> str:
    """A title and named values below it, those that are None or empty left out."""
    rows = [
        f'<tr><td style="{_CELL};opacity:.7">{escape(name)}</td>'
        f'<td style="{_CELL}">{escape(visible_text(str(value)))}</td></tr>'
        for name, value in facts.items()
        if value not in (None, "", ())
    ]
    head = f"<div><b>{escape(visible_text(title))}</b></div>"
    return f"<div>{head}<table>{''.join(rows)}</table></div>"


def table_html(columns: Sequence[str], rows: Iterable[Sequence[object]], *, more: int = 0) -> str:
    """A table of texts and numbers; `more` rows that are not shown are counted below it."""
    head = "".join(f'<th style="{_CELL}">{escape(name)}</th>' for name in columns)
    body = "".join(f'<tr style="{_LINE}">{"".join(map(_cell, row))}</tr>' for row in rows)
    rest = f"<div>... and {more:,} more</div>" if more > 0 else ""
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{rest}"


def _cell(value: object) -> str:
    text = visible_text(str(value))
    wrap = ";white-space:nowrap" if len(text) <= _SHORT else ""
    return f'<td style="{_CELL}{wrap}">{escape(text)}</td>'


def label_html(
    label: Label,
    exemplars: Sequence[ActivationRecord] = (),
    held_out: Sequence[ActivationRecord] = (),
) -> str:
    """A label with its score and numbers, exemplars, and what was predicted beside what is real."""
    stats, headline = label.stats, label.headline
    text = label.explanation.text if label.explanation is not None else label.reason or ""
    facts = {
        "says": text,
        "score": f"{headline.brief} ({label.preferred})" if label.preferred else headline.brief,
        "active on": f"{stats.density:.2%} of {stats.n_tokens:,} tokens",
        "top tokens": ", ".join(map(repr, label.top_tokens[:8])),
        "promotes": ", ".join(map(repr, label.promoted[:8])),
        "suppresses": ", ".join(map(repr, label.suppressed[:8])),
    }
    parts = [facts_html(f"{_named(label)}, {label.status.value}", facts)]
    parts += [_records_html("exemplars", exemplars[:_MOST_EXEMPLARS], label.side)]
    parts += [_records_html("held out: real, predicted", held_out[:_MOST_HELD_OUT], label.side)]
    return f"<div>{''.join(parts)}</div>"


def labels_html(labels: Sequence[Label]) -> str:
    """A table of labels: unit, status, score and what each says."""
    rows = [
        (
            _named(label),
            label.status.value,
            label.headline.brief if label.headline.value is not None else "-",
            label.explanation.text if label.explanation is not None else label.reason or "",
        )
        for label in labels[:_MOST_LABELS]
    ]
    title = "1 label" if len(labels) == 1 else f"{len(labels):,} labels"
    table = table_html(
        ("unit", "status", "score", "explanation"), rows, more=len(labels) - len(rows)
    )
    return f"<div><b>{title}</b>{table}</div>"


def _named(label: Label) -> str:
    return f"{label.unit.short} {'+' if label.side is Side.POSITIVE else '-'}"


def _records_html(title: str, records: Sequence[ActivationRecord], side: Side) -> str:
    if not records:
        return ""
    peak = max(record.peak(side) for record in records)
    lines = []
    for record in records:
        real = record.side(side)
        at = max(range(len(real)), key=real.__getitem__, default=0)
        cut = slice(max(0, at - _BEFORE), at + _BEHIND + 1)
        line = tokens_html(record.tokens[cut], real[cut], peak=peak)
        predicted = getattr(record, "predicted", None)
        if predicted is not None:
            most = max(predicted, default=0.0)
            line += "<br>" + tokens_html(
                record.tokens[cut], predicted[cut], peak=most, colour=_PREDICTED
            )
        lines.append(line)
    rows = "".join(f'<div style="{_LINE};padding:2px 0">{line}</div>' for line in lines)
    return f'<div style="margin-top:8px;opacity:.7">{escape(title)}</div>{rows}'
