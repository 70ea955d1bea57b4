"""Every scorer on planted units: who knows the rule is right, who guesses is at chance.

The unit fires on months. Where a scorer runs texts through the subject, a plain function stands
for it. The cases are looped over the registry: a scorer without one fails.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import pytest
from factories import make_unit
from graded_llm import EchoingModel, GradedLLM, Rule, graded_model
from judged_text import CONCEPTS, RIGHT, WRONG, judge, make_windows
from plain_probe import PlainProbe

from autointerp.core.config import ScoreConfig
from autointerp.core.scores import Score
from autointerp.core.variants import Need
from autointerp.scorers import SCORERS, Scorer, ScorerDependencies, ScoringSet, scorers_named

N_SEEDS = 20
WORDS = {"months": "May", "rivers": "Nile", "stones": "slate", "nothing": "xyzzy"}
POOL = (make_unit(), make_unit(1), make_unit(2), make_unit(3))
PROBE = PlainProbe(
    lambda word: 4.0 if word in CONCEPTS["months"] else 0.0,
    words=dict(zip(POOL, WORDS.values(), strict=True)),
)


@dataclass(frozen=True)
class Planted:
    """What a scorer must say of the planted unit."""

    score: str
    least: float
    """Of who knows the rule and has the right explanation."""
    chance: float
    """What knowing nothing is worth."""
    forms: tuple[dict[str, object], ...] = ({}, {"windows_per_call": 7})
    """Of `ScoreConfig`."""


PLANTED = {
    "simulation": Planted(
        "population", 0.99, 0.0, ({}, {"windows_per_call": 7}, {"prompt": "v2"}, {"prompt": "v3"})
    ),
    "simulation_sparse": Planted("population", 0.99, 0.0),
    "simulation_words": Planted("population", 0.99, 0.0),
    "simulation_senses": Planted("population", 0.98, 0.0),
    "simulation_echo": Planted("population", 0.99, 0.0, ({},)),
    "detection": Planted("balanced_accuracy", 0.99, 0.5),
    "fuzzing": Planted("balanced_accuracy", 0.99, 0.5, ({},)),
    # Others' explanations are at 0.5, so 0.5 above them is all there is.
    "contrast": Planted("balanced_accuracy_over_others", 0.4, 0.0),
    "discrimination": Planted("accuracy", 0.99, 0.25, ({},)),
    "embedding": Planted("auroc", 0.99, 0.5, ({},)),
    "generative": Planted("clarity", 0.85, 0.0, ({},)),
    "responsiveness": Planted("responsiveness", 0.99, 0.0, ({},)),
    "input_test": Planted("difference", 0.9, 0.0, ({},)),
    "output_test": Planted("accuracy", 0.99, 1 / 3, ({},)),
}
NAMES = {spec.name for spec in SCORERS}


def firing_on(concept: str) -> Rule:
    def levels(tokens: Sequence[str]) -> list[int]:
        return [10 if token.strip() in CONCEPTS[concept] else 0 for token in tokens]

    return levels


RULES = {concept: firing_on(concept) for concept in CONCEPTS}


class ConceptVectors:
    """Embeds a text by the concepts in it or, without ability, by its digest."""

    def __init__(self, llm: GradedLLM) -> None:
        self._llm = llm

    def embed(self, texts: Sequence[str]) -> list[list[float]]:
        return [self._vector(text) for text in texts]

    def _vector(self, text: str) -> list[float]:
        if self._llm.ability <= 0:
            digest = zlib.crc32(f"{self._llm.seed}{text}".encode())
            return [digest % 97 - 48.0, digest % 89 - 44.0, 1.0]
        words = set(text.split())
        return [0.1, *(float(text == name or bool(words & own)) for name, own in CONCEPTS.items())]


def built(name: str, llm: GradedLLM, form: dict[str, object]) -> Scorer:
    """The registry's scorer; only what is downloaded or runs elsewhere is replaced."""
    [spec] = scorers_named([name])
    model = EchoingModel(llm) if Need.ECHO in spec.needs else graded_model(llm)
    config = ScoreConfig(**form)  # type: ignore[arg-type]
    embedder = ConceptVectors(llm)
    return spec.build(ScorerDependencies(model, config, POOL, embedder=lambda: embedder))


def scored(
    name: str, explanation: str, form: dict[str, object], *, windows: ScoringSet, **llm: object
) -> Score:
    graded = GradedLLM(RULES, words=WORDS, **llm)  # type: ignore[arg-type]
    others = replace(windows, probe=PROBE)
    result = judge(built(name, graded, form), explanation, others)
    assert result.n_failed == 0, next(t.failure for t in result.trials if t.failure)
    return result.score(PLANTED[name].score)


def for_each_form(names: Sequence[str]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    cases = [
        pytest.param(name, form, id=f"{name} {form or ''}".strip())
        for name in names
        for form in (PLANTED[name].forms if name in PLANTED else ({},))
    ]
    return pytest.mark.parametrize(("name", "form"), cases)


WINDOWS = make_windows(others=WRONG)


def test_every_scorer_has_a_planted_case() -> None:
    assert set(PLANTED) == NAMES


@for_each_form(sorted(NAMES))
def test_who_knows_the_rule_is_right_and_each_wrong_explanation_is_below(
    name: str, form: dict[str, object]
) -> None:
    right = scored(name, RIGHT, form, windows=WINDOWS)
    assert right.value is not None, right.reason
    assert right.value >= PLANTED[name].least
    for text in WRONG:
        wrong = scored(name, text, form, windows=replace(WINDOWS, others=WINDOWS.others[:1]))
        assert wrong.value is None or wrong.value < right.value


@for_each_form(sorted(NAMES))
def test_who_guesses_has_an_interval_that_holds_chance(name: str, form: dict[str, object]) -> None:
    held = 0
    for seed in range(N_SEEDS):
        score = scored(
            name, RIGHT, form, windows=make_windows(seed=seed, others=WRONG), ability=0.0, seed=seed
        )
        assert score.value is not None, score.reason
        # Where nothing varies, as between texts that are all silent, there is no interval.
        low = score.value if score.low is None else score.low
        high = score.value if score.high is None else score.high
        held += low <= PLANTED[name].chance <= high
    assert held >= N_SEEDS - 3


@for_each_form(["simulation", "detection", "fuzzing"])
def test_log_probabilities_change_nothing_for_who_knows(name: str, form: dict[str, object]) -> None:
    plain = scored(name, RIGHT, form, windows=WINDOWS)
    assert scored(name, RIGHT, form, windows=WINDOWS, logprobs=True) == plain


@for_each_form(["simulation", "simulation_sparse", "simulation_words", "detection", "fuzzing"])
def test_a_score_falls_with_the_ability_of_who_judges(name: str, form: dict[str, object]) -> None:
    values = [
        scored(name, RIGHT, form, windows=WINDOWS, ability=ability).value or 0.0
        for ability in (1.0, 0.6, 0.2)
    ]
    assert values == sorted(values, reverse=True)
    assert values[0] - values[2] > 0.1
