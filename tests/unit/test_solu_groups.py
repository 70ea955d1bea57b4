"""Groups of a blinded study compared: models within layers, sites of one model as pairs."""

from __future__ import annotations

from autointerp.core.blind_study import Answer, ItemKey, ItemVerdict
from autointerp.core.ids import Side, UnitId
from autointerp.statistics.studies.shares import compare_pairs, compare_shares
from autointerp.wiring.solu_groups import compared_groups, group, judged

ANSWERS = {"solu mid": "yynyn", "solu post": "ynny?", "gelu post": "nnynn"}
"""Of five units in two layers, in the order of their numbers."""
SAID = {"y": Answer.YES, "n": Answer.NO, "?": Answer.UNSURE}


def layer(number: int) -> int:
    return number // 3


def key(arm: str, number: int) -> ItemKey:
    model, site = arm.split()
    unit = UnitId(model, f"blocks.{layer(number)}.mlp.hook_{site}", number)
    return ItemKey(f"{arm} {number}", arm, unit, Side.POSITIVE, layer(number))


KEYS = {(one := key(arm, n)).id: one for arm in ANSWERS for n in range(5)}
VERDICTS = [
    ItemVerdict("me", f"{arm} {n}", SAID[said])
    for arm, answers in ANSWERS.items()
    for n, said in enumerate(answers)
]
JUDGED = judged(VERDICTS, "me")


def test_what_a_judge_is_not_sure_of_is_left_out() -> None:
    assert "solu post 4" not in JUDGED
    assert group(JUDGED, KEYS, "solu post") == [(0, True), (0, False), (0, False), (1, True)]


def test_two_sites_of_a_model_are_compared_as_pairs_of_what_was_judged_at_both() -> None:
    pairs = [(True, True), (True, False), (False, False), (True, True)]
    found = compared_groups(JUDGED, KEYS, ("solu mid", "solu post"), 0)
    assert found == compare_pairs(pairs)


def test_two_models_are_compared_within_layers() -> None:
    groups = [group(JUDGED, KEYS, arm) for arm in ("solu mid", "gelu post")]
    found = compared_groups(JUDGED, KEYS, ("solu mid", "gelu post"), 3)
    assert found == compare_shares(*groups, seed=3)


def test_what_has_no_verdict_is_not_compared() -> None:
    for pair in (("solu mid", "gelu post"), ("solu mid", "solu post")):
        assert compared_groups(judged(VERDICTS[:5], "me"), KEYS, pair, 0) is None
        assert compared_groups({}, KEYS, pair, 0) is None
