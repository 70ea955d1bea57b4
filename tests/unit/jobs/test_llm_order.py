"""Which units an LLM labels first where its budget may end before the last of them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from factories import make_job, make_label, make_provenance, make_sets, make_unit

from autointerp.core.config import Budget
from autointerp.core.ids import Side
from autointerp.core.records import TokenMeans
from autointerp.jobs.llm_order import has_failed, is_by_rules_alone, llm_order, table_score
from autointerp.jobs.unit_inputs import Target
from autointerp.pipeline import rules_fill_up, without_llm

TARGETS = [Target(make_unit(i), side) for i in range(4) for side in Side]
SCORES = {0: 0.1, 1: None, 2: 0.7, 3: 0.1}


def ordered(order: str, *, seed: int = 0) -> list[int]:
    def score(target: Target) -> float | None:
        return SCORES[target.unit.index] if target.side is Side.NEGATIVE else None

    found = llm_order(TARGETS, order, seed=seed, score=score)  # type: ignore[arg-type]
    assert sorted(found) == sorted(TARGETS)
    assert [target.unit for target in found[::2]] == [target.unit for target in found[1::2]]
    return [target.unit.index for target in found[::2]]


def test_units_go_by_their_better_side_and_those_without_a_score_come_last() -> None:
    assert ordered("lookup") == [2, 0, 3, 1]
    assert ordered("asked") == [0, 1, 2, 3]


def test_a_random_order_depends_on_the_seed_alone() -> None:
    assert ordered("random", seed=1) == ordered("random", seed=1)
    assert len({tuple(ordered("random", seed=seed)) for seed in range(20)}) > 5


def test_held_out_windows_do_not_decide_what_comes_first() -> None:
    sets = make_sets()
    ids = sorted({t for record in sets.validation.records for t in record.token_ids})
    means = TokenMeans({token: 0.1 * i for i, token in enumerate(ids)}, dict.fromkeys(ids, 3), 0.0)
    score = table_score(sets, means, make_job())
    other = replace(sets, held_out=replace(sets.held_out, records=(), strata=()))
    assert score is not None
    assert table_score(other, means, make_job()) == score
    assert table_score(None, means, make_job()) is None


def test_a_label_by_rules_alone_awaits_the_llm_and_may_say_that_it_failed() -> None:
    rules = make_label(provenance=make_provenance(explainer_model=None))
    assert is_by_rules_alone(rules)
    assert not has_failed(rules)
    assert has_failed(replace(rules, failures=("the reply was no JSON",)))
    assert not is_by_rules_alone(make_label())


@pytest.mark.parametrize(
    ("explainers", "budget", "fills"),
    [
        (None, Budget(usd=1), True),
        (None, Budget(), False),
        (("token_activation",), Budget(tokens=5), False),
        (("token_activation",), Budget(tokens=5, order="asked"), True),
        (("token_lookup",), Budget(tokens=5), False),
    ],
)
def test_rules_fill_up_where_a_job_has_any_or_an_order_is_asked_for(
    explainers: tuple[str, ...] | None, budget: Budget, fills: bool
) -> None:
    job = make_job(llm="http://127.0.0.1:9/v1", explain={"explainers": explainers})
    assert rules_fill_up(job, budget) is fills
    assert without_llm(job).explain.explainers == ("token_lookup",) or explainers != (
        "token_lookup",
    )
