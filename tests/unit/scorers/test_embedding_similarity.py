"""The embedding scorer: texts near an explanation in meaning should be those that activate."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
from factories import make_sets
from judged_text import CONCEPTS, RIGHT, WRONG, judge, make_windows

from autointerp.core.errors import AutointerpError
from autointerp.scorers import ScoringSet
from autointerp.scorers.embedding_similarity import Embedding

WINDOWS = make_windows()
SMALL = ScoringSet.of(make_sets().held_out, seed=0, n_bootstrap=200, confidence=0.95)


class FakeEmbedder:
    """Makes a vector of each text with a function."""

    def __init__(self, vector: Callable[[str], list[float]]) -> None:
        self._vector = vector

    def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """One vector a text."""
        return [self._vector(text) for text in texts]


def by_concept(text: str) -> list[float]:
    counts = [float(text == name or bool(w & set(text.split()))) for name, w in CONCEPTS.items()]
    return [*counts, 0.1]


def test_the_right_explanation_beats_each_wrong_one() -> None:
    scorer = Embedding(FakeEmbedder(by_concept))
    right = judge(scorer, RIGHT, WINDOWS)
    for name in ("auroc", "auroc_population", "auprc"):
        value, low = right.score(name).value, right.score(name).low
        assert value == 1.0
        assert low is not None
        for text in WRONG:
            assert (judge(scorer, text, WINDOWS).score(name).value or 0.0) < low


def test_noise_has_an_interval_that_holds_one_half() -> None:
    held = 0
    for seed in range(20):
        rng = random.Random(seed)
        model = FakeEmbedder(lambda _, rng=rng: [rng.gauss(0, 1) for _ in range(4)])
        score = judge(Embedding(model), RIGHT, WINDOWS).score("auroc")
        held += (score.low or 0.0) <= 0.5 <= (score.high or 0.0)
    assert held >= 17


def test_scores_are_those_of_the_cosines_and_weighted_by_hand() -> None:
    vectors = iter([[2.0, 0.0], [0.0, 3.0], [5.0, 0.0], [0.0, -1.0]])
    result = judge(Embedding(FakeEmbedder(lambda _: next(vectors))), "cats", SMALL)
    assert [t.probability for t in result.trials] == [0.5, 1.0, 0.5]
    # Only the first window truly activates; it stands for 2, the others for 8 and 30.
    assert result.score("auroc").value == pytest.approx((0 + 0.5) / 2, abs=1e-12)
    assert result.score("auroc_population").value == pytest.approx(0.5 * 30 / 38, abs=1e-12)
    assert result.score("auprc").value == pytest.approx(2 / 40, abs=1e-12)


@pytest.mark.parametrize("bad", [[0.0, 0.0], [float("nan"), 1.0], [float("inf"), 1.0]])
def test_a_vector_without_direction_is_a_failed_trial(bad: list[float]) -> None:
    vectors = iter([[1.0, 0.0], bad, [1.0, 0.0], [0.0, 1.0]])
    result = judge(Embedding(FakeEmbedder(lambda _: next(vectors))), "cats", SMALL)
    assert (result.n_judged, result.n_failed) == (2, 1)
    assert result.score("auroc").reason == "no window that truly activates was judged"


def test_one_vector_too_few_is_an_error() -> None:
    class Short(FakeEmbedder):
        def embed(self, texts: Sequence[str]) -> list[list[float]]:
            return super().embed(texts)[:-1]

    with pytest.raises(AutointerpError, match="4 texts were embedded, found 3 vectors"):
        judge(Embedding(Short(by_concept)), "cats", SMALL)


def test_a_set_without_windows_is_undefined() -> None:
    result = judge(Embedding(FakeEmbedder(by_concept)), "cats", replace(SMALL, records=()))
    assert all(score.value is None for score in result.scores)
