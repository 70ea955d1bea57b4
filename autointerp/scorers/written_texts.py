"""Texts that an LLM writes by an explanation, and what the unit does on them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

from typing_extensions import override

from autointerp.core.errors import InputError, RequestRefusedError
from autointerp.core.explanations import Explanation
from autointerp.core.probe import UnitProbe
from autointerp.core.scores import Score, ScorerResult, Trial
from autointerp.core.seeds import derive_seed
from autointerp.core.text import quoted
from autointerp.llm import ChatModel, ChatReply, ChatRequest
from autointerp.llm.answers import CUT_OFF, NoAnswerError, answer_of, find_object
from autointerp.llm.reply_formats import (
    array_schema,
    chat_request,
    in_turn,
    object_schema,
)
from autointerp.llm.wrapped_model import why_refused
from autointerp.scorers.llm_judge import PromptedScorer
from autointerp.scorers.scorer_inputs import ScoringSet
from autointerp.scorers.window_verdicts import STRONG
from autointerp.templates import Template

NO_PROBE = "the subject model is not at hand to run texts through"
_KINDS = ("should", "should_not")
_TOKENS_A_TEXT = 70
_TEXT = r't ::= "\"" [^"\\\x00-\x1f]{3,240} "\""'


@dataclass(frozen=True, slots=True)
class RunTexts:
    """Texts that were run, as trials, and their peaks; both empty where the reply failed."""

    trials: tuple[Trial, ...]
    """One a text asked for: the verdict is what the explanation says of it, the truth whether
    the side reaches half of the explain set's peak on it."""
    should: tuple[float, ...]
    """Peak of the side on each text that should activate it, model units."""
    should_not: tuple[float, ...]
    failure: str | None = None


class WrittenTextsScorer(PromptedScorer, ABC):
    """A scorer that lets an LLM write texts by the explanation and runs the subject model on them.

    Half of the texts should activate the unit and half should not. A text is read as far as the
    longest natural window, as a longer one has more chances. A reply that cannot be used fails
    all of its trials.
    """

    score_names: tuple[str, ...]

    def __init__(self, model: ChatModel, prompt: str, n_texts: int, *, fewest: int) -> None:
        """Writes as many texts of each kind as that.

        Raises:
            InputError: fewer than the fewest.
        """
        if n_texts < fewest:
            msg = f"{self.name} needs at least {fewest} texts of each kind, found {n_texts}"
            raise InputError(msg)
        super().__init__(model, prompt)
        self._n = n_texts

    @abstractmethod
    def compare(
        self, tried: RunTexts, windows: ScoringSet
    ) -> tuple[tuple[Score, ...], tuple[str, ...]]:
        """The scores of texts that were run, and notes."""

    @override
    async def score(self, explanation: Explanation, windows: ScoringSet) -> ScorerResult:
        """Scores as `compare` makes them; undefined without texts or a subject model.

        Raises:
            UpstreamError: the LLM could not be used.
            InputError: the unit is not one of the probe's model.
        """
        if windows.probe is None:
            return ScorerResult(self.name, explanation.text, self.undefined(NO_PROBE), ())
        tried = await self._try(explanation.text, windows, windows.probe)
        scores, notes = (
            (self.undefined(f"no texts were written: {tried.failure}"), ())
            if tried.failure
            else self.compare(tried, windows)
        )
        return ScorerResult(self.name, explanation.text, scores, tried.trials, notes)

    def undefined(self, reason: str) -> tuple[Score, ...]:
        """Every score without a value."""
        return tuple(Score.undefined(name, reason) for name in self.score_names)

    async def _try(self, explanation: str, windows: ScoringSet, probe: UnitProbe) -> RunTexts:
        n = self._n
        try:
            request = _request(self._model, self._template, explanation, windows, n)
            texts = _read(await self._model.reply(request), n)
        except NoAnswerError as error:
            return _failed(str(error), n)
        except RequestRefusedError as error:
            return _failed(why_refused(error), n)
        probed = await probe.measure(windows.unit, texts)
        longest = max((len(record.tokens) for record in windows.records), default=None)
        sign = windows.side.sign
        peaks = [max([0.0, *(sign * a for a in one.activations[:longest])]) for one in probed]
        strong = [peak >= STRONG * windows.peak for peak in peaks]
        trials = tuple(_trial(i, n, truth=truth) for i, truth in enumerate(strong))
        return RunTexts(trials, tuple(peaks[:n]), tuple(peaks[n:]))


def _failed(why: str, n: int) -> RunTexts:
    return RunTexts(tuple(_trial(i, n, failure=why) for i in range(2 * n)), (), (), why)


def _trial(number: int, n: int, *, truth: bool | None = None, failure: str | None = None) -> Trial:
    verdict = None if failure else number < n
    return Trial(number, _KINDS[number >= n], 1.0, verdict=verdict, failure=failure, truth=truth)


def _request(
    model: ChatModel, template: Template, explanation: str, windows: ScoringSet, n: int
) -> ChatRequest:
    turns = template.render(explanation=quoted(explanation), n=str(n))
    seed = derive_seed(windows.seed, template.ref.name, str(windows.unit), str(windows.side))
    texts = array_schema({"type": "string"}, least=n, most=n)
    lists = in_turn(f'"\\"{kind}\\": " "[" {in_turn(["t"] * n)} "]"' for kind in _KINDS)
    return chat_request(
        model.features,
        turns,
        max_tokens=2 * n * _TOKENS_A_TEXT,
        schema=object_schema("texts", dict.fromkeys(_KINDS, texts)),
        grammar=f'root ::= "{{" {lists} "}}"\n{_TEXT}',
        seed=seed % 2**31,
        fresh=windows.fresh,
    )


def _read(reply: ChatReply, n: int) -> tuple[str, ...]:
    """The texts, those that should activate first."""
    if reply.finish_reason == "length":
        raise NoAnswerError(CUT_OFF)
    what = "lists under should and should_not"
    value = find_object(answer_of(reply), *_KINDS, what=what).value
    result = [" ".join(one.split()) for kind in _KINDS for one in _texts(value[kind], kind, n)]
    if not all(result) or len(set(result)) < len(result):
        raise NoAnswerError(f"asked for {2 * n} different texts, found {len(set(result) - {''})}")
    return tuple(result)


def _texts(value: object, kind: str, n: int) -> Sequence[str]:
    texts = [one for one in value if isinstance(one, str)] if isinstance(value, list) else []
    if not isinstance(value, list) or len(texts) < len(value):
        raise NoAnswerError(f"what stands under {kind} is not a list of texts: {value!r:.40}")
    if len(texts) != n:
        raise NoAnswerError(f"asked for {n} texts under {kind}, found {len(texts)}")
    return texts
