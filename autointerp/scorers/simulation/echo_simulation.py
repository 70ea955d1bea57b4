"""Simulation by echo (Bills et al. 2023): one forward of a window, nothing is generated.

The prompt is a finished simulation in which every level of the window reads "unknown". What the
endpoint says could have stood there instead is the prediction: the expected value over the exact
level tokens "0" to "10", renormalized. A tokenizer that splits "10" has no token for level 10.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import cast

from typing_extensions import override

from autointerp.core.config import JobSpec
from autointerp.core.errors import RequestRefusedError
from autointerp.core.explanations import Explanation, PromptRef
from autointerp.core.records import MAX_LEVEL, ActivationRecord
from autointerp.core.scores import ScorerResult, Trial
from autointerp.core.text import quoted
from autointerp.core.variants import CELL, PHRASE, Need, PromptCalls
from autointerp.llm import TokenChoice
from autointerp.llm.answers import NoAnswerError, token_starts
from autointerp.llm.chat_model import ChatModel, EchoModel
from autointerp.llm.wrapped_model import why_refused
from autointerp.scorers.llm_judge import trial_of
from autointerp.scorers.scorer_inputs import LlmScorer, ScoringSet, predicted_scores
from autointerp.scorers.scorer_spec import ScorerSpec
from autointerp.scorers.simulation.dense_simulation import expectation_note
from autointerp.scorers.simulation.levels_reply import LevelsReply, mean_level
from autointerp.scorers.verdict_replies import Verdict
from autointerp.templates import load_template

_UNKNOWN = "unknown"
# A quoted token holds no raw tab, so this stands before levels and nowhere else in a window.
_PLACE = f"\t{_UNKNOWN}"


class EchoSimulation(LlmScorer):
    """Predicts activations of held-out windows, one prompt a window."""

    name = "simulation_echo"

    def __init__(self, model: EchoModel) -> None:
        # What says how probable texts are is a chat model too.
        super().__init__(cast("ChatModel", model))
        self._template = load_template("simulate_echo", "v1")

    @property
    @override
    def prompts(self) -> tuple[PromptRef, ...]:
        return (self._template.ref,)

    @override
    async def score(self, explanation: Explanation, windows: ScoringSet) -> ScorerResult:
        """Population, top-and-random and other scores of the simulated activations.

        Raises:
            EchoUnsupportedError: the endpoint gives no log-probabilities of prompts.
        """
        asked = [self._trial(explanation.text, record, windows) for record in windows.records]
        outcomes = await asyncio.gather(*asked)
        trials = tuple(trial for trial, _ in outcomes)
        off = [mass for _, mass in outcomes if mass is not None]
        notes = (expectation_note(off),) if off else ()
        return ScorerResult(
            self.name, explanation.text, predicted_scores(windows, trials), trials, notes
        )

    async def _trial(
        self, explanation: str, record: ActivationRecord, windows: ScoringSet
    ) -> tuple[Trial, float | None]:
        try:
            model = cast("EchoModel", self._model)
            choices = await model.prompt_logprobs(self.prompt(explanation, record.tokens))
            read = read_echo(choices, n_tokens=len(record.tokens))
        except RequestRefusedError as error:
            return trial_of(record, Verdict(failure=why_refused(error))), None
        except NoAnswerError as error:
            return trial_of(record, Verdict(failure=str(error))), None
        scale = windows.peak / MAX_LEVEL
        answer = Verdict(predicted=tuple(level * scale for level in read.levels))
        return trial_of(record, answer), read.off_mass

    def prompt(self, explanation: str, tokens: Sequence[str]) -> str:
        """The text whose log-probabilities are asked for."""
        rows = "\n".join(f"{quoted(token)}{_PLACE}" for token in tokens)
        turns = self._template.render(explanation=explanation, rows=rows)
        return "\n\n".join(text for _, text in turns)


def read_echo(choices: Sequence[TokenChoice], *, n_tokens: int) -> LevelsReply:
    """Expected levels at the last ``n_tokens`` places that read unknown.

    The places are looked for in what the tokens spell, so a token put before the prompt or half
    a character that the endpoint shows as U+FFFD moves nothing.

    Raises:
        NoAnswerError: fewer places, a place inside a token, or no mass on any level.
    """
    spelled = "".join(choice.token for choice in choices)
    places = []
    at = spelled.find(_PLACE)
    while at >= 0:
        places.append(at + 1)
        at = spelled.find(_PLACE, at + 1)
    if len(places) < n_tokens:
        msg = f"the echo has {len(places)} places for levels, {n_tokens} were asked for"
        raise NoAnswerError(msg)
    starts = token_starts(choices)
    levels, off = [], []
    for place in places[len(places) - n_tokens :]:
        if (choice := starts.get(place)) is None:
            msg = f"no token of the echo begins at a level: {spelled[place - 8 : place + 7]!r}"
            raise NoAnswerError(msg)
        level, mass = mean_level(choice, MAX_LEVEL)
        levels.append(level)
        off.append(1 - mass)
    return LevelsReply(tuple(levels), sum(off) / len(off) if off else None)


def _calls(job: JobSpec, n_windows: int) -> tuple[PromptCalls, ...]:
    shown = PHRASE + job.corpus.n_ctx * (CELL - job.is_small_llm)
    return (PromptCalls("simulate_echo", n_windows, shown, 0),)


SPEC = ScorerSpec(
    name=EchoSimulation.name,
    build=lambda d: EchoSimulation(d.echo),
    headline="population",
    calls=_calls,
    needs=frozenset({Need.LLM, Need.ECHO}),
    predicts_activations=True,
    judges_windows=True,
)
