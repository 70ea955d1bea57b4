"""What the page of a model shows, from the rows of its labels."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from autointerp.core.explanations import LabelStatus
from autointerp.core.ids import HookPoint
from autointerp.web.page_links import Links
from autointerp.web.unit_lists import STATUS_WORDS, Glance, UnitLine

_N_BARS = 20
_MOST_SENSES = 3
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
    "-surprise": "furthest above the token table",
    "surprise": "furthest below the token table",
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
    senses: tuple[BarPiece, ...] = ()
    """Shares of one, two and more senses among the labels whose senses are told apart."""
    said_of_senses: str = ""

    @classmethod
    def of(
        cls,
        hook: str,
        counts: Mapping[LabelStatus, int],
        scores: NDArray[np.float64],
        link: str | None,
        senses: NDArray[np.int64],
    ) -> LayerLine:
        """Scores are those that there are, and senses one number a label, 0 where it has none."""
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
        return cls(
            *(hook, n, tuple(shares), said, median, tuple(heights.tolist()), link),
            *_sense_shares(senses[senses > 0]),
        )


def _sense_shares(senses: NDArray[np.int64]) -> tuple[tuple[BarPiece, ...], str]:
    if not len(senses):
        return (), ""
    counts = np.bincount(np.minimum(senses, _MOST_SENSES), minlength=_MOST_SENSES + 1)[1:]
    widths = (100 * counts / counts.sum()).tolist()
    ends = np.cumsum([0.0, *widths]).tolist()
    pieces = (BarPiece(f"n{i}", ends[i - 1], width) for i, width in enumerate(widths, 1))
    words = zip(("one sense", "two senses", "more"), widths, strict=True)
    said = ", ".join(f"{width:.0f} % {word}" for word, width in words)
    return tuple(piece for piece in pieces if piece.width), said


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
    glances: tuple[Glance, ...] = ()

    @property
    def is_served(self) -> bool:
        """Whether a server answers searches."""
        return not self.links.are_files

    @property
    def has_senses(self) -> bool:
        """Whether senses are told apart at any hook point."""
        return any(layer.senses for layer in self.layers)

    @property
    def orders(self) -> tuple[tuple[str, str], ...]:
        """Those that can be asked for."""
        known = ORDERS.items()
        return tuple((key, title) for key, title in known if self.asked.words or key != "matches")


def layer_lines(
    hooks: Sequence[str],
    of: NDArray[np.int64],
    statuses: Sequence[LabelStatus],
    kinds: NDArray[np.int64],
    scores: NDArray[np.float64],
    senses: NDArray[np.int64],
    link: Callable[[str], str | None] = lambda _: None,
) -> tuple[LayerLine, ...]:
    """A line for each hook point that has labels, in order of layers.

    Of each label: its hook point and its status, by their places in `hooks` and `statuses`, its
    score, which may be no number, and how many senses it has, 0 where that is not known.
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
                senses[own],
            )
        )
    return tuple(result)


def median_of(scores: NDArray[np.float64]) -> float | None:
    """The median of those that are numbers."""
    known = scores[np.isfinite(scores)]
    return float(np.median(known)) if len(known) else None
