"""Labels as rows: units, explanations and scores, in as many columns as there is room for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from autointerp.cli.rendering.console import interval, number, plain_table, visible
from autointerp.cli.rendering.explanation_parts import both_explanations, llm_facts, numbered_text
from autointerp.core.explanations import REFUSED, Explanation, Label, LabelStatus
from autointerp.core.ids import Side, UnitId
from autointerp.core.scores import Score

_STATUS_STYLES = {
    LabelStatus.OK: "green",
    LabelStatus.DEAD: "dim",
    LabelStatus.NO_SIGNAL: "yellow",
    LabelStatus.FAILED: "red",
}
_LEAST_WIDTH = 24
"""Of the explanations' column."""
_BETWEEN = 3
"""Cells between two columns."""
# About four lines of a narrow terminal.
_LONGEST = 120


def by_place(label: Label) -> tuple[int, str, int, bool]:
    """By layer, hook point and index; the positive side first."""
    unit = label.unit
    return unit.layer, unit.hook, unit.index, label.side is Side.NEGATIVE


def side_name(unit: UnitId, side: Side) -> str:
    """The short unit and the sign of a side: ``5:131 +``."""
    return f"{visible(unit.short)} {'+' if side is Side.POSITIVE else '-'}"


def result_tables(labels: Sequence[Label], *, width: int) -> Iterator[RenderableType]:
    """A row a label, below the hook point where short units do not name it.

    Narrow terminals get fewer columns, so that explanations have room.
    """
    ordered = sorted(labels, key=by_place)
    for place, (hook, group) in enumerate(groupby(ordered, key=lambda one: heading(one.unit))):
        if place:
            yield Text()
        if hook is not None:
            yield Text(visible(hook), "bold", overflow="fold")
        yield _table(list(group), width)


def heading(unit: UnitId) -> str | None:
    """The hook point of a unit whose short name would repeat it in every row."""
    return None if unit.short.startswith(f"{unit.layer}:") else unit.hook


def one_heading(units: Iterable[UnitId]) -> str | None:
    """The heading that all units have, if it is one."""
    found = {heading(unit) for unit in units}
    return found.pop() if len(found) == 1 else None


def row_name(name: str, hook: str | None) -> str:
    """A short unit, of a heading's hook point the last part of its name: ``sl_sae/0 +``."""
    return name if hook is None else name.rpartition(".")[2]


_Row = Mapping[str, Text]
_ALL = ("unit", "status", "explanation", "score", "lookup", "null", "density")
_BRIEF = "brief score"
_DROPPED = ("density", "null", "lookup", "score", "status")
"""Columns that go where explanations would have too little room, in this order."""


def _table(labels: Sequence[Label], width: int) -> Table:
    rows = [row for label in labels for row in _rows(label)]
    columns = list(_ALL)
    for name in _DROPPED:
        if _least_width(rows, columns) <= width:
            break
        if name == "score":
            columns[columns.index(name)] = _BRIEF
        else:
            columns.remove(name)
    table = plain_table(expand=True)
    is_short = _least_width(rows, columns) <= width
    for name in columns:
        if name == "explanation":
            table.add_column(name, ratio=1, overflow="fold")
        elif name == "unit" and not is_short:
            table.add_column(name, overflow="fold", max_width=width // 3)
        else:
            right = name not in ("unit", "status")
            table.add_column(_title(name), justify="right" if right else "left", no_wrap=True)
    shown = "explanation" if "status" in columns else "explanation with status"
    for row in rows:
        table.add_row(*(row[shown if name == "explanation" else name] for name in columns))
    return table


def _title(column: str) -> str:
    return column.removeprefix("brief ")


def _least_width(rows: Sequence[_Row], columns: Sequence[str]) -> int:
    """Cells of a line with these columns, of which explanations have just enough."""
    others = [name for name in columns if name != "explanation"]
    widths = [max(len(_title(name)), *(row[name].cell_len for row in rows)) for name in others]
    return _LEAST_WIDTH + sum(_BETWEEN + width for width in widths)


def _rows(label: Label) -> Iterator[_Row]:
    """The label's own row, and one of each explanation that does not describe it."""
    yield {
        "unit": Text(row_name(side_name(label.unit, label.side), heading(label.unit))),
        "status": Text(_status(label), _STATUS_STYLES[label.status]),
        "explanation": _explanation_cell(label, with_status=False),
        "explanation with status": _explanation_cell(label, with_status=True),
        "score": Text(interval(label.headline)),
        _BRIEF: Text(number(label.headline.value)),
        **{name: Text(_extra(label, name)) for name in ("lookup", "null", "density")},
    }
    for name, scored in both_explanations(label):
        if scored.explanation != _described(label):
            text = Text(f"{name}: ", "dim").append_text(_text(label, scored.explanation))
            score = label.score_of(scored)
            yield {
                **dict.fromkeys(_ALL, Text()),
                "explanation": text,
                "explanation with status": text,
                "score": Text(interval(score), "dim"),
                _BRIEF: Text(number(score.value), "dim"),
            }


def null_score(label: Label) -> Score:
    """What the preferred scorer gives an explanation that cannot be right."""
    if label.preferred is None:
        return label.headline
    return label.score(f"{label.preferred}_null")


def _explanation_cell(label: Label, *, with_status: bool) -> Text:
    explanation = _described(label)
    if explanation is not None:
        return _text(label, explanation)
    text = Text(f"{_status(label)}: " if with_status else "", _STATUS_STYLES[label.status])
    return text.append(visible((label.reason or "").removeprefix(REFUSED)), "dim")


def _status(label: Label) -> str:
    return "refused" if label.refused else str(label.status)


def _described(label: Label) -> Explanation | None:
    """The explanation that stands beside the unit; a reason stands there where it is not ok."""
    return label.explanation if label.status is LabelStatus.OK else None


def _text(label: Label, explanation: Explanation) -> Text:
    if label.llm is None or explanation != label.llm.explanation:
        return Text(_short(visible(explanation.text)))
    text = numbered_text(label, explanation)
    facts = "; ".join(llm_facts(label))
    return text.append(f"\n{facts}" if facts else "", "dim")


def _short(text: str) -> str:
    """The beginning of a long list of tokens; `show` has the whole."""
    if len(text) <= _LONGEST:
        return text
    cut = text.rfind(", ", 0, _LONGEST)
    return text[: cut if cut > 0 else _LONGEST] + " …"


def _extra(label: Label, name: str) -> str:
    if name == "density":
        return f"{label.stats.density:.2%}"
    return number((label.score("lookup") if name == "lookup" else null_score(label)).value)
