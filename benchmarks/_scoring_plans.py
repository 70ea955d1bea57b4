"""Ways to score an explanation of a neuron, what each says and what it costs."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from _graded_units import Drawn, GradedUnits, HeldOutText, described
from _mistakes import MistakenRules

from autointerp.core.explanations import Explanation
from autointerp.core.records import HeldOutSet, UnitSets
from autointerp.core.scores import Score, ScorerResult, Trial
from autointerp.corpora import TokenCorpus
from autointerp.llm import ChatModel
from autointerp.scorers import Scorer, ScoringSet
from autointerp.scorers.adaptive import enough
from autointerp.scorers.detection import Detection
from autointerp.scorers.fuzzing import Fuzzing
from autointerp.scorers.scorer_inputs import judged_windows
from autointerp.scorers.simulation.dense_simulation import Simulation
from autointerp.scorers.simulation.sparse_simulation import SparseSimulation
from autointerp.scorers.simulation.words_simulation import WordsSimulation
from autointerp.statistics.bootstrap import Resampling
from autointerp.statistics.population import population_score
from autointerp.subjects.tokenizer import HfTokenizer

sys.path.append(str(Path(__file__).parents[1] / "tests" / "support"))
from graded_llm import GradedLLM, Rule, graded_model, quarter  # type: ignore[import-not-found]  # noqa: E402, I001

N_POOL, N_REFERENCE, ALL = 40, 80, 50
WIDTH, FIRST, STEP = 0.3, 16, 4
_NONE = Resampling(2)
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
    text: HeldOutText


def rescored(windows: ScoringSet, trials: Sequence[Trial], resampling: Resampling = _NONE) -> Score:
    """The score on some of the windows that were asked about."""
    weights = {record.window: record.weight for record in windows.records}
    own = tuple(replace(t, weight=weights[t.window]) for t in trials if t.window in weights)
    return population_score(judged_windows(windows, own), windows.strata, resampling)


def _value(_label: Labelled, windows: ScoringSet, trials: Sequence[Trial]) -> float:
    return rescored(windows, trials).value or 0.0


@dataclass(frozen=True)
class Form:
    """A way to ask."""

    name: str
    scorer: Callable[[ChatModel], Scorer]
    metric: str = "population"
    logprobs: bool = False
    windows: Callable[[ScoringSet, int], ScoringSet] = ScoringSet.first
    """So many of the windows, as they are asked about."""
    reader: Callable[[GradedLLM], GradedLLM] = lambda llm: llm
    """The LLM with what the form asks of it beside."""
    scored: Callable[[Labelled, ScoringSet, Sequence[Trial]], float] = _value
    """The score on windows out of those that were asked about."""
    counted: Callable[[str], str] = lambda text: text
    """What is counted for a prompt's part or a reply."""


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


@dataclass(frozen=True)
class Labels:
    """Every label of every neuron, a neuron's after each other."""

    all: Sequence[Labelled]
    known: Mapping[str, Rule]
    """What each says, by its text."""
    sets: Sequence[UnitSets]
    """Records of the neurons."""


def labelled(units: GradedUnits, corpus: TokenCorpus) -> Labels:
    """The labels with windows that plans and the reference are scored on."""
    model, text = units.model, HeldOutText(units.model, corpus)
    first, second = (
        Drawn.of(model, corpus, units.groups, n_windows=n, seed=seed)
        for seed, n in enumerate((N_POOL, N_REFERENCE))
    )
    found: list[Labelled] = []
    known: dict[str, Rule] = {}
    for rules, *own in zip(units.rules(first), first.sets, second.sets, strict=True):
        for quality, rule in zip(units.qualities, rules, strict=True):
            phrase = described(rule, len(found), model.tokenizer)
            known[phrase] = rule.levels(model.tokenizer.pieces)
            explanation = Explanation(phrase, "graded", None, None, None, 0)
            cheap, full = (scoring_set(s.held_out, len(found) // len(rules)) for s in own)
            right = text.correlation(cheap.unit, cheap.side, known[phrase])
            found.append(Labelled(explanation, quality, right, cheap, full, text))
    return Labels(found, known, first.sets)


def scoring_set(windows: HeldOutSet, seed: int) -> ScoringSet:
    """Without bootstrap, which ranks nothing."""
    return ScoringSet.of(windows, seed=seed, n_bootstrap=2, confidence=0.95)


@dataclass(frozen=True)
class PlanData:
    """Scripted LLMs of every ability, and a tokenizer to count with."""

    known: Mapping[str, Rule]
    split: Callable[[str], Sequence[str]]
    """A text in the subject's tokens."""
    n_tokens: Callable[[str], int]
    """Tokens by the subject's tokenizer."""
    by_word: bool = False
    """Mistakes belong to words, not to places."""

    @classmethod
    def of(
        cls, known: Mapping[str, Rule], tokenizer: HfTokenizer, *, by_word: bool = False
    ) -> PlanData:
        """Texts are asked about many times, and cut into tokens once."""

        @cache
        def ids(text: str) -> tuple[int, ...]:
            return tuple(tokenizer.encode(text))

        return cls(
            known, lambda text: tokenizer.pieces(ids(text)), lambda text: len(ids(text)), by_word
        )

    def llm(
        self, ability: float, *, logprobs: bool = False, count: Callable[[str], int] = quarter
    ) -> GradedLLM:
        """One that knows every explanation."""
        if self.by_word:
            known = MistakenRules(self.known, ability)
            return GradedLLM(known, 1.0, self.split, logprobs=logprobs, seed=1, count=count)
        return GradedLLM(self.known, ability, self.split, logprobs=logprobs, seed=1, count=count)

    def said(self, label: Labelled, ability: float) -> Callable[[Sequence[str]], Sequence[int]]:
        """What it thinks of the tokens of any text."""
        llm, text = self.llm(ability), label.explanation.text
        return lambda tokens: list(llm.opinions(text, tokens, "levels")[0])

    def result(
        self, form: Form, label: Labelled, windows: ScoringSet, ability: float
    ) -> ScorerResult:
        """What the scorer says."""
        model = graded_model(form.reader(self.llm(ability, logprobs=form.logprobs)))
        return asyncio.run(form.scorer(model).score(label.explanation, windows))

    def value(self, form: Form, label: Labelled, windows: ScoringSet, ability: float) -> float:
        """The score; chance where there is none."""
        found = self.result(form, label, windows, ability).score(form.metric).value
        return CHANCE[form.metric] if found is None else found

    def values(
        self, form: Form, label: Labelled, sizes: Sequence[int], ability: float
    ) -> list[float]:
        """Of so many windows each; what is said of a window is the same in every number."""
        if form.metric != "population" or form.windows is not ScoringSet.first:
            drawn = [form.windows(label.windows, n) for n in sizes]
            return [self.value(form, label, windows, ability) for windows in drawn]
        trials = self.result(form, label, label.windows, ability).trials
        return [form.scored(label, label.windows.first(n), trials) for n in sizes]

    def cost(
        self, form: Form, labels: Sequence[Labelled], n: int, ability: float
    ) -> tuple[float, float]:
        """Mean tokens of n windows: by the tokenizer, and as a quarter of the characters."""
        quarters = 0

        def count(text: str) -> int:
            nonlocal quarters
            counted = form.counted(text)
            quarters += quarter(counted)
            return self.n_tokens(counted)

        llm = self.llm(ability, logprobs=form.logprobs, count=count)
        model = graded_model(form.reader(llm))
        for label in labels:
            scorer = form.scorer(model)
            asyncio.run(scorer.score(label.explanation, form.windows(label.windows, n)))
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
            score = rescored(windows, trials, Resampling(200, seed=1))
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
        usage = model.total_usage
        value = rescored(windows, trials).value
        return value or 0.0, usage.prompt_tokens + usage.completion_tokens
