"""Discrimination: which of several units' explanations fits these exemplars?

It punishes labels that many units share, to which detection is blind.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from typing_extensions import override

from autointerp.core.characters import whole_slice
from autointerp.core.explanations import Explanation
from autointerp.core.records import ActivationRecord, to_levels
from autointerp.core.scores import Score, ScorerResult, Trial
from autointerp.core.text import quoted
from autointerp.llm import ChatModel, ChatRequest
from autointerp.llm.reply_formats import chat_request
from autointerp.scorers.fuzzing import choose_marks, mark_tokens
from autointerp.scorers.llm_judge import PromptedScorer, ask_number, derived_random, trial_of
from autointerp.scorers.scorer_inputs import ScoringSet
from autointerp.scorers.scorer_spec import ScorerSpec, repeated_calls
from autointerp.scorers.verdict_replies import Verdict
from autointerp.statistics.classification import share_score

_TOP = "top"
_CONTEXT = 16
_N_REPEATS, _N_EXEMPLARS, _N_OTHERS = 6, 3, 10


class Discrimination(PromptedScorer):
    """Asks which of up to eleven numbered phrases describes exemplars of the unit."""

    name = "discrimination"

    def __init__(self, model: ChatModel, *, n_repeats: int = _N_REPEATS) -> None:
        """Each repeat draws other exemplars and another order of the phrases."""
        super().__init__(model, "discriminate")
        self._n_repeats = n_repeats

    @override
    async def score(self, explanation: Explanation, windows: ScoringSet) -> ScorerResult:
        """Share of the questions in which the own explanation was named."""
        others = [other.text for other in windows.others[:_N_OTHERS]]
        top = _exemplars(windows)
        if reason := _why_not(others, top):
            undefined = Score.undefined("accuracy", reason)
            return ScorerResult(self.name, explanation.text, (undefined,), ())
        asked = [
            self._trial(explanation.text, others, top, windows, number)
            for number in range(self._n_repeats)
        ]
        trials = tuple(await asyncio.gather(*asked))
        n = 1 + len(others)
        return ScorerResult(
            scorer=self.name,
            explanation=explanation.text,
            scores=(_accuracy(trials, windows.confidence),),
            trials=trials,
            notes=(
                f"chance is 1 of {n}, {1 / n:.1%}",
                f"{len(trials)} questions over {len(top)} exemplars; a trial stands under its "
                "first exemplar's window",
            ),
        )

    async def _trial(
        self,
        explanation: str,
        others: Sequence[str],
        top: Sequence[ActivationRecord],
        windows: ScoringSet,
        number: int,
    ) -> Trial:
        rng = derived_random(windows, self.name, number)
        shown = rng.sample(list(top), min(_N_EXEMPLARS, len(top)))
        phrases = [(text, False) for text in others] + [(explanation, True)]
        rng.shuffle(phrases)
        own = 1 + [right for _, right in phrases].index(True)
        request = self._request([text for text, _ in phrases], shown, windows)
        allowed = range(1, len(phrases) + 1)
        answer = await ask_number(
            self._model, request, allowed, lambda number: Verdict(number == own)
        )
        return trial_of(shown[0], answer, truth=True)

    def _request(
        self, phrases: Sequence[str], shown: Sequence[ActivationRecord], windows: ScoringSet
    ) -> ChatRequest:
        marks = choose_marks([token for record in shown for token in record.tokens])
        turns = self._template.render(
            phrases="\n".join(f"{i}: {quoted(text)}" for i, text in enumerate(phrases, 1)),
            left=marks[0],
            right=marks[1],
            texts="\n".join(_excerpt(record, windows, marks) for record in shown),
        )
        numbers = " | ".join(f'"{i}"' for i in range(len(phrases), 0, -1))
        return chat_request(
            self._model.features,
            turns,
            max_tokens=8,
            grammar=f"root ::= {numbers}",
            fresh=windows.fresh,
        )


def _exemplars(windows: ScoringSet) -> list[ActivationRecord]:
    return [
        record
        for record in windows.records
        if record.stratum == _TOP
        and max(to_levels(record.side(windows.side), peak=windows.peak), default=0) >= 1
    ]


def _why_not(others: Sequence[str], top: Sequence[ActivationRecord]) -> str | None:
    if not others:
        return "there is no other unit's explanation to tell it from"
    return None if top else "no window of the top stratum activates at a tenth of the peak"


def _excerpt(record: ActivationRecord, windows: ScoringSet, marks: tuple[str, str]) -> str:
    activations = record.side(windows.side)
    peak = activations.index(max(activations))
    shown = whole_slice(record.tokens, peak - _CONTEXT, peak + _CONTEXT + 1)
    return quoted(mark_tokens(record.tokens[shown], {peak - shown.start}, marks))


def _accuracy(trials: Sequence[Trial], confidence: float) -> Score:
    verdicts = [trial.verdict for trial in trials if trial.verdict is not None]
    if not verdicts:
        return Score.undefined("accuracy", "no question was answered readably")
    return share_score("accuracy", sum(verdicts), len(verdicts), confidence=confidence)


SPEC = ScorerSpec(
    name=Discrimination.name,
    build=lambda d: Discrimination(d.model),
    headline="accuracy",
    calls=repeated_calls("discriminate", _N_REPEATS),
    fewest_labels=2,
)
