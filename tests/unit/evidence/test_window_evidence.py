"""Units that follow one known rule, and what their windows say of each."""

from __future__ import annotations

import numpy as np
import planted_windows as planted
import pytest
from planted_windows import Rule, planted_sets

from autointerp.core.ids import Side
from autointerp.core.unit_evidence import Absent, Measure, Quantity
from autointerp.evidence.window_evidence import window_evidence

OWN: dict[Quantity, Rule] = {
    Quantity.POSITION_SHARE: planted.position,
    Quantity.WINDOW_SHARE: planted.topic,
    Quantity.REPETITION: planted.repeated,
    Quantity.PAIR_SHARE: planted.pair,
}


def found(rule: Rule, **options: object) -> dict[Quantity, Measure]:
    return {m.quantity: m for m in window_evidence(*planted_sets(rule, **options))}  # type: ignore[arg-type]


@pytest.mark.parametrize("side", Side)
@pytest.mark.parametrize("quantity", OWN)
def test_a_rule_shows_in_its_own_quantity_and_far_above_chance(
    quantity: Quantity, side: Side
) -> None:
    one = found(OWN[quantity], side=side)[quantity]
    assert one.value is not None
    assert one.control is not None
    assert one.value > 0.5
    assert one.value > one.control + 0.4


def test_a_unit_of_one_token_shows_in_none_of_them() -> None:
    measures = found(planted.token)
    for quantity in (Quantity.POSITION_SHARE, Quantity.WINDOW_SHARE):
        value = measures[quantity].value
        assert value is not None
        assert value < 0.15
    for quantity in (Quantity.REPETITION, Quantity.PAIR_SHARE):
        assert measures[quantity].absent is Absent.TOKEN_EXPLAINS


def test_the_share_of_the_position_is_that_of_the_means() -> None:
    """By hand: two of 32 positions at 1, the others at 0, in two of the groups."""
    measures = found(planted.position)
    assert measures[Quantity.POSITION_SHARE].value == 1.0
    peak = measures[Quantity.POSITION_PEAK]
    assert (peak.value, peak.control) == (0.0, 16.0)


def test_the_share_between_windows_is_the_variance_of_their_means() -> None:
    sets, table = planted_sets(planted.token)
    values = np.array([record.activations for record in sets.held_out.records])
    expected = values.mean(axis=1).var() / values.var()
    one = {m.quantity: m for m in window_evidence(sets, table)}[Quantity.WINDOW_SHARE]
    assert one.value == pytest.approx(expected, rel=6e-3)
    assert one.control == pytest.approx(1 / 32, rel=6e-3)


def test_peaks_that_go_on_with_a_word_are_counted() -> None:
    ends, others = (
        found(rule)[Quantity.CONTINUED_WORD] for rule in (planted.word_end, planted.pair)
    )
    assert ends.value == 1.0
    assert others.value == 0.0
    assert 0.0 < (ends.control or 0.0) < 0.2


def test_a_text_too_short_or_without_offsets_says_so() -> None:
    few = found(planted.position, n=7)
    assert few[Quantity.POSITION_SHARE].absent is Absent.FEW_WINDOWS
    assert few[Quantity.PAIR_SHARE].absent is Absent.FEW_WINDOWS
    starts = found(planted.position, inside=False)
    assert starts[Quantity.POSITION_SHARE].absent is Absent.FEW_INSIDE
    assert starts[Quantity.WINDOW_SHARE].value is not None


def test_a_unit_that_is_silent_or_always_the_same_says_so() -> None:
    silent = found(lambda ids, _: [0.0] * len(ids))
    assert silent[Quantity.WINDOW_SHARE].absent is Absent.CONSTANT
    assert silent[Quantity.CONTINUED_WORD].absent is Absent.FEW_WINDOWS
    constant = found(lambda ids, _: [1.0] * len(ids))
    assert constant[Quantity.WINDOW_SHARE].absent is Absent.CONSTANT
    assert constant[Quantity.PAIR_SHARE].absent is Absent.TOKEN_EXPLAINS
