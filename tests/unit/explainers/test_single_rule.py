"""Which single rule covers firings, and whether it holds on others without holding everywhere."""

from __future__ import annotations

import random

import pytest

from autointerp.core.blind_study import Firing
from autointerp.explainers.single_rule import MOST_ELSEWHERE, fit_rule

WORDS = (" the", " old", " stone", " slept", " under", " water", " and", " wide", " cold", " ran")


def firing(*tokens: str) -> Firing:
    return Firing(tokens, (0,) * len(tokens), len(tokens) - 1)


def text(rng: random.Random, n: int = 10) -> list[str]:
    return [rng.choice(WORDS) for _ in range(n)]


def drawn(*end: str, n: int = 20, seed: int = 0) -> list[Firing]:
    rng = random.Random(seed)
    return [firing(*text(rng), *end) for _ in range(n)]


EVERYWHERE = drawn(n=400, seed=9)


@pytest.mark.parametrize(
    ("ends", "sentence"),
    [
        ([(" May",)], 'the token " May"'),
        ([(" May",), (" may",), ("MAY",)], 'the word "may" in any spelling'),
        ([(" walk", "ing"), (" sing", "ing"), (" talking",)], 'words that end in "ing"'),
        ([(" 7",), (" 1998",), ("42",)], "digits"),
        ([(" NASA",), (" UN",), (" IBM",)], "capitals"),
        ([(" Rhine", " bank"), (" Rhine", " ship"), (" Rhine", " of")], 'behind the word "rhine"'),
        ([("!",), ("?",), (";",)], "punctuation"),
    ],
)
def test_a_rule_of_every_family_is_found(ends: list[tuple[str, ...]], sentence: str) -> None:
    learned, tried = (
        [one for n, end in enumerate(ends) for one in drawn(*end, n=7, seed=10 * seed + n)]
        for seed in (1, 2)
    )
    fitted = fit_rule(learned, tried, EVERYWHERE)
    assert fitted is not None
    assert fitted.sentence == sentence
    assert fitted.holds
    assert fitted.covered == 1.0


def test_80_percent_are_enough_and_less_are_not() -> None:
    learned = drawn(" May", n=20)
    for n_other, holds in ((4, True), (5, False)):
        tried = [*drawn(" May", n=20 - n_other, seed=3), *drawn(" June", n=n_other, seed=4)]
        fitted = fit_rule(learned, tried, EVERYWHERE)
        assert fitted is not None
        assert fitted.holds is holds


def test_a_rule_that_holds_everywhere_is_none() -> None:
    learned, tried = drawn(" the", n=20), drawn(" the", n=20, seed=5)
    everywhere = [*drawn(" the", n=30, seed=6), *EVERYWHERE[:70]]
    fitted = fit_rule(learned, tried, everywhere)
    assert fitted is not None
    assert fitted.covered == 1.0
    assert fitted.elsewhere > MOST_ELSEWHERE
    assert not fitted.holds


def test_what_was_learned_by_chance_does_not_hold_on_others() -> None:
    rng = random.Random(1)
    learned, tried = ([firing(*text(rng)) for _ in range(10)] for _ in range(2))
    fitted = fit_rule(learned, tried, EVERYWHERE)
    assert fitted is not None
    assert not fitted.holds


def test_without_firings_there_is_none() -> None:
    assert fit_rule([], drawn(" May"), EVERYWHERE) is None
