"""Output test (Gur-Arieh et al. 2025): can what the model writes be told by the explanation?"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from typing_extensions import override

from autointerp.core.errors import InputError
from autointerp.core.explanations import Explanation
from autointerp.core.ids import UnitId
from autointerp.core.probe import NEUTRAL_PROMPTS, UnitProbe
from autointerp.core.scores import Score, ScorerResult, Trial
from autointerp.core.seeds import derive_seed
from autointerp.core.text import quoted
from autointerp.core.variants import Need
from autointerp.llm import ChatModel
from autointerp.llm.reply_formats import chat_request
from autointerp.scorers.llm_judge import PromptedScorer, ask_number, derived_random
from autointerp.scorers.scorer_inputs import ScoringSet
from autointerp.scorers.scorer_spec import ScorerSpec, repeated_calls
from autointerp.scorers.verdict_replies import Verdict
from autointerp.scorers.written_texts import NO_PROBE
from autointerp.statistics.classification import share_score

N_SETS = 3
_N_REPEATS, _TARGET_KLS, _N_TOKENS = 5, (0.25, 0.5), 25
"""Sets of texts at each divergence (nats of the next token), and tokens of each text."""

Continued = tuple[tuple[str, ...], ...]
"""For each repeat, one text a prompt."""


@dataclass(frozen=True, slots=True)
class _Sets:
    """What was written at one divergence; the unit's own set stands first."""

    target_kl: float
    by_unit: tuple[Continued, ...] = ()
    failure: str | None = None


class OutputTest(PromptedScorer):
    """Holds the unit and two others up, and asks an LLM which set the explanation describes."""

    name = "output_test"

    def __init__(self, model: ChatModel, pool: Sequence[UnitId]) -> None:
        """Draws the two others from the pool, units of the same hook point first.

        Each repeat at each divergence is a question about texts of its own.
        """
        super().__init__(model, "pick_continuations")
        self._pool = tuple(dict.fromkeys(pool))

    @override
    async def score(self, explanation: Explanation, windows: ScoringSet) -> ScorerResult:
        """``accuracy`` of the judge, by chance 1/3. The labelled side is the one held up.

        A divergence that steering cannot reach fails its trials, and so does an answer that
        names no set.
        """
        if windows.probe is None:
            return self._undefined(explanation, NO_PROBE)
        others = self._others(windows)
        if len(others) < N_SETS - 1:
            return self._undefined(explanation, "there are no two other units to tell it from")
        trials: list[Trial] = []
        for target_kl in _TARGET_KLS:
            sets = await self._written(windows, windows.probe, others, target_kl)
            asked = [self._trial(explanation, windows, sets, i) for i in range(_N_REPEATS)]
            trials += await asyncio.gather(*asked)
        return ScorerResult(
            scorer=self.name,
            explanation=explanation.text,
            scores=(_accuracy(trials, windows.confidence),),
            trials=tuple(trials),
            notes=(f"one set among {N_SETS}: by chance {1 / N_SETS:.2f}",),
        )

    def _undefined(self, explanation: Explanation, reason: str) -> ScorerResult:
        scores = (Score.undefined("accuracy", reason),)
        return ScorerResult(self.name, explanation.text, scores, ())

    def _others(self, windows: ScoringSet) -> list[UnitId]:
        """Other units in the order in which they are tried, the same hook point's first."""
        others = sorted(unit for unit in self._pool if unit != windows.unit)
        derived_random(windows, self.name, "others").shuffle(others)
        return sorted(others, key=lambda unit: unit.hook != windows.unit.hook)

    async def _written(
        self, windows: ScoringSet, probe: UnitProbe, others: Sequence[UnitId], target_kl: float
    ) -> _Sets:
        own = await self._continued(windows, probe, windows.unit, windows.side.sign, target_kl)
        if isinstance(own, str):
            return _Sets(target_kl, failure=own)
        result, last = [own], ""
        # One that cannot be steered is passed over, but not a whole layer of them.
        for other in others[: 4 * N_SETS]:
            written = await self._continued(windows, probe, other, 1, target_kl)
            if isinstance(written, str):
                last = written
                continue
            result.append(written)
            if len(result) == N_SETS:
                return _Sets(target_kl, tuple(result))
        return _Sets(target_kl, failure=f"no two other units could be steered: {last}")

    async def _continued(
        self, windows: ScoringSet, probe: UnitProbe, unit: UnitId, sign: float, target_kl: float
    ) -> Continued | str:
        """The texts, or why there are none."""
        n = len(NEUTRAL_PROMPTS)
        try:
            texts = await probe.continuations(
                unit,
                NEUTRAL_PROMPTS * _N_REPEATS,
                sign=sign,
                target_kl=target_kl,
                n_tokens=_N_TOKENS,
                seed=derive_seed(windows.seed, self.name, str(unit), str(sign), str(target_kl)),
            )
        except InputError as error:
            return str(error)
        return tuple(texts[first : first + n] for first in range(0, len(texts), n))

    async def _trial(
        self, explanation: Explanation, windows: ScoringSet, sets: _Sets, repeat: int
    ) -> Trial:
        answer = Verdict(failure=sets.failure)
        if sets.failure is None:
            order = list(range(N_SETS))
            derived_random(windows, self.name, str(sets.target_kl), repeat).shuffle(order)
            shown = [sets.by_unit[which][repeat] for which in order]
            answer = await self._answer(explanation, windows, shown, order.index(0))
        number = _TARGET_KLS.index(sets.target_kl) * _N_REPEATS + repeat
        return Trial(
            number,
            f"kl={sets.target_kl:g}",
            1.0,
            verdict=answer.verdict,
            failure=answer.failure,
            truth=True,
        )

    async def _answer(
        self,
        explanation: Explanation,
        windows: ScoringSet,
        shown: Sequence[Sequence[str]],
        own: int,
    ) -> Verdict:
        turns = self._template.render(explanation=quoted(explanation.text), sets=_rendered(shown))
        request = chat_request(
            self._model.features,
            turns,
            max_tokens=8,
            grammar="root ::= [1-3]",
            fresh=windows.fresh,
        )
        return await ask_number(
            self._model, request, range(1, N_SETS + 1), lambda n: Verdict(n == own + 1)
        )


def _rendered(shown: Sequence[Sequence[str]]) -> str:
    """Numbered sets, each text a JSON string behind its prompt."""
    lines = []
    for number, texts in enumerate(shown, 1):
        whole = [prompt + text for prompt, text in zip(NEUTRAL_PROMPTS, texts, strict=True)]
        lines.append(f"Set {number}: {', '.join(quoted(text) for text in whole)}")
    return "\n".join(lines)


def _accuracy(trials: Sequence[Trial], confidence: float) -> Score:
    verdicts = [trial.verdict for trial in trials if trial.verdict is not None]
    if not verdicts:
        failures = sorted({trial.failure for trial in trials if trial.failure is not None})
        return Score.undefined("accuracy", f"nothing was judged: {failures[0]}")
    return share_score("accuracy", sum(verdicts), len(verdicts), confidence=confidence)


SPEC = ScorerSpec(
    name=OutputTest.name,
    aliases=("output_based",),
    build=lambda d: OutputTest(d.model, d.pool),
    headline="accuracy",
    calls=repeated_calls("pick_continuations", _N_REPEATS * len(_TARGET_KLS)),
    needs=frozenset({Need.LLM, Need.SUBJECT}),
    fewest_units=N_SETS,
)
