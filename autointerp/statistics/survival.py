"""How a label came through the texts with which it was tried."""

from __future__ import annotations

from collections.abc import Iterable

from autointerp.core.scores import Score
from autointerp.core.sense_types import Receipt
from autointerp.statistics.classification import share_score


def survival(receipts: Iterable[Receipt], *, confidence: float = 0.95) -> Score:
    """``survived``: the share of receipts with an expectation that came out as expected.

    Its interval is Wilson's; `n_windows` counts the receipts.
    """
    outcomes = [r.as_expected for r in receipts if r.as_expected is not None]
    if not outcomes:
        return Score.undefined("survived", "no text was run on which anything was expected")
    return share_score("survived", sum(outcomes), len(outcomes), confidence=confidence)
