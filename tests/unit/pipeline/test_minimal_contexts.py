"""The shortest context that keeps an exemplar's activation, against trying every length."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence

import pytest
from factories import make_unit
from rule_unit import COMMON, Rule, RuleProbe, WordTokenizer, rule_inputs

from autointerp.core.records import ExplainSet
from autointerp.pipeline.receipts.minimal_contexts import (
    KEPT,
    LONGEST,
    Exemplar,
    chosen_exemplars,
    minimal_lengths,
)
from autointerp.pipeline.receipts.short_runs import ShortRuns


def found_of(
    rule: Rule, texts: Sequence[str], *, most: int = 200, sign: int = 1
) -> list[int | None]:
    inputs, probe = rule_inputs(rule, texts, sign=sign)
    runs = ShortRuns(probe, inputs.records, most=most)
    return list(asyncio.run(minimal_lengths(chosen_exemplars(inputs.records), runs)))


def shortest(exemplar: Exemplar, rule: Rule) -> int:
    words = [token.strip() for token in exemplar.tokens]
    whole = rule(words)
    return next(n for n in range(1, len(words) + 1) if rule(words[-n:]) >= KEPT * whole)


def behind(cue: str, peak: str, far: int) -> Rule:
    """Fires at a word where a cue stands at most so far before it."""

    def rule(words: Sequence[str]) -> float:
        return float(words[-1] == peak and cue in words[-1 - far : -1])

    return rule


def test_lengths_equal_those_of_trying_every_one() -> None:
    rng = random.Random(0)
    n_different = set()
    for trial in range(60):
        weights = {word: rng.random() * (rng.random() < 0.3) for word in COMMON}

        def rule(words: Sequence[str], weights: dict[str, float] = weights) -> float:
            if words[-1] != "X":
                return 0.0
            # Some words hold it down, so that more context is not always better.
            return max(
                0.0,
                0.1 + sum(weights[w] * (1 if i % 3 else -0.5) for i, w in enumerate(words[:-1])),
            )

        texts = [" ".join([*rng.choices(COMMON, k=rng.randint(0, 23)), "X"]) for _ in range(3)]
        inputs, probe = rule_inputs(rule, texts, seed=trial)
        exemplars = chosen_exemplars(inputs.records)
        runs = ShortRuns(probe, inputs.records)
        lengths = asyncio.run(minimal_lengths(exemplars, runs))
        assert list(lengths) == [shortest(one, rule) for one in exemplars]
        n_different |= set(lengths)
    assert len(n_different) > 10


@pytest.mark.parametrize("far", [1, 2, 8, 9, 23, 24, 25, 40, 63, 100, 126])
def test_a_cue_anywhere_in_the_window_is_found(far: int) -> None:
    rule = behind("cue", "peak", far)
    text = " ".join([*["ban"] * (127 - far), "cue", *["cort"] * (far - 1), "peak", "dusk"])
    assert found_of(rule, [text]) == [far + 1]


def test_a_side_below_zero_is_cut_alike() -> None:
    assert found_of(behind("cue", "peak", 3), ["ban cue cort cort peak"], sign=-1) == [4]


def test_a_cue_beyond_the_longest_context_is_said_to_be_beyond_it() -> None:
    rule = behind("cue", "peak", 400)
    text = " ".join(["cue", *["cort"] * 300, "peak"])
    assert found_of(rule, [text]) == [LONGEST + 1]


def test_every_length_is_run_once_and_lengths_of_all_exemplars_together() -> None:
    rule = behind("cue", "peak", 40)
    texts = [
        " ".join([word, "cue", *["cort"] * far, "peak"])
        for word, far in zip("abc", (0, 5, 30), strict=True)
    ]
    inputs, probe = rule_inputs(rule, texts)
    exemplars = tuple(Exemplar.of(record, inputs.records) for record in inputs.records.records)
    runs = ShortRuns(probe, inputs.records)
    assert asyncio.run(minimal_lengths(exemplars, runs)) == (2, 7, 32)
    assert runs.n_run == sum(probe.batches) <= 50
    assert len(probe.batches) <= 8


def test_where_no_run_is_left_no_length_is_said() -> None:
    text = " ".join(["cue", *["cort"] * 30, "peak"])
    for most in range(24):
        assert found_of(behind("cue", "peak", 40), [text], most=most) == [None]
    assert found_of(behind("cue", "peak", 40), ["cue peak"], most=0) == [None]


def test_exemplars_differ_in_their_peak_then_in_what_stands_before_it() -> None:
    def rule(words: Sequence[str]) -> float:
        return {"X": 3.0, "Y": 1.0}.get(words[-1], 0.0) - 0.01 * len(words)

    texts = ["ban X", "ban ban X", "cort ban X", "dusk X", "dusk ban Y", "ban"]
    inputs, _ = rule_inputs(rule, texts)
    chosen = ["".join(one.tokens) for one in chosen_exemplars(inputs.records)]
    assert chosen == [" ban X", " dusk ban Y", " dusk X"]


def test_a_unit_with_one_activating_window_has_one_exemplar_and_one_without_any_none() -> None:
    rule = behind("cue", "peak", 2)
    assert found_of(rule, ["cue peak", "ban peak", "ban"]) == [2]
    assert found_of(rule, ["ban"]) == []
    empty = ExplainSet(make_unit(), rule_inputs(rule, [])[0].records.side, (), 1.0)
    assert chosen_exemplars(empty) == ()
    assert (
        asyncio.run(minimal_lengths((), ShortRuns(RuleProbe(WordTokenizer(()), rule), empty))) == ()
    )
