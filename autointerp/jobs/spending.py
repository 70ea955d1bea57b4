"""How far a limited budget has gone, and how many units to begin with what is left."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from autointerp.jobs.unit_inputs import Target
from autointerp.llm import ChatModel, Spent, ledger_of

UnitsLeft = Callable[[Spent, Spent | None], int]
"""For how many more units a budget lasts; takes what was spent, and what a unit was found to cost.
"""


class Spending:
    """How far a limited budget has gone in a run, and how many units to begin with the rest."""

    def __init__(self, n_left: UnitsLeft, model: ChatModel) -> None:
        self._n_left, self._model, self._n_begun = n_left, model, 0
        self.before = self._spent()

    def next_of(self, targets: Sequence[Target]) -> Sequence[Target]:
        """The first of them, with all sides of a unit: about half of what can still be paid for.

        Units that are begun together all wait for each other's explanations: near the end, few
        are begun, so that little is paid for units that cannot be finished.
        """
        n = max(1, self.n_left // 2)
        while n < len(targets) and targets[n].unit == targets[n - 1].unit:
            n += 1
        self._n_begun += len(targets[:n])
        return targets[:n]

    @property
    def n_left(self) -> int:
        """For how many units the rest should be enough."""
        spent, n = self._spent(), self._n_begun
        if not n:
            return self._n_left(spent, None)
        usd = None
        if spent.usd is not None and self.before.usd is not None:
            usd = (spent.usd - self.before.usd) / n
        a_unit = Spent(prompt_tokens=(spent.tokens - self.before.tokens) // n, usd=usd)
        return self._n_left(spent, a_unit)

    def _spent(self) -> Spent:
        ledger = ledger_of(self._model)
        return Spent() if ledger is None else ledger.total
