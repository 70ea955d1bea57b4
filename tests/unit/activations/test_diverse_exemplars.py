from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from autointerp.activations import UnitPlan, UnitReader, build_sets, read_windows
from autointerp.activations.sampling.diversity import PeakContext, diverse_places
from autointerp.activations.sampling.unit_sets import diverse_plan
from autointerp.core.config import SelectConfig
from autointerp.core.ids import Side, UnitId
from autointerp.core.text import Split

UNIT = UnitId("tiny", "blocks.1.mlp.hook_post", 11)

contexts = st.lists(
    st.builds(
        PeakContext,
        st.sampled_from("abcdef"),
        st.lists(st.integers(0, 3), min_size=1, max_size=6).map(tuple),
    ),
    max_size=15,
)


@given(contexts=contexts, n=st.integers(0, 8), limit=st.floats(0, 1))
def test_of_like_contexts_the_first_is_taken_and_others_only_to_fill_up(
    contexts: list[PeakContext], n: int, limit: float
) -> None:
    places = diverse_places(contexts, n, max_overlap=limit)
    assert places == sorted(set(places))
    assert len(places) == min(n, len(contexts))
    enough = diverse_places(contexts, len(contexts), max_overlap=limit)
    assert enough == list(range(len(contexts)))
    assert places[:1] == ([0] if contexts and n else [])


def test_a_copy_in_another_document_and_a_window_of_the_same_document_are_passed_over() -> None:
    first = PeakContext("a", (1, 2, 3, 4))
    copy = PeakContext("b", (9, 2, 3, 4))
    sibling = PeakContext("a", (5, 6, 7, 8))
    other = PeakContext("c", (4, 3, 2, 1))
    assert first.overlap(copy) == pytest.approx(2 / 3)
    assert first.overlap(other) == 0
    assert first.overlap(PeakContext("d", (2, 3))) == 1
    assert diverse_places([first, copy, sibling, other], 2, max_overlap=0.5) == [0, 3]
    assert diverse_places([first, copy, sibling, other], 2, max_overlap=2 / 3) == [0, 1]
    assert diverse_places([first, copy, sibling, other], 3, max_overlap=0.5) == [0, 1, 3]


def test_a_context_reaches_as_far_as_asked_and_not_beyond_its_window() -> None:
    around = [
        PeakContext.around("a", (1, 2, 3, 4, 5), position, reach=1).token_ids
        for position in (0, 2, 4)
    ]
    assert around == [(1, 2), (2, 3, 4), (4, 5)]


def diverse_setup(collected: Any, n_top: int) -> tuple[UnitPlan, Any]:
    select = SelectConfig(n_top=n_top, diverse=True, max_overlap=0.0, context_tokens=2)
    plan = UnitReader(collected.summary, select).plan(UNIT, Side.POSITIVE)
    requests = {(UNIT.hook, UNIT.index): plan.windows}
    return plan, read_windows(collected.subject, collected.corpus, requests)


def test_diverse_exemplars_of_a_unit_are_of_different_documents(collected: Any) -> None:
    plan, read = diverse_setup(collected, 3)
    settled = diverse_plan(plan, read, collected.corpus)
    before, after = (p.samples[Split.EXPLAIN] for p in (plan, settled))
    top = [pick for pick in after.sampled if pick.stratum == "top"]
    assert len(top) == 3
    assert after.windows[0] == before.windows[0]
    assert after.windows[3:] == before.windows[5:]
    documents = [collected.corpus[pick.window].document for pick in top]
    assert len(set(documents)) == 3
    # Together they stand for all top windows, of which there are five.
    assert sum(pick.weight for pick in top) == pytest.approx(5)


@pytest.mark.parametrize("side", list(Side))
def test_windows_are_alike_by_what_stands_around_the_peak_of_the_side(
    collected: Any, side: Side
) -> None:
    select = SelectConfig(n_top=3, diverse=True, max_overlap=0.3, context_tokens=1)
    reader, corpus = UnitReader(collected.summary, select), collected.corpus
    for index in range(24):
        plan = reader.plan(UnitId("tiny", UNIT.hook, index), side)
        lines = {w: collected.oracle.lines[w][:, index] for w in plan.windows}
        top = [w.window for w in plan.samples[Split.EXPLAIN].sampled if w.stratum == "top"]
        contexts = [
            PeakContext.around(
                corpus[w].document,
                corpus[w].token_ids,
                int((side.sign * lines[w]).argmax()),
                reach=1,
            )
            for w in top
        ]
        expected = [top[i] for i in diverse_places(contexts, 3, max_overlap=0.3)]
        read = {(UNIT.hook, index, w): line for w, line in lines.items()}
        assert list(diverse_plan(plan, read, corpus).samples[Split.EXPLAIN].windows[:3]) == expected


def test_sets_are_built_of_the_diverse_exemplars_and_the_rest_is_as_without(collected: Any) -> None:
    plan, read = diverse_setup(collected, 3)
    sets = build_sets(plan, read, collected.corpus, collected.subject)
    settled = diverse_plan(plan, read, collected.corpus)
    chosen = tuple(record.window for record in sets.explain.records)
    assert chosen == settled.samples[Split.EXPLAIN].windows
    plain = UnitReader(collected.summary, SelectConfig(n_top=3)).plan(UNIT, Side.POSITIVE)
    assert plain.samples[Split.HELD_OUT] == plan.samples[Split.HELD_OUT]
    assert diverse_plan(plain, {}, collected.corpus) is plain
    again = diverse_plan(replace(settled), read, collected.corpus)
    assert again.windows == settled.windows


def test_quantiles_that_do_not_ascend_are_refused() -> None:
    with pytest.raises(ValidationError, match=r"score_quantiles must ascend, each once; found"):
        SelectConfig(score_quantiles=(0.8, 0.5))
