"""Lists of units, and where the page of one leads."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from random import Random

import numpy as np
from numpy.typing import NDArray

from autointerp.core.explanations import LabelStatus
from autointerp.core.ids import UnitId
from autointerp.store.labels.label_rows import SCORES
from autointerp.store.search.columns import Filters, View
from autointerp.store.search.related_units import alike_rows, any_unit
from autointerp.store.search.text_index import TextIndex
from autointerp.web.page_links import Links

_N_ALIKE, _N_GLANCE = 8, 4
_LABELLED = Filters(status=LabelStatus.OK)
_GLANCES = {
    "Best": "-score",
    "Worst": "score",
    "Furthest above a table of token means": "-surprise",
    "Furthest below it": "surprise",
}
STATUS_WORDS: Mapping[LabelStatus, str] = {
    LabelStatus.OK: "labelled",
    LabelStatus.NO_SIGNAL: "no signal",
    LabelStatus.DEAD: "never active",
    LabelStatus.FAILED: "failed",
}
"""How pages name what became of a unit."""


@dataclass(frozen=True, slots=True)
class UnitLine:
    """One label in a list."""

    unit: str
    link: str
    score: str
    text: str


@dataclass(frozen=True, slots=True)
class Paths:
    """Where the page of a unit leads."""

    previous: UnitId | None = None
    following: UnitId | None = None
    random: UnitId | None = None
    alike: tuple[UnitLine, ...] = ()
    """Units with the same rare words in their descriptions and top tokens, the nearest first."""
    holds: Callable[[UnitId], bool] = lambda _: False
    """Whether a unit has a page."""


NOWHERE = Paths()
"""Of a unit alone."""


@dataclass(frozen=True, slots=True)
class Glance:
    """A few units that are worth a look."""

    title: str
    rows: tuple[UnitLine, ...]


def glances(view: View, model: str, links: Links, random: Random) -> Iterator[Glance]:
    """The best, the worst, some by chance, and those furthest from their token tables.

    `model` is the name under which the labels are served.
    """
    for title, sort in _GLANCES.items():
        slots = view.first(_LABELLED, sort, _N_GLANCE, after=None)
        if sort.endswith("surprise"):
            slots = slots[np.isfinite(view.scores[SCORES.index("surprise")][slots])]
        yield _glance(title, view, slots.tolist(), model, links)
    every = np.flatnonzero(_mask(view)).tolist()
    chosen = sorted(random.sample(every, min(_N_GLANCE, len(every))))
    yield _glance("By chance", view, chosen, model, links)


def _mask(view: View) -> NDArray[np.bool_]:
    mask = view.mask(_LABELLED)
    return np.ones(view.n, np.bool_) if mask is None else mask[: view.n]


def _glance(title: str, view: View, slots: Sequence[int], model: str, links: Links) -> Glance:
    return Glance(title, unit_lines((json.loads(view.rows[slot]) for slot in slots), model, links))


def unit_paths(view: View, words: TextIndex, unit: UnitId, links: Links, random: Random) -> Paths:
    """Where the page of a unit of those labels leads."""
    previous, following = view.neighbours(unit)
    alike = unit_lines(
        map(json.loads, alike_rows(view, words, unit, _N_ALIKE)), unit.subject, links
    )
    return Paths(previous, following, any_unit(view, unit.subject, random), alike, view.holds)


def unit_lines(
    rows: Iterable[Mapping[str, object]], model: str, links: Links
) -> tuple[UnitLine, ...]:
    """From rows as the dictionary has them; `model` is the name under which it is served."""
    return tuple(_unit_line(row, model, links) for row in rows)


def _unit_line(row: Mapping[str, object], model: str, links: Links) -> UnitLine:
    unit, score = UnitId(model, str(row["hook"]), int(str(row["index"]))), row["score"]
    text = row["description"] or row["status_reason"] or row["status"]
    sign = "-" if row["polarity"] == "negative" else ""
    value = f"{score:.2f}" if isinstance(score, float) else "–"
    return UnitLine(f"{unit.short}{sign and ' ' + sign}", links.unit(unit), value, str(text))
