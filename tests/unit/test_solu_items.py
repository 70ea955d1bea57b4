"""What is shown of a place where a unit is strongest."""

from __future__ import annotations

from autointerp.core.blind_study import Firing
from autointerp.explainers.single_rule import rules_at
from autointerp.wiring.solu_items import firing_around


def test_sixteen_tokens_are_shown_on_either_side() -> None:
    pieces = [f" w{i}" for i in range(64)]
    levels = list(range(64))
    assert firing_around(pieces, levels, 30) == Firing(
        tuple(pieces[14:47]), tuple(levels[14:47]), 16
    )
    assert firing_around(pieces, levels, 3).peak == 3
    assert firing_around(pieces, levels, 63).tokens == tuple(pieces[47:])


def test_tokens_that_are_parts_of_a_character_are_shown_as_one() -> None:
    # 日 is three bytes, of which the last two are a token.
    pieces = [" of", "\\xe6", "\\x97\\xa5", " was"]
    firing = firing_around(pieces, [0, 4, 10, 1], 2)
    assert firing == Firing((" of", "日", " was"), (0, 10, 1), 1)
    # The digits that spell its bytes are none of the text.
    assert ("kind", "digits") not in set(rules_at(firing))
    assert ("kind", "other characters than ASCII") in set(rules_at(firing))
