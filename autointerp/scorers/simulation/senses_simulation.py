"""Simulation from senses: a reader says where each of some numbered patterns applies.

It is not asked for levels, which readers guess poorly: what a sense is worth where it applies is
the level that was written with it, or one that was fitted. Where senses with rules apply a program
finds out, without the reader. Senses of several explanations are
asked about together, in an order that does not tell which is whose, so that an explanation and
another unit's are judged in one reply.

Prompt v1 asks for a strength from 1 to 10 with each place, v2 only for the places.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import ceil
from random import Random

from typing_extensions import override

from autointerp.core.config import JobSpec
from autointerp.core.explanations import Explanation, PromptRef
from autointerp.core.records import MAX_LEVEL, ActivationRecord
from autointerp.core.scores import ScorerResult, Trial
from autointerp.core.sense_types import Sense, folded
from autointerp.core.variants import PHRASE, TEXT, JobLlm, PromptCalls
from autointerp.llm import ChatModel, ChatReply, ChatRequest, JsonSchema
from autointerp.llm.reply_formats import array_schema, chat_request, object_schema
from autointerp.programs.language import n_windows_in_time, parse_program
from autointerp.scorers.llm_judge import ask_all, ask_batch, derived_random, trial_of
from autointerp.scorers.scorer_inputs import LlmScorer, ScoringSet, predicted_scores
from autointerp.scorers.scorer_spec import ScorerSpec, many_windows
from autointerp.scorers.simulation.listed_words import ShownText
from autointerp.scorers.simulation.places_reply import Strengths, read_places
from autointerp.scorers.verdict_replies import Verdict
from autointerp.templates import load_template

WINDOWS_PER_CALL = 20
"""Windows a call by default."""
_VERSION, _WITH_STRENGTHS = "v1", "v1"
_TOO_SLOW = (
    "the rules of its senses could take too long on so many windows; bound the repeats of their "
    "regular expressions"
)

_Reader = Callable[[ChatReply], list[Strengths | str]]


@dataclass(frozen=True, slots=True)
class SensePlaces:
    """Where in one window the senses of an explanation apply."""

    strengths: Strengths
    """Shape (n_tokens, n_senses): 0 where a sense does not apply, else how well it does, up to 1;
    1 where no strengths were asked for."""


class SensesSimulation(LlmScorer):
    """Predicts activations of held-out windows from the places at which senses apply."""

    name = "simulation_senses"

    def __init__(
        self, model: ChatModel, *, windows_per_call: int = WINDOWS_PER_CALL, version: str = _VERSION
    ) -> None:
        super().__init__(model)
        self._per_call = windows_per_call
        self._template = load_template("simulate_senses", version)

    @property
    @override
    def prompts(self) -> tuple[PromptRef, ...]:
        return (self._template.ref,)

    async def places(
        self, explanations: Sequence[Explanation], windows: ScoringSet
    ) -> list[tuple[SensePlaces | str, ...]]:
        """For each window the places of each explanation's senses, or why they could not be had.

        An explanation without senses is one sense. One that needs no reader has its places
        whatever the reader replies. One whose rules could take too long has those of
        `windows_in_time`.

        Raises:
            UpstreamError: the LLM could not be used.
        """
        read = await self.readings(explanations, windows)
        in_time = [
            {record.window for record in windows_in_time(explanation, windows).records}
            for explanation in explanations
        ]
        return [
            tuple(
                _places(explanation, own, record) if record.window in drawn else _TOO_SLOW
                for explanation, own, drawn in zip(explanations, one, in_time, strict=True)
            )
            for one, record in zip(read, windows.records, strict=True)
        ]

    async def readings(
        self, explanations: Sequence[Explanation], windows: ScoringSet
    ) -> list[Sequence[Strengths | str]]:
        """What the LLM says of each window for each explanation; rules are not run.

        Raises:
            UpstreamError: the LLM could not be used.
        """
        patterns = _Patterns.of(explanations, derived_random(windows, self.name, "patterns"))

        async def ask(batch: Sequence[ActivationRecord]) -> list[Strengths | str]:
            texts = [ShownText.of(record.tokens, with_bars=True) for record in batch]
            request = replace(self._request(patterns, texts), fresh=windows.fresh)
            read = self._reader(texts, len(patterns.texts))
            return await ask_batch(self._model, request, len(batch), read)

        read: Sequence[Strengths | str] = [()] * len(windows.records)
        if patterns.texts:
            read = await ask_all(ask, windows, self._per_call, self.name)
        return [patterns.places(one) for one in read]

    def _request(self, patterns: _Patterns, texts: Sequence[ShownText]) -> ChatRequest:
        lines = [f"{i}: {text.line}" for i, text in enumerate(texts, 1)]
        n_tokens = sum(len(text.tokens) for text in texts)
        return chat_request(
            self._model.features,
            self._template.render(patterns=patterns.lines, texts="\n".join(lines)),
            max_tokens=40 + 4 * (len(texts) + n_tokens),
            schema=_schema(texts, len(patterns.texts)),
        )

    def _reader(self, texts: Sequence[ShownText], n_patterns: int) -> _Reader:
        with_strengths = self._template.ref.version == _WITH_STRENGTHS

        def read(reply: ChatReply) -> list[Strengths | str]:
            return read_places(reply, texts, n_patterns, with_strengths=with_strengths)

        return read

    @override
    async def score(self, explanation: Explanation, windows: ScoringSet) -> ScorerResult:
        replies = await self.places([explanation], windows)
        return _result(self.name, explanation, windows, _own(replies, 0))

    async def score_together(
        self, explanations: Sequence[Explanation], windows: ScoringSet
    ) -> tuple[tuple[ScorerResult, ...], list[tuple[SensePlaces | str, ...]]]:
        """The scores of each explanation from the same replies, and the places behind them.

        Raises:
            UpstreamError: the LLM could not be used; nothing is scored.
        """
        replies = await self.places(explanations, windows)
        results = tuple(
            _result(self.name, explanation, windows, _own(replies, number))
            for number, explanation in enumerate(explanations)
        )
        return results, replies


def windows_in_time(explanation: Explanation, windows: ScoringSet) -> ScoringSet:
    """The windows on which its rules may be run: all, or a draw of as many as are in time."""
    n_steps = sum(parse_program(s.program).n_steps for s in explanation.senses if s.program)
    return windows.first(
        n_windows_in_time(n_steps, [len(record.tokens) for record in windows.records])
    )


def _places(
    explanation: Explanation, read: Strengths | str, record: ActivationRecord
) -> SensePlaces | str:
    """Where all senses apply: those without rules, in their order, where the reader said."""
    if isinstance(read, str) and not explanation.needs_no_reader:
        return read
    by_reader = zip(*(() if isinstance(read, str) else read), strict=True)
    columns = [
        next(by_reader) if sense.program is None else _by_rules(sense.program, record)
        for sense in senses_of(explanation)
    ]
    return SensePlaces(tuple(zip(*columns, strict=True)))


def _by_rules(source: str, record: ActivationRecord) -> tuple[float, ...]:
    """The levels that a program gives, as shares of its greatest."""
    program = parse_program(source)
    return tuple(level / program.level for level in program.levels(record.tokens))


def senses_of(explanation: Explanation) -> tuple[Sense, ...]:
    """The senses of an explanation; its whole text as one where it has none."""
    return explanation.senses or (Sense(explanation.text, float(MAX_LEVEL)),)


def predict(
    explanation: Explanation, places: SensePlaces, peak: float
) -> tuple[tuple[float, ...], tuple[int, ...]]:
    """Predicted activation per token, model units, and the 0-based sense that predicts it.

    That is the greatest activation of the senses that apply: the fitted one, or else that of
    the level. Where none applies it is the background, and the sense -1. Of what is above the
    background only so much counts as the strength says.
    """
    background = explanation.background or 0.0
    gains = [
        (s.level / MAX_LEVEL * peak if s.activation is None else s.activation) - background
        for s in senses_of(explanation)
    ]
    predicted, strongest = [], []
    for strengths in places.strengths:
        candidates = [
            (gain * strength, -i)
            for i, (gain, strength) in enumerate(zip(gains, strengths, strict=True))
            if strength
        ]
        gain, place = max(candidates, default=(0.0, 1))
        predicted.append(background + max(0.0, gain))
        strongest.append(-place)
    return tuple(predicted), tuple(strongest)


def _own(replies: Sequence[tuple[SensePlaces | str, ...]], number: int) -> list[SensePlaces | str]:
    return [one[number] for one in replies]


def _result(
    name: str, explanation: Explanation, windows: ScoringSet, found: Sequence[SensePlaces | str]
) -> ScorerResult:
    part = windows_in_time(explanation, windows)
    drawn = {record.window: record for record in part.records}
    trials = tuple(
        _trial(drawn.get(record.window, record), explanation, places, windows.peak)
        for record, places in zip(windows.records, found, strict=True)
    )
    return ScorerResult(name, explanation.text, predicted_scores(part, trials), trials)


def _trial(
    record: ActivationRecord, explanation: Explanation, places: SensePlaces | str, peak: float
) -> Trial:
    if isinstance(places, str):
        return trial_of(record, Verdict(failure=places))
    predicted, senses = predict(explanation, places, peak)
    return replace(trial_of(record, Verdict(predicted=predicted)), senses=senses)


@dataclass(frozen=True, slots=True)
class _Patterns:
    """Descriptions of several explanations as one numbered list, each description once."""

    texts: tuple[str, ...]
    numbers: tuple[tuple[int, ...], ...]
    """For each explanation, the 0-based places in the list of its senses without rules."""

    @classmethod
    def of(cls, explanations: Sequence[Explanation], rng: Random) -> _Patterns:
        owned = [
            [" ".join(s.description.split()) for s in senses_of(e) if s.program is None]
            for e in explanations
        ]
        different: dict[str, str] = {}
        for text in (text for texts in owned for text in texts):
            different.setdefault(folded(text), text)
        keys = list(different)
        if len(explanations) > 1:
            rng.shuffle(keys)
        places = {key: place for place, key in enumerate(keys)}
        numbers = tuple(tuple(places[folded(text)] for text in texts) for texts in owned)
        return cls(tuple(different[key] for key in keys), numbers)

    @property
    def lines(self) -> str:
        return "\n".join(f"Pattern {i}: {text}" for i, text in enumerate(self.texts, 1))

    def places(self, strengths: Strengths | str) -> Sequence[Strengths | str]:
        """For each explanation how well its own patterns apply, or why that is not known."""
        if isinstance(strengths, str):
            return [strengths] * len(self.numbers)
        return [
            tuple(tuple(token[i] for i in numbers) for token in strengths)
            for numbers in self.numbers
        ]


def _schema(texts: Sequence[ShownText], n_patterns: int) -> JsonSchema:
    number = {"type": "integer", "minimum": 0, "maximum": max(MAX_LEVEL, n_patterns)}
    entry = array_schema({"anyOf": [{"type": "string"}, number]}, least=2, most=4)
    entries = array_schema(entry, most=n_patterns * max(len(text.tokens) for text in texts))
    n = len(texts)
    return object_schema("places", {"windows": array_schema(entries, least=n, most=n)})


def _calls(job: JobSpec, n_windows: int) -> tuple[PromptCalls, ...]:
    per_call = min(n_windows, many_windows(job.score.windows_per_call, WINDOWS_PER_CALL))
    texts = per_call * job.corpus.n_ctx * TEXT
    shown = job.explain.n_senses * PHRASE + texts
    return (PromptCalls("simulate_senses", ceil(n_windows / per_call), shown, texts // 2),)


SPEC = ScorerSpec(
    name=SensesSimulation.name,
    build=lambda d: SensesSimulation(
        d.model, windows_per_call=many_windows(d.config.windows_per_call, WINDOWS_PER_CALL)
    ),
    headline="population",
    calls=_calls,
    default_with=frozenset({JobLlm.CAPABLE}),
    predicts_activations=True,
    asks_null_along=True,
    judges_windows=True,
)
