"""What units lose stands among random units and directions, in a model of known neurons too."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from causal_model import causal_subject, neuron
from held_texts import passages
from tiny import tiny_gpt2, tiny_subject

from autointerp.core.causal_evidence import ControlKind, Hold, LossChange, TextKind
from autointerp.core.ids import UnitId
from autointerp.evidence import Ablations, HeldPasses, Passage, ablate


def of_planted(units: Sequence[tuple[int, int]], text: str, n_controls: int = 19) -> LossChange:
    subject = causal_subject()
    ids = tuple(subject.tokenizer.encode(text))
    texts = [Passage(ids, str(number)) for number in range(2)]
    named = [neuron(*unit) for unit in units]
    return ablate(HeldPasses(subject), named, texts, n_controls=n_controls)


def test_an_eraser_is_missed_alone_and_not_together_with_what_it_erases() -> None:
    text = " river river river"
    alone, both = of_planted([(1, 0)], text), of_planted([(0, 0), (1, 0)], text)
    assert abs(alone.value or 0.0) > 0.05
    assert both.value == pytest.approx(0.0, abs=1e-4)
    assert [one.rank for one in alone.standings][0] == 1
    assert both.standings[1].reason == "its units write at several places"


def test_without_a_suppressor_what_it_suppresses_is_less_surprising() -> None:
    change = of_planted([(1, 1)], " May runs May runs May runs")
    assert (change.value or 0.0) < -0.1
    assert [one.p for one in change.standings] == [0.05, 0.05]
    promoter = of_planted([(1, 2)], " May dry May dry")
    assert (promoter.value or 0.0) > 0.1


def test_a_unit_that_is_silent_on_a_text_has_no_change_there_and_the_reason() -> None:
    change = of_planted([(1, 1)], " river stones river")
    assert change.value is None
    assert change.reason == "on no token of this text is it at another value than that"


def test_a_unit_drawn_at_random_stands_anywhere_among_random_units() -> None:
    subject = tiny_subject(tiny_gpt2())
    texts, passes = passages(subject, 3), HeldPasses(subject)
    ps = []
    for index in range(64):
        unit = UnitId("tiny", "blocks.1.mlp.hook_post", index)
        [standing, _] = ablate(passes, [unit], texts, n_controls=19).standings
        assert standing.control is ControlKind.UNITS
        ps.append(standing.p or 0.0)
    assert 0.4 < sum(ps) / len(ps) < 0.65
    assert 1 <= sum(p <= 0.1 for p in ps) <= 14


def test_means_of_many_units_and_of_controls_are_read_in_one_pass_each() -> None:
    subject = tiny_subject(tiny_gpt2())
    texts, passes = passages(subject, 3), list[None]()
    sets = [(UnitId("tiny", "blocks.1.mlp.hook_post", index),) for index in range(8)]
    block = subject.bridge.blocks[0]
    watch = block.register_forward_pre_hook(lambda *_: passes.append(None))
    counts = {}
    try:
        # Again at zero: the first of all also looks at the hook point.
        for hold in (Hold.ZERO, Hold.MEAN, Hold.ZERO):
            shared = Ablations(
                HeldPasses(subject), texts, n_controls=5, against=[ControlKind.UNITS]
            )
            passes.clear()
            shared.prepare(sets, [hold], texts)
            prepared = len(passes)
            shared.of(sets[0], [hold], {TextKind.ALL: texts})
            counts[hold] = prepared, len(passes) - prepared
    finally:
        watch.remove()
    assert counts[Hold.MEAN] == tuple(n + 1 for n in counts[Hold.ZERO])


def test_many_units_that_share_text_and_passes_lose_what_each_loses_alone() -> None:
    subject = tiny_subject(tiny_gpt2())
    texts = passages(subject, 3)
    hooks = ("blocks.0.mlp.hook_post", "blocks.1.mlp.hook_post")
    sets = [(UnitId("tiny", hook, index),) for hook in hooks for index in range(4)]
    alone = [ablate(HeldPasses(subject), units, texts, n_controls=5) for units in sets]
    passes = HeldPasses(subject)
    shared = Ablations(passes, texts, n_controls=5, against=[ControlKind.UNITS])
    shared.prepare(sets, [Hold.ZERO], texts)
    n_tokens = passes.n_tokens
    for units, expected in zip(sets, alone, strict=True):
        [change] = shared.of(units, [Hold.ZERO], {TextKind.ALL: texts}).changes
        assert change.value == pytest.approx(expected.value, abs=1e-6)
        assert change.loss == pytest.approx(expected.loss, abs=1e-6)
        [standing] = change.standings
        assert standing.values == pytest.approx(expected.standings[0].values, abs=1e-6)
    # Later units find in what earlier ones left what their own controls lose.
    assert passes.n_tokens - n_tokens < 2 * n_tokens
