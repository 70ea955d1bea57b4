"""Embedding: is an explanation nearer in meaning to the windows that activate? No LLM is asked."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from typing_extensions import override

from autointerp.core.characters import join_tokens
from autointerp.core.errors import AutointerpError, InputError
from autointerp.core.explanations import Explanation, PromptRef
from autointerp.core.files import MINILM
from autointerp.core.scores import Score, ScorerResult, Trial
from autointerp.scorers.llm_judge import trials_of
from autointerp.scorers.scorer_inputs import Scorer, ScoringSet
from autointerp.scorers.scorer_spec import ScorerDependencies, ScorerSpec, TextEmbedder, no_calls
from autointerp.scorers.verdict_replies import Verdict
from autointerp.scorers.window_verdicts import judged_lists, what_activates
from autointerp.statistics.classification import classification_score


class Embedding(Scorer):
    """Takes the cosine of explanation and window as how likely the window activates."""

    name = "embedding"
    prompts: tuple[PromptRef, ...] = ()

    def __init__(self, embedder: TextEmbedder) -> None:
        self._embedder = embedder

    @override
    async def score(self, explanation: Explanation, windows: ScoringSet) -> ScorerResult:
        """AUROC over the windows as they are and for all text, AUPRC for all text."""
        texts = [join_tokens(record.tokens) for record in windows.records]
        own, *vectors = [
            [float(x) for x in vector]
            for vector in self._embedder.embed([explanation.text, *texts])
        ]
        if len(vectors) != len(texts):
            msg = f"{len(texts) + 1} texts were embedded, found {len(vectors) + 1} vectors"
            raise AutointerpError(msg)
        trials = trials_of(windows, [_likeness(own, vector) for vector in vectors])
        return ScorerResult(
            scorer=self.name,
            explanation=explanation.text,
            scores=_scores(windows, trials),
            trials=trials,
            notes=(
                "a probability is half of one plus the cosine; only the order counts",
                what_activates(windows),
            ),
        )


def _likeness(one: Sequence[float], other: Sequence[float]) -> Verdict:
    size = math.hypot(*one) * math.hypot(*other)
    dot = math.fsum(a * b for a, b in zip(one, other, strict=True))
    if not (math.isfinite(size) and math.isfinite(dot) and size > 0):
        return Verdict(failure="the embedding has no direction: it is zero or not finite")
    probability = min(1.0, max(0.0, (1 + dot / size) / 2))
    return Verdict(verdict=probability > 0.5, probability=probability)


def _scores(windows: ScoringSet, trials: Sequence[Trial]) -> tuple[Score, ...]:
    judged = [trial for trial in trials if trial.probability is not None]
    truths, strata, weights = judged_lists(windows, judged)
    known, how = [trial.probability or 0.0 for trial in judged], windows.resampling
    population = classification_score("auroc", known, truths, how, weights=weights, strata=strata)
    return (
        classification_score("auroc", known, truths, how, strata=strata),
        replace(population, name="auroc_population"),
        classification_score("auprc", known, truths, how, weights=weights, strata=strata),
    )


def _build(dependencies: ScorerDependencies) -> Embedding:
    if dependencies.embedder is None:
        raise InputError("scorer embedding needs an embedding model, and none can be loaded here")
    return Embedding(dependencies.embedder())


SPEC = ScorerSpec(
    name=Embedding.name,
    build=_build,
    headline="auroc_population",
    calls=no_calls,
    needs=frozenset(),
    package=MINILM,
    judges_windows=True,
)
