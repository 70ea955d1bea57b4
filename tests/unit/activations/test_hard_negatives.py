from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from autointerp.activations import (
    TokenIndex,
    UnitReader,
    WindowSample,
    build_sets,
    peak_tokens,
    read_windows,
    sampled_records,
    silent_only,
)
from autointerp.activations.sampling.strata import SampledWindow
from autointerp.core.config import SelectConfig
from autointerp.core.ids import Side, UnitId
from autointerp.core.records import ActivationRecord
from autointerp.core.text import Split

UNIT = UnitId("tiny", "blocks.1.mlp.hook_post", 11)
SIDE = Side.POSITIVE
AT_MOST = 1.0


def record(tokens: tuple[int, ...], activations: tuple[float, ...]) -> ActivationRecord:
    names = tuple(str(token) for token in tokens)
    return ActivationRecord(0, "d", 0, tokens, names, activations, "top", 1.0)


def activations_of(collected: Any, windows: Any) -> Any:
    return {(UNIT.hook, 11, w): collected.oracle.lines[w][:, 11] for w in windows}


def test_peak_tokens_come_by_how_often_they_are_the_peak_then_by_strength() -> None:
    records = [
        record((5, 6), (1.0, 0.5)),
        record((7, 5), (0.0, 2.0)),
        record((8, 9), (0.1, 9.0)),
        record((4, 3), (3.0, -4.0)),
        record((2, 2), (-1.0, 0.0)),
    ]
    assert peak_tokens(records, Side.POSITIVE) == (5, 9, 4)
    assert peak_tokens(records, Side.NEGATIVE) == (3, 2)


def test_a_token_is_as_strong_as_its_greatest_peak() -> None:
    records = [
        record((5, 1), (9.0, 0.0)),
        record((5, 1), (1.0, 0.0)),
        record((6, 1), (4.0, 0.0)),
        record((6, 1), (4.0, 0.0)),
    ]
    assert peak_tokens(records, Side.POSITIVE) == (5, 6)


def test_the_first_tokens_get_the_windows_that_are_left_over(collected: Any) -> None:
    tokens = common_tokens(collected)
    found = TokenIndex(collected.corpus, Split.EXPLAIN).candidates(tokens, 5, seed=0)
    n_of = [sum(w.stratum == f"token {token}" for w in found.sampled) for token in tokens]
    assert n_of == [3, 2]


def test_a_window_whose_peak_is_at_the_limit_is_silent_on_the_side_asked_for() -> None:
    candidates = WindowSample(tuple(SampledWindow(i, "token 1", 2.0) for i in range(3)))
    lines = [[-5.0, 1.0], [0.5, 1.5], [1.0, -0.5]]
    read = {(UNIT.hook, 11, i): np.array(line, np.float32) for i, line in enumerate(lines)}
    positive = silent_only(candidates, read, UNIT, Side.POSITIVE, n=3, at_most=1.0)
    assert [(w.window, w.weight) for w in positive.sampled] == [(0, 2.0), (2, 2.0)]
    negative = silent_only(candidates, read, UNIT, Side.NEGATIVE, n=1, at_most=1.0)
    assert [(w.window, w.weight) for w in negative.sampled] == [(1, 4.0)]


def test_candidates_hold_a_peak_token_and_are_none_of_the_other_picks(collected: Any) -> None:
    corpus = collected.corpus
    index = TokenIndex(corpus, Split.EXPLAIN)
    tokens = tuple(corpus[0].token_ids[:3])
    exclude = set(range(0, 60, 2))
    found = index.candidates(tokens, 20, seed=3, exclude=exclude)
    assert len(set(found.windows)) == len(found.windows) == 20
    assert not exclude & set(found.windows)
    for pick in found.sampled:
        first = next(token for token in tokens if token in corpus[pick.window].token_ids)
        assert corpus.split_of(pick.window) is Split.EXPLAIN
        assert pick.stratum == f"token {first}"
    holders = [w.id for w in corpus if w.split is Split.EXPLAIN and set(tokens) & {*w.token_ids}]
    # The weights of each token's windows add up to all windows of that token.
    assert sum(pick.weight for pick in found.sampled) == pytest.approx(len(set(holders) - exclude))


def test_a_token_index_knows_every_window_of_its_split_that_holds_a_token(collected: Any) -> None:
    corpus = collected.corpus
    index = TokenIndex(corpus, Split.VALIDATION)
    for token in {*corpus[0].token_ids, 10**6}:
        expected = [i for i in corpus.window_ids(Split.VALIDATION) if token in corpus[i].token_ids]
        assert index.windows(token).tolist() == expected


def common_tokens(collected: Any) -> tuple[int, ...]:
    """Two tokens that many explain windows hold."""
    ids = collected.corpus.window_ids(Split.EXPLAIN)
    counts = np.bincount(collected.corpus.tokens[: collected.corpus.starts[ids.stop]])
    return tuple(np.argsort(-counts)[1:3].tolist())


def peak_of(collected: Any, window: int) -> float:
    return float(collected.oracle.lines[window][:, 11].max())


def hard_negatives(
    collected: Any, seed: int, *, n: int = 6, at_most: float = AT_MOST
) -> WindowSample:
    index = TokenIndex(collected.corpus, Split.EXPLAIN)
    asked = index.candidates(common_tokens(collected), 24, seed=seed)
    read = activations_of(collected, asked.windows)
    return silent_only(asked, read, UNIT, SIDE, n=n, at_most=at_most)


def test_active_candidates_are_dropped_and_counted(collected: Any) -> None:
    found = hard_negatives(collected, 0, n=24)
    assert 0 < len(found.sampled) < 24
    assert max(peak_of(collected, window) for window in found.windows) <= AT_MOST
    assert len(hard_negatives(collected, 0, n=2).sampled) == 2
    assert hard_negatives(collected, 0, at_most=-1e9).sampled == ()


def test_weights_of_hard_negatives_count_the_silent_windows_that_hold_the_tokens(
    collected: Any,
) -> None:
    tokens = {*common_tokens(collected)}
    silent = [
        i
        for i in collected.corpus.window_ids(Split.EXPLAIN)
        if tokens & {*collected.corpus[i].token_ids} and peak_of(collected, i) <= AT_MOST
    ]
    found = [sum(p.weight for p in hard_negatives(collected, seed).sampled) for seed in range(600)]
    assert np.std(found) > 0
    assert abs(np.mean(found) - len(silent)) < 3 * np.std(found) / np.sqrt(len(found))
    assert hard_negatives(collected, 7) == hard_negatives(collected, 7)
    assert hard_negatives(collected, 7) != hard_negatives(collected, 8)


@pytest.mark.parametrize("side", list(Side))
def test_every_kind_of_window_of_a_unit_can_be_had_without_a_window_twice(
    collected: Any, side: Side
) -> None:
    subject, corpus, key = collected.subject, collected.corpus, (UNIT.hook, UNIT.index)
    plan = UnitReader(collected.summary, SelectConfig(n_top=4)).plan(UNIT, side)
    read = read_windows(subject, corpus, {key: plan.windows})
    sets = build_sets(plan, read, corpus, subject)
    tokens = peak_tokens(sets.explain.activating, side)
    taken = plan.windows
    asked = TokenIndex(corpus, Split.EXPLAIN).candidates(tokens, 12, seed=0, exclude=taken)
    read = read_windows(subject, corpus, {key: asked.windows})
    negatives = silent_only(asked, read, UNIT, side, n=5, at_most=0.1 * plan.peak)
    everything = [*taken, *negatives.windows]
    assert len(everything) == len(set(everything))
    records = sampled_records(negatives, UNIT, read, corpus, subject)
    assert len(records) > 0
    for found in records:
        assert found.peak(side) <= 0.1 * plan.peak
        assert set(tokens) & set(found.token_ids)
