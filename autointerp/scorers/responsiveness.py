"""Responsiveness and purity (FADE, Puri et al. 2025): natural text rated by the explanation."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from typing_extensions import override

from autointerp.core.characters import join_tokens
from autointerp.core.explanations import Explanation
from autointerp.core.records import ActivationRecord
from autointerp.core.scores import Score, ScorerResult, Trial
from autointerp.core.text import quoted
from autointerp.llm import ChatModel
from autointerp.llm.reply_formats import chat_request
from autointerp.scorers.generative import doubled
from autointerp.scorers.llm_judge import PromptedScorer, ask_number, trial_of
from autointerp.scorers.scorer_inputs import ScoringSet
from autointerp.scorers.scorer_spec import ScorerSpec, window_calls
from autointerp.scorers.verdict_replies import Verdict
from autointerp.scorers.window_verdicts import judged_weights
from autointerp.statistics.classification import classification_score

_NAMES = ("responsiveness", "purity")


class Responsiveness(PromptedScorer):
    """Asks an LLM to rate each held-out window 0, 1 or 2, and holds activations against that."""

    name = "responsiveness"

    def __init__(self, model: ChatModel) -> None:
        super().__init__(model, "rate_text")

    @override
    async def score(self, explanation: Explanation, windows: ScoringSet) -> ScorerResult:
        """``responsiveness`` and ``purity`` of the windows' peaks, estimated for all text.

        Windows rated 2 against those rated 0, each with its weight: 2 * AUROC - 1, and average
        precision. A trial's probability is half of the rating, its verdict whether that is 2.
        """
        asked = [self._trial(explanation.text, record, windows) for record in windows.records]
        trials = tuple(await asyncio.gather(*asked))
        scores, chance = _scores(windows, trials)
        rated = [sum(t.probability == rating / 2 for t in trials) for rating in range(3)]
        notes = [f"rated 0, 1 and 2: {rated[0]}, {rated[1]} and {rated[2]} windows"]
        if chance is not None:
            notes.append(f"purity by chance is {chance:.3g}")
        return ScorerResult(self.name, explanation.text, scores, trials, tuple(notes))

    async def _trial(
        self, explanation: str, record: ActivationRecord, windows: ScoringSet
    ) -> Trial:
        text = quoted(join_tokens(record.tokens))
        request = chat_request(
            self._model.features,
            self._template.render(explanation=quoted(explanation), text=text),
            max_tokens=4,
            grammar="root ::= [0-2]",
            fresh=windows.fresh,
        )
        verdict = await ask_number(
            self._model, request, range(3), lambda rating: Verdict(rating == 2, rating / 2)
        )
        return trial_of(record, verdict)


def _scores(windows: ScoringSet, trials: Sequence[Trial]) -> tuple[tuple[Score, ...], float | None]:
    """Both scores, and what the purity of activations without any relation would be."""
    judged = [trial for trial in trials if trial.verdict is not None]
    weights = judged_weights(windows, judged) if judged else []
    clear = [(t, w) for t, w in zip(judged, weights, strict=True) if t.probability != 0.5]
    for missing in (2, 0):
        if not any(trial.probability == missing / 2 for trial, _ in clear):
            reason = f"no window was rated {missing}"
            n = len(judged)
            return tuple(Score.undefined(name, reason, n_windows=n) for name in _NAMES), None
    peaks = {record.window: record.peak(windows.side) for record in windows.records}
    values = [peaks[trial.window] for trial, _ in clear]
    truths = [bool(trial.verdict) for trial, _ in clear]
    masses = [weight for _, weight in clear]
    strata = [trial.stratum for trial, _ in clear]
    how = windows.resampling
    area = classification_score("auroc", values, truths, how, weights=masses, strata=strata)
    purity = classification_score("auprc", values, truths, how, weights=masses, strata=strata)
    positive = sum(mass for mass, truth in zip(masses, truths, strict=True) if truth)
    scores = (doubled(area, _NAMES[0]), replace(purity, name=_NAMES[1]))
    return scores, positive / sum(masses)


SPEC = ScorerSpec(
    name=Responsiveness.name,
    build=lambda d: Responsiveness(d.model),
    headline=_NAMES[0],
    calls=window_calls("rate_text"),
    judges_windows=True,
)
