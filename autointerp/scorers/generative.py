"""Generative score (clarity in FADE, Puri et al. 2025): do texts by the explanation activate?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from typing_extensions import override

from autointerp.core.scores import Score
from autointerp.core.variants import Need
from autointerp.llm import ChatModel
from autointerp.scorers.scorer_inputs import ScoringSet
from autointerp.scorers.scorer_spec import ScorerSpec, writing_calls
from autointerp.scorers.written_texts import RunTexts, WrittenTextsScorer
from autointerp.statistics.bootstrap import Resampling
from autointerp.statistics.classification import classification_score, share_score
from autointerp.statistics.closed_form_intervals import weighted_quantile

QUANTILE = 0.9
_CLARITY, _SHARE, _NEAR, _AGAINST = (
    "clarity",
    "share_above_q90",
    "near_miss_clarity",
    "against_near_misses",
)


class Generative(WrittenTextsScorer):
    """Asks an LLM for texts by the explanation and holds them against natural windows."""

    name = "generative"
    score_names = (_CLARITY, _SHARE, _NEAR, _AGAINST)

    def __init__(self, model: ChatModel) -> None:
        """Writes ten texts that should activate the unit, and as many near misses."""
        super().__init__(model, "generate_texts", 10, fewest=1)

    @override
    def compare(
        self, tried: RunTexts, windows: ScoringSet
    ) -> tuple[tuple[Score, ...], tuple[str, ...]]:
        """How far the texts' peaks are above those of all held-out text.

        ``clarity`` is 2 * AUROC - 1 against the natural windows with their weights, 0 for texts
        that are like any other; ``share_above_q90`` the share of texts above the windows' 0.9
        quantile; ``near_miss_clarity`` the first for near misses, near 0 for a sharp
        explanation; ``against_near_misses`` is 2 * AUROC - 1 of texts against near misses.
        """
        if not windows.records:
            return self.undefined("there is no natural window to compare to"), ()
        quantile = _natural_quantile(windows)
        note = f"the natural windows' {QUANTILE} quantile is {quantile:.4g}"
        return _scores(tried, windows, quantile), (note,)


def _scores(tried: RunTexts, windows: ScoringSet, quantile: float) -> tuple[Score, ...]:
    n, hits = len(tried.should), sum(peak > quantile for peak in tried.should)
    against = classification_score(
        "auroc",
        [*tried.should, *tried.should_not],
        [True] * n + [False] * len(tried.should_not),
        windows.resampling,
    )
    return (
        _against_natural(_CLARITY, tried.should, windows, windows.resampling),
        share_score(_SHARE, hits, n, confidence=windows.confidence),
        _against_natural(_NEAR, tried.should_not, windows, windows.resampling),
        doubled(against, _AGAINST),
    )


def _against_natural(
    name: str, peaks: Sequence[float], windows: ScoringSet, resampling: Resampling
) -> Score:
    natural = [record.peak(windows.side) for record in windows.records]
    result = classification_score(
        "auroc",
        [*peaks, *natural],
        [True] * len(peaks) + [False] * len(natural),
        resampling,
        weights=[1.0] * len(peaks) + [record.weight for record in windows.records],
        strata=["written"] * len(peaks) + [f"natural {r.stratum}" for r in windows.records],
    )
    return doubled(result, name)


def doubled(area: Score, name: str) -> Score:
    """2 * AUROC - 1 under another name: 0 for chance, 1 where all pairs are in order."""
    if area.value is None:
        return replace(area, name=name)
    low = None if area.low is None else 2 * area.low - 1
    high = None if area.high is None else 2 * area.high - 1
    return Score(name, 2 * area.value - 1, low, high, area.n_windows, None)


def _natural_quantile(windows: ScoringSet) -> float:
    peaks = [record.peak(windows.side) for record in windows.records]
    return weighted_quantile(peaks, [record.weight for record in windows.records], QUANTILE)


SPEC = ScorerSpec(
    name=Generative.name,
    build=lambda d: Generative(d.model),
    headline=_CLARITY,
    calls=writing_calls("generate_texts", 20),
    needs=frozenset({Need.LLM, Need.SUBJECT}),
)
