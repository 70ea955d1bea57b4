"""Trials, verdicts and scores. A failure is counted and never becomes a number."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Annotated

from autointerp.core import later_fields
from autointerp.core.errors import AutointerpError
from autointerp.core.one_line import brief_repr

_MOST_PARTS = 10**6
"""Of one, in ends of intervals that are kept: their decimals are six."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One question to a scorer about one held-out window, with its verdict or failure."""

    window: int
    stratum: str
    weight: float
    """Windows of the split that this one stands for."""
    predicted: tuple[float, ...] | None = None
    """Predicted activation per token (simulation), model units; else None."""
    verdict: bool | None = None
    """Does the window activate (detection); else None."""
    probability: float | None = None
    """Probability behind the verdict, where the endpoint gives it."""
    failure: str | None = None
    """Why there is neither prediction nor verdict; None for a judged trial."""
    truth: bool | None = None
    """The right verdict, where the question has one that is not read off the window's peak."""
    senses: Annotated[tuple[int, ...] | None, later_fields.LATER] = None
    """Per token the 0-based sense that predicts it, -1 where none applies; None without senses."""

    __repr__ = brief_repr

    def __post_init__(self) -> None:
        judged = self.predicted is not None or self.verdict is not None
        if judged == (self.failure is not None):
            raise AutointerpError(f"a trial is judged or failed, never both: window {self.window}")


@dataclass(frozen=True, slots=True)
class Score:
    """A number with its interval, or the reason why there is none."""

    name: str
    """``population``, ``top_random``, ``ev_correlation``, ``balanced_accuracy`` ..."""
    value: float | None
    low: float | None
    """Lower end of the 95 % bootstrap interval over windows within strata."""
    high: float | None
    n_windows: int
    """Judged windows that it was computed from."""
    reason: str | None
    """Why the value is undefined; None where there is a value."""

    def __post_init__(self) -> None:
        if (self.value is None) == (self.reason is None):
            raise AutointerpError(f"score {self.name} needs either a value or a reason")
        for number in (self.value, self.low, self.high):
            if number is not None and not math.isfinite(number):
                raise AutointerpError(f"score {self.name} is not finite: {number}")

    def __repr__(self) -> str:
        return f"Score({self.name}, {self.brief})"

    @property
    def brief(self) -> str:
        """``0.78 [0.71, 0.82]``, or why it has no value."""
        if self.value is None:
            return self.reason or ""
        ends = (
            "" if self.low is None or self.high is None else f" [{self.low:.2f}, {self.high:.2f}]"
        )
        return f"{self.value:.2f}{ends}"

    @property
    def as_kept(self) -> Score:
        """With ends of six decimals, rounded outward: far finer than what resamples tell."""
        low = None if self.low is None else _outward(self.low, -1)
        high = None if self.high is None else _outward(self.high, 1)
        return replace(self, low=low, high=high)

    @classmethod
    def undefined(cls, name: str, reason: str, *, n_windows: int = 0) -> Score:
        """A score without a value."""
        return cls(name, None, None, None, n_windows, reason)


@dataclass(frozen=True, slots=True)
class ScorerResult:
    """All scores of one scorer for one explanation, with the trials behind them."""

    scorer: str
    """``simulation``, ``detection``, ``rules``, ``lookup``; nulls are ``simulation_null``."""
    explanation: str
    """The text that was scored: for a null, another unit's."""
    scores: tuple[Score, ...]
    trials: tuple[Trial, ...]
    notes: tuple[str, ...] = ()
    """What a reader must know: the kind of simulation, mass outside the levels."""
    n_unread: Annotated[int, later_fields.LATER] = 0
    """Trials that are not in `trials`, as a store was not asked for them; none of them failed."""

    @property
    def n_asked(self) -> int:
        """Questions asked."""
        return len(self.trials) + self.n_unread

    @property
    def n_failed(self) -> int:
        """Questions without an answer that could be read."""
        return sum(trial.failure is not None for trial in self.trials)

    @property
    def n_judged(self) -> int:
        """Questions answered; ``n_asked == n_judged + n_failed``."""
        return self.n_asked - self.n_failed

    @property
    def failure(self) -> str | None:
        """Why the scorer as a whole failed: every question did; None where it did not."""
        if self.n_judged or not self.n_asked:
            return None
        first = next(trial.failure for trial in self.trials if trial.failure)
        return f"all {self.n_asked} trials failed, the first: {first}"

    @property
    def as_kept(self) -> ScorerResult:
        """As it stands in a label: its scores with ends of few digits."""
        return replace(self, scores=tuple(score.as_kept for score in self.scores))

    def __repr__(self) -> str:
        scores, first = len(self.scores), self.scores[0].brief if self.scores else "none"
        return f"ScorerResult({self.scorer}, {scores} scores: {first}, {self.n_asked} trials)"

    def score(self, name: str) -> Score:
        """The score of that name; undefined with a reason where the scorer has none."""
        for score in self.scores:
            if score.name == name:
                return score
        return Score.undefined(name, f"{self.scorer} has no score of that name")

    def with_scores(self, *scores: Score) -> ScorerResult:
        """The result with more scores."""
        return replace(self, scores=(*self.scores, *scores))


def _outward(end: float, step: int) -> float:
    """The nearest number of so many decimals that is not within the interval, below it for -1."""
    whole = round(end * _MOST_PARTS)
    return (whole + step * ((whole / _MOST_PARTS - end) * step < 0)) / _MOST_PARTS
