"""Every question behind a label's scores, worded again, with the reply where it was kept.

Nothing is asked: the scorers themselves put their questions to a model that writes them down, so
that the words are theirs. That needs neither the subject model nor the LLM.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from math import ceil

from typing_extensions import override

from autointerp.core.config import ScoreConfig
from autointerp.core.errors import AutointerpError, InputError, RequestFailedError
from autointerp.core.explanations import Explanation, Label
from autointerp.core.records import MAX_LEVEL, UnitSets
from autointerp.core.scores import ScorerResult, Trial
from autointerp.core.seeds import derive_seed
from autointerp.core.sense_types import Sense
from autointerp.llm import ChatReply, ChatRequest, Features
from autointerp.llm.chat_model import NamedModel
from autointerp.scorers import SCORERS, Scorer, ScorerDependencies, ScoringSet
from autointerp.scorers.llm_judge import batches
from autointerp.scorers.scorer_spec import ScorerSpec
from autointerp.scorers.simulation.senses_simulation import SensesSimulation

FindReply = Callable[[ChatRequest, str], ChatReply | None]
"""Takes a request and the name of the model."""
_NULL = "_null"
_FREE = frozenset({"rules", "programs", "lookup"})
_NOT_KEPT = "the reply is not kept"
_MOST_PER_CALL = 50


@dataclass(frozen=True, slots=True)
class AskedQuestion:
    """One question to a scorer model, and what came back."""

    turns: tuple[tuple[str, str], ...]
    """(role, text) of each message."""
    reply: str | None
    """As it came, None where it is not kept."""
    windows: tuple[int, ...]
    """Windows that it is about; empty where that cannot be told."""


@dataclass(frozen=True, slots=True)
class ScorerTrials:
    """What one scorer asked about one explanation."""

    scorer: str
    explanation: str
    trials: tuple[Trial, ...]
    questions: tuple[AskedQuestion, ...]
    note: str | None
    """Why there are no questions, or how they may differ from those that were asked."""


class _Notebook(NamedModel):
    """Writes down what it is asked, and answers only what was answered before."""

    def __init__(self, name: str, features: Features, find: FindReply) -> None:
        super().__init__(name, features)
        self._find = find
        self.asked: list[tuple[ChatRequest, ChatReply | None]] = []

    @override
    async def reply(self, request: ChatRequest) -> ChatReply:
        found = self._find(request, self.name)
        self.asked.append((request, found))
        if found is None:
            raise RequestFailedError(_NOT_KEPT)
        return found

    @override
    async def close(self) -> None:
        """Nothing is open."""


def asked_questions(
    label: Label, sets: UnitSets | None, find: FindReply, config: ScoreConfig | None = None
) -> Iterator[ScorerTrials]:
    """What each scorer of the label asked, in the order of its results.

    `config` is the job's where it is known; else what prompts and trials tell of it.
    """
    for result in label.results:
        if not result.scorer.startswith(tuple(_FREE)):
            yield _trials(label, sets, result, find, config)


def _trials(
    label: Label,
    sets: UnitSets | None,
    result: ScorerResult,
    find: FindReply,
    config: ScoreConfig | None,
) -> ScorerTrials:
    of = ScorerTrials(result.scorer, result.explanation, result.trials, (), None)
    name = result.scorer.removesuffix(_NULL)
    spec = next((one for one in SCORERS if one.name == name), None)
    if sets is None:
        return replace(of, note="the texts were not kept with this label")
    if spec is None or not spec.judges_windows:
        return replace(of, note="its questions are about texts that were not kept")
    if name != result.scorer and spec.asks_null_along:
        return replace(of, note=f"it was asked about in the questions of {name}")
    windows = _windows(label, sets, result)
    explanations = _explanations(label, result, spec)
    last: ScorerTrials | None = None
    for small in (False, True) if label.provenance.scorer_model else ():
        for version in _versions(label, spec):
            made = _made(label, spec, windows, explanations, (small, version, config, find))
            if made is None:
                continue
            found = replace(of, questions=made, note=_note(spec, made, explanations))
            if any(question.reply is not None for question in made):
                return found
            last = last or found
    return last or replace(of, note="no prompt of this version words its questions")


def _windows(label: Label, sets: UnitSets, result: ScorerResult) -> ScoringSet:
    seed = derive_seed(label.provenance.seed, "bootstrap", str(label.unit), label.side)
    every = ScoringSet.of(sets.held_out, seed=seed, n_bootstrap=100, confidence=0.95)
    part = every.asked_about(result.trials)
    order = {trial.window: place for place, trial in enumerate(result.trials)}
    records = sorted(part.records, key=lambda record: order[record.window])
    return replace(part, records=tuple(records))


def _explanations(label: Label, result: ScorerResult, spec: ScorerSpec) -> tuple[Explanation, ...]:
    """Those that were asked about together; another unit's is known by its text alone."""
    known = (label.explanation, *(one.explanation for one in (label.llm, label.rules) if one))
    own = next((e for e in known if e is not None and e.text == result.explanation), None)
    explanations = [own or _of_text(result.explanation)]
    null = label.result(f"{spec.name}{_NULL}") if spec.asks_null_along else None
    if null is not None:
        explanations.append(_of_text(null.explanation))
    return tuple(explanations)


def _of_text(text: str) -> Explanation:
    parts = re.split(r"(?:^|; )\(\d+\) ", text)
    senses = tuple(Sense(part, float(MAX_LEVEL)) for part in parts[1:]) if not parts[0] else ()
    return Explanation(text, "unknown", None, None, None, 0, senses=senses)


def _versions(label: Label, spec: ScorerSpec) -> list[str | None]:
    """Versions of the prompt that a job may choose, among those that the label names."""
    prompt = spec.chosen_prompt
    return [ref.version for ref in label.provenance.prompts if ref.name == prompt] or [None]


def _made(
    label: Label,
    spec: ScorerSpec,
    windows: ScoringSet,
    explanations: Sequence[Explanation],
    how: tuple[bool, str | None, ScoreConfig | None, FindReply],
) -> tuple[AskedQuestion, ...] | None:
    """The questions; None where the scorer words them by a prompt that the label does not name."""
    small, version, config, find = how
    features = Features(small=small, grammar=True)
    model = _Notebook(label.provenance.scorer_model or "", features, find)
    settings = (config or ScoreConfig()).model_copy(update={"prompt": version})
    try:
        scorer = spec.build(ScorerDependencies(model, settings))
    except InputError:
        return None
    known = {(ref.name, ref.version) for ref in label.provenance.prompts}
    if not known.issuperset((ref.name, ref.version) for ref in scorer.prompts):
        return None
    with suppress(AutointerpError):
        # What was asked until then is known; scores of no trial are undefined and no matter.
        asyncio.run(_ask(scorer, explanations, windows))
    about = _about(windows, spec.name, len(model.asked))
    return tuple(
        AskedQuestion(
            tuple((message.role, message.content) for message in request.messages),
            None if reply is None else reply.text,
            about[place] if about else (),
        )
        for place, (request, reply) in enumerate(model.asked)
    )


async def _ask(scorer: Scorer, explanations: Sequence[Explanation], windows: ScoringSet) -> None:
    if isinstance(scorer, SensesSimulation):
        await scorer.readings(explanations, windows)
    else:
        await scorer.score(explanations[0], windows)


def _about(windows: ScoringSet, scorer: str, n_asked: int) -> list[tuple[int, ...]]:
    """The windows of each question, where so many questions divide them in one way."""
    n = len(windows.records)
    if n_asked < 1 or n_asked > n:
        return []
    for size in range(ceil(n / n_asked), _MOST_PER_CALL + 1):
        parts = batches(windows, size, scorer)
        if len(parts) == n_asked:
            return [tuple(record.window for record in part) for part in parts]
    return []


def _note(
    spec: ScorerSpec, made: Sequence[AskedQuestion], explanations: Sequence[Explanation]
) -> str | None:
    if not made:
        return "it asked nothing: rules say where the explanation applies"
    if any(question.reply is not None for question in made):
        return None
    if spec.asks_null_along and len(explanations) > 1:
        return (
            "no reply to these words is kept; another unit's explanation was in the same "
            "questions, and of it only the text is known"
        )
    return "no reply to these words is kept here: another machine's cache may have them"
