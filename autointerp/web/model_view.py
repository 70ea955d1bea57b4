"""What the page of a model shows, from the rows of its labels."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from autointerp.core.explanations import LabelStatus
from autointerp.core.ids import HookPoint, UnitId
from autointerp.web.page_links import Links
from autointerp.web.unit_profile import STATUS_WORDS

_N_BARS = 20
STATUSES: tuple[LabelStatus, ...] = (
    LabelStatus.OK,
    LabelStatus.NO_SIGNAL,
    LabelStatus.DEAD,
    LabelStatus.FAILED,
)
"""In the order in which they are drawn."""
ORDERS: Mapping[str, str] = {
    "-score": "best first",
    "score": "worst first",
    "unit": "by unit",
    "matches": "best match first",
}
"""Orders of a list of units, as REST names them, and as people do."""


@dataclass(frozen=True, slots=True)
class BarPiece:
    """A piece of a bar that is 100 wide."""

    name: str
    x: float
    width: float


@dataclass(frozen=True, slots=True)
class LayerLine:
    """The labels of one hook point."""

    hook: str
    n: int
    shares: tuple[BarPiece, ...]
    said: str
    median: float | None
    histogram: tuple[float, ...]
    """Heights from 0 to 20 of 20 bars between the scores 0 and 1."""
    link: str | None

    @classmethod
    def of(
        cls,
        hook: str,
        counts: Mapping[LabelStatus, int],
        scores: NDArray[np.float64],
        link: str | None,
    ) -> LayerLine:
        """Scores are those that there are."""
        n, x, shares = sum(counts.values()), 0.0, []
        for status in STATUSES:
            width = 100 * counts.get(status, 0) / max(1, n)
            if width:
                shares.append(BarPiece(status.value, x, width))
            x += width
        said = ", ".join(f"{counts[s]:,} {STATUS_WORDS[s]}" for s in STATUSES if counts.get(s))
        found = np.histogram(np.clip(scores, 0.0, 1.0), bins=_N_BARS, range=(0.0, 1.0))[0]
        heights = 20 * found / max(1, int(found.max(initial=0)))
        median = float(np.median(scores)) if len(scores) else None
        return cls(hook, n, tuple(shares), said, median, tuple(heights.tolist()), link)


@dataclass(frozen=True, slots=True)
class UnitLine:
    """One label in a list."""

    unit: str
    link: str
    score: str
    text: str


@dataclass(frozen=True, slots=True)
class Asked:
    """What a reader asked of the list."""

    words: str = ""
    layer: int | None = None
    sort: str = "-score"


@dataclass(frozen=True, slots=True)
class ModelView:
    """The page of a model."""

    model: str
    links: Links
    n_labels: int
    median: float | None
    layers: tuple[LayerLine, ...]
    rows: tuple[UnitLine, ...]
    more: str | None = None
    asked: Asked = Asked()

    @property
    def is_served(self) -> bool:
        """Whether a server answers searches."""
        return not self.links.are_files

    @property
    def orders(self) -> tuple[tuple[str, str], ...]:
        """Those that can be asked for."""
        known = ORDERS.items()
        return tuple((key, title) for key, title in known if self.asked.words or key != "matches")


def unit_lines(rows: Iterable[Mapping[str, object]], links: Links) -> tuple[UnitLine, ...]:
    """From rows as the dictionary has them."""
    return tuple(_unit_line(row, links) for row in rows)


def _unit_line(row: Mapping[str, object], links: Links) -> UnitLine:
    unit, score = (
        UnitId(str(row["model_id"]), str(row["hook"]), int(str(row["index"]))),
        row["score"],
    )
    text = row["description"] or row["status_reason"] or row["status"]
    sign = "-" if row["polarity"] == "negative" else ""
    value = f"{score:.2f}" if isinstance(score, float) else "–"
    return UnitLine(f"{unit.short}{sign and ' ' + sign}", links.unit(unit), value, str(text))


def layer_lines(
    hooks: Sequence[str],
    of: NDArray[np.int64],
    statuses: Sequence[LabelStatus],
    kinds: NDArray[np.int64],
    scores: NDArray[np.float64],
    link: Callable[[str], str | None] = lambda _: None,
) -> tuple[LayerLine, ...]:
    """A line for each hook point that has labels, in order of layers.

    Of each label: its hook point and its status, by their places in `hooks` and `statuses`, and
    its score, which may be no number.
    """
    result = []
    for place in sorted(
        np.unique(of).tolist(), key=lambda i: (HookPoint(hooks[i]).layer, hooks[i])
    ):
        own = of == place
        found = np.bincount(kinds[own], minlength=len(statuses)).tolist()
        known = scores[own]
        result.append(
            LayerLine.of(
                hooks[place],
                dict(zip(statuses, found, strict=True)),
                known[np.isfinite(known)],
                link(hooks[place]),
            )
        )
    return tuple(result)


def median_of(scores: NDArray[np.float64]) -> float | None:
    """The median of those that are numbers."""
    known = scores[np.isfinite(scores)]
    return float(np.median(known)) if len(known) else None
