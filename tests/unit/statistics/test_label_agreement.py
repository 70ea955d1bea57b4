"""Agreement of labels between runs, by hand, at chance, and against scipy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from autointerp.core.errors import InputError
from autointerp.statistics.studies.label_agreement import RunLabels, run_agreement, words_of


def run(
    *texts: str | None, kinds: tuple[object, ...] = (), scores: tuple[float, ...] = ()
) -> RunLabels:
    n = len(texts)
    return RunLabels(texts, kinds or (None,) * n, scores or (None,) * n)  # type: ignore[arg-type]


def test_words_are_those_of_any_script_without_case_or_signs() -> None:
    assert words_of('the tokens " Über", "10"; the_end') == {"the", "tokens", "über", "10", "end"}


def test_shared_words_and_chance_are_as_counted_by_hand() -> None:
    found = run_agreement([(run("red boats", "blue sky"), run("red boats on sea", "green field"))])
    assert found.shared_words is not None
    assert found.shared_words.value == pytest.approx((2 / 4 + 0) / 2)
    assert found.shared_words.chance == 0.0
    assert found.same_text is not None
    assert (found.same_text.value, found.same_text.n) == (0.0, 2)


def test_a_unit_without_a_label_is_left_out_and_not_a_disagreement() -> None:
    found = run_agreement([(run("rivers", None), run(" Rivers", "lakes"))])
    assert found.same_text is not None
    assert (found.same_text.value, found.same_text.n) == (1.0, 1)
    assert run_agreement([(run(None), run("lakes"))]).same_text is None


def test_kinds_are_compared_where_one_of_both_has_some() -> None:
    texts = ("a", "b", "c", "d")
    first = run(*texts, kinds=(("context",), (), (), ("position",)))
    second = run(*texts, kinds=(("context",), (), ("context",), ("position", "context")))
    found = run_agreement([(first, second)])
    assert found.same_kinds is not None
    assert (found.same_kinds.n, found.same_kinds.value) == (3, pytest.approx(1 / 3))


def test_labels_that_are_drawn_anew_agree_as_much_as_chance_does() -> None:
    rng = np.random.default_rng(0)
    runs = [run(*(" ".join(rng.choice(list("abcdefgh"), 3)) for _ in range(60))) for _ in range(3)]
    found = run_agreement([(runs[i], runs[j]) for i in range(3) for j in range(i)])
    assert found.shared_words is not None
    assert found.shared_words.chance is not None
    assert found.shared_words.low is not None
    assert found.shared_words.high is not None
    assert found.shared_words.low < found.shared_words.chance < found.shared_words.high


def test_the_rank_correlation_is_the_mean_of_scipys_and_its_interval_holds_the_truth() -> None:
    n_held = 0
    for study in range(200):
        rng = np.random.default_rng(study)
        unit = rng.normal(size=40)
        columns = [unit + 0.7 * rng.normal(size=40) for _ in range(2)]
        runs = [run(*["x"] * 40, scores=tuple(map(float, one))) for one in columns]
        found = run_agreement([(runs[0], runs[1])], seed=study).rank_correlation
        assert found is not None
        assert found.value == pytest.approx(float(stats.spearmanr(*columns).statistic))
        assert found.low is not None
        assert found.high is not None
        # Of two normal variables, by their correlation r: 6/pi asin(r/2).
        truth = 6 / np.pi * np.arcsin(1 / (1 + 0.49) / 2)
        n_held += found.low <= truth <= found.high
    assert n_held >= 0.93 * 200


def test_runs_of_different_units_are_refused() -> None:
    with pytest.raises(InputError, match="same units"):
        run_agreement([(run("a"), run("a", "b"))])
