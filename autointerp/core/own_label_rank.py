"""Whether a unit is the one of its layer that its own label describes best."""

from __future__ import annotations

from dataclasses import dataclass

from autointerp.core.ids import Side, UnitId
from autointerp.core.one_line import brief_repr


@dataclass(frozen=True, slots=True)
class OwnLabelRank:
    """How closely units of a hook point follow what a label of one of them predicts."""

    unit: UnitId
    side: Side
    n_units: int
    """Units at the hook point."""
    n_windows: int
    """Windows of held-out text with a prediction, on which all are compared."""
    rank: int | None
    """1 where no other unit follows the label more closely; None where nothing can be compared."""
    own: float | None
    """Weighted correlation of the prediction with the side that is labelled, as the headline."""
    other: UnitId | None
    """The unit that follows it most closely among the others, on the better of its sides."""
    best_other: float | None
    """Its correlation."""
    margin: float | None
    """Own less that of the best other."""
    low: float | None
    """Lower end of the margin's 95 % interval."""
    high: float | None
    reason: str | None = None
    """Why there is no rank."""

    __repr__ = brief_repr

    @property
    def sentence(self) -> str:
        """In words."""
        if self.rank is None or self.own is None:
            return f"no rank: {self.reason}"
        if self.rank == 1:
            return f"the best of {self.n_units:,} units of its layer for its label ({self.own:.2f})"
        assert self.other is not None
        other = f"{self.other.layer}:{self.other.index}"
        return (
            f"rank {self.rank:,} of {self.n_units:,}: {other} follows its label more closely "
            f"({self.best_other:.2f} against {self.own:.2f})"
        )
