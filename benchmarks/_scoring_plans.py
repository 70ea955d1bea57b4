"""Ways to score an explanation of a planted neuron, what each says and what it costs."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from _planted_units import (
    QUALITIES,
    PlantedModel,
    described,
    explanations,
    planted_sets,
    truth,
)

from autointerp.core.explanations import Explanation
from autointerp.core.records import HeldOutSet, UnitSets
from autointerp.core.scores import ScorerResult
from autointerp.corpora import TokenCorpus
from autointerp.llm import ChatModel
from autointerp.scorers import (
    Detection,
    Fuzzing,
    Scorer,
    ScoringSet,
    Simulation,
    SparseSimulation,
    WordsSimulation,
    enough,
    judged_windows,
)
from autointerp.scorers.bootstrap import Resampling
from autointerp.scorers.estimates import population_score
from autointerp.subjects.tokenizer import HfTokenizer

sys.path.append(str(Path(__file__).parents[1] / "tests" / "support"))
from graded_llm import GradedLLM, Rule, graded_model, quarter  # type: ignore[import-not-found]  # noqa: E402, I001

N_POOL, N_REFERENCE, ALL = 40, 80, 50
WIDTH, FIRST, STEP = 0.3, 16, 4
CHANCE = {"population": 0.0, "f1": 0.0, "auprc": 0.0, "balanced_accuracy": 0.5}


@dataclass(frozen=True)
class Labelled:
    """One explanation of one neuron, with windows to score it on."""

    explanation: Explanation
    quality: str
    truth: float
    windows: ScoringSet
    """As many as a job has by default."""
    reference: ScoringSet
    """Of a draw of its own."""


@dataclass(frozen=True)
class Form:
    """A way to ask."""

    name: str
    scorer: Callable[[ChatModel], Scorer]
    metric: str = "population"
    logprobs: bool = False


def sparse(n: int) -> Form:
    """The active tokens of n windows a call."""
    name = "sparse, all in one call" if n == ALL else f"sparse, {n} a call"
    return Form(name, lambda m: SparseSimulation(m, windows_per_call=n))


def words(n: int) -> Form:
    """The active words of n windows a call."""
    name = "words, all in one call" if n == ALL else f"words, {n} a call"
    return Form(name, lambda m: WordsSimulation(m, windows_per_call=n))


def levels(n: int, *, logprobs: bool = False) -> Form:
    """A level for every token of n windows a call."""
    version = "v1" if n == 1 else "v3"
    name = f"levels, {n} a call{', expected' if logprobs else ''}"
    return Form(
        name, lambda m: Simulation(m, version=version, windows_per_call=n), logprobs=logprobs
    )


def digits(*, logprobs: bool = False) -> Form:
    """A digit for every token, the prompt of small models."""
    name = f"digits, 1 a call{', expected' if logprobs else ''}"
    return Form(name, lambda m: Simulation(m, version="v2"), logprobs=logprobs)


def detection(n: int, *, logprobs: bool = False) -> Form:
    """Which of n windows a call are active."""
    metric = "auprc" if logprobs else "f1"
    name = f"detection, {n} a call{', expected' if logprobs else ''}"
    return Form(name, lambda m: Detection(m, windows_per_call=n), metric, logprobs)


FUZZING = Form("fuzzing, 1 a call", Fuzzing, "balanced_accuracy")
REFERENCE = levels(1)


def labelled(
    model: PlantedModel, corpus: TokenCorpus
) -> tuple[list[Labelled], dict[str, Rule], list[UnitSets]]:
    """Every explanation of every neuron; what each says; and the neurons' records."""
    first = planted_sets(model, corpus, N_POOL, 0)
    second = planted_sets(model, corpus, N_REFERENCE, 1)
    found: list[Labelled] = []
    known: dict[str, Rule] = {}
    for neuron in range(len(model.rules)):
        made = explanations(model.rules, neuron, corpus, 0)
        for quality, rule in zip(QUALITIES, made, strict=True):
            text = described(rule, len(found), model.tokenizer)
            known[text] = rule.levels(model.tokenizer.pieces)
            explanation = Explanation(text, "planted", None, None, None, 0)
            sets = [scoring_set(s[neuron].held_out, len(found)) for s in (first, second)]
            right = truth(model, corpus, neuron, rule)
            found.append(Labelled(explanation, quality, right, *sets))
    return found, known, first


def scoring_set(windows: HeldOutSet, seed: int) -> ScoringSet:
    """Without bootstrap, which ranks nothing."""
    return ScoringSet.of(windows, seed=seed, n_bootstrap=2, confidence=0.95)


@dataclass(frozen=True)
class Bench:
    """Scripted LLMs of every ability, and a tokenizer to count with."""

    known: Mapping[str, Rule]
    split: Callable[[str], Sequence[str]]
    """A text in the subject's tokens."""
    n_tokens: Callable[[str], int]
    """Tokens by the subject's tokenizer."""

    @classmethod
    def of(cls, known: Mapping[str, Rule], tokenizer: HfTokenizer) -> Bench:
        """Texts are asked about many times, and cut into tokens once."""

        @cache
        def ids(text: str) -> tuple[int, ...]:
            return tuple(tokenizer.encode(text))

        return cls(known, lambda text: tokenizer.pieces(ids(text)), lambda text: len(ids(text)))

    def llm(
        self, ability: float, *, logprobs: bool = False, count: Callable[[str], int] = quarter
    ) -> GradedLLM:
        """One that knows every explanation."""
        return GradedLLM(self.known, ability, self.split, logprobs=logprobs, seed=1, count=count)

    def result(
        self, form: Form, label: Labelled, windows: ScoringSet, ability: float
    ) -> ScorerResult:
        """What the scorer says."""
        model = graded_model(self.llm(ability, logprobs=form.logprobs))
        return asyncio.run(form.scorer(model).score(label.explanation, windows))

    def value(self, form: Form, label: Labelled, windows: ScoringSet, ability: float) -> float:
        """The score; chance where there is none."""
        found = self.result(form, label, windows, ability).score(form.metric).value
        return CHANCE[form.metric] if found is None else found

    def cost(
        self, form: Form, labels: Sequence[Labelled], n: int, ability: float
    ) -> tuple[float, float]:
        """Mean tokens of n windows: by the tokenizer, and as a quarter of the characters."""
        quarters = 0

        def count(text: str) -> int:
            nonlocal quarters
            quarters += quarter(text)
            return self.n_tokens(text)

        model = graded_model(self.llm(ability, logprobs=form.logprobs, count=count))
        for label in labels:
            scorer = form.scorer(model)
            asyncio.run(scorer.score(label.explanation, label.windows.first(n)))
        usage = model.total_usage
        tokens = usage.prompt_tokens + usage.completion_tokens
        return tokens / len(labels), quarters / len(labels)

    def stopped_early(
        self, form: Form, label: Labelled, ability: float, most: int
    ) -> tuple[float, int]:
        """The score at the first interval that is narrow enough, and windows used."""
        nested = [label.windows.first(most)]
        while len(nested[-1].records) - STEP >= FIRST:
            nested.append(nested[-1].first(len(nested[-1].records) - STEP))
        trials = self.result(form, label, nested[0], ability).trials
        for windows in reversed(nested):
            held = {record.window: record.weight for record in windows.records}
            own = tuple(replace(t, weight=held[t.window]) for t in trials if t.window in held)
            judged = judged_windows(windows, own)
            score = population_score(judged, windows.strata, Resampling(200, seed=1))
            if enough(score, width=WIDTH):
                break
        return score.value or 0.0, score.n_windows

    def two_steps(
        self, label: Labelled, n: int, ability: float, count: Callable[[str], int] = quarter
    ) -> tuple[float, int]:
        """Detection, then the sparse form on the windows it found; the others are silent.

        The score and the tokens.
        """
        windows = label.windows.first(n)
        model = graded_model(self.llm(ability, count=count))
        found = asyncio.run(Detection(model, windows_per_call=10).score(label.explanation, windows))
        yes = {trial.window for trial in found.trials if trial.verdict}
        simulated = {}
        if yes:
            part = replace(windows, records=tuple(r for r in windows.records if r.window in yes))
            scorer = SparseSimulation(model, windows_per_call=len(yes))
            more = asyncio.run(scorer.score(label.explanation, part))
            simulated = {trial.window: trial.predicted for trial in more.trials}
        silent = {r.window: (0.0,) * len(r.tokens) for r in windows.records}
        trials = tuple(
            replace(t, verdict=None, predicted=simulated.get(t.window, silent[t.window]))
            for t in found.trials
        )
        judged = judged_windows(windows, trials)
        score = population_score(judged, windows.strata, Resampling(2))
        usage = model.total_usage
        return score.value or 0.0, usage.prompt_tokens + usage.completion_tokens
