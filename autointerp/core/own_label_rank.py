"""Whether a unit is the one of its layer that its own label describes best."""

from __future__ import annotations

from dataclasses import dataclass

from autointerp.core.ids import Side, UnitId
from autointerp.core.one_line import brief_repr

_CROSSED = ", each on documents on which it was not chosen"


@dataclass(frozen=True, slots=True)
class OwnLabelRank:
    """How closely units of a hook point follow what a label of one of them predicts."""

    unit: UnitId
    side: Side
    n_units: int
    """Units at the hook point."""
    n_windows: int
    """Windows of held-out text with a prediction, on which all are compared."""
    n_documents: int
    """Documents that these are of."""
    rank: int | None
    """1 where no other unit follows the label more closely; None where nothing can be compared."""
    own: float | None
    """Weighted correlation of the prediction with the side that is labelled, as the headline."""
    other: UnitId | None
    """The unit that follows it most closely among the others, on the better of its sides."""
    best_other: float | None
    """Its correlation, on the text on which it was found to be the best."""
    margin: float | None
    """Own less that of the best other, which is chosen on one half of the documents and compared
    on the other half; the mean of both ways round."""
    low: float | None
    """Lower end of the margin's 95 % interval over documents; None with fewer than six."""
    high: float | None
    rivals: tuple[UnitId, ...] = ()
    """The units over which the margin is: the best on either half of the documents, once where it
    is the same."""
    lead_low: float | None = None
    """Where the rank is 1, lower end of the 95 % interval over documents of own less that of the
    best other on all windows: too low rather than too high, as that one is the luckiest there."""
    reason: str | None = None
    """Why there is no rank, or no margin."""

    __repr__ = brief_repr

    @property
    def is_surely_best(self) -> bool:
        """Whether the best other on the same windows is surely behind."""
        return self.rank == 1 and self.lead_low is not None and self.lead_low > 0

    @property
    def is_surely_not_best(self) -> bool:
        """Whether another unit is ahead, and the interval of the margin leaves out 0."""
        behind = self.rank is not None and self.rank > 1
        return behind and self.high is not None and self.high < 0

    @property
    def sentence(self) -> str:
        """In words."""
        if self.rank is None or self.own is None:
            return f"no rank: {self.reason}"
        among = f"of {self.n_units:,} units of its layer for its own label"
        if self.rank == 1:
            surely = "surely " if self.is_surely_best else ""
            return f"{surely}the best {among} ({self.own:.2f}), {self.margin_words}"
        assert self.other is not None
        return (
            f"rank {self.rank:,} {among}: {self.other.short} follows it more closely "
            f"({self.best_other:.2f} against {self.own:.2f}), {self.margin_words}"
        )

    @property
    def margin_words(self) -> str:
        """The margin with its interval, and over which units."""
        if self.margin is None:
            return f"no margin: {self.reason}"
        over = " and ".join(unit.short for unit in self.rivals)
        sign = -1 if self.margin < 0 else 1
        ends = sorted(sign * end for end in (self.low, self.high) if end is not None)
        interval = f" [{ends[0]:.2f}, {ends[1]:.2f}]" if ends else ""
        way = "behind" if sign < 0 else "ahead of"
        crossed = _CROSSED if len(self.rivals) > 1 else ""
        return f"{way} {over} by {abs(self.margin):.2f}{interval}{crossed}"
