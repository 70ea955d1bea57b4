"""Forward passes of jobs that compare sites: one reading of the text a layer of each item."""

from __future__ import annotations

import pytest

from autointerp.core.causal_evidence import EvidenceKind
from autointerp.core.causal_request import CausalRequest
from autointerp.core.config import CorpusConfig, JobSpec
from autointerp.core.ids import Side
from autointerp.core.model_shape import known_shape
from autointerp.orchestration import JobPlan, PlannedHook
from autointerp.orchestration.evidence_cost import evidence_chunk, evidence_cost
from autointerp.orchestration.machine_speed import this_machine

SITES = CausalRequest(EvidenceKind.SITES)


def n_read(units: str, n_units: int, *, n_tokens: int = 1000) -> int:
    """How often the text is said to be read."""
    corpus = CorpusConfig(n_tokens=n_tokens, n_ctx=16)
    spec = JobSpec(subject="tiny", units=units, llm="none", evidence=SITES, corpus=corpus)
    shape = known_shape("smollm2-135m")
    cost = evidence_cost(spec, n_units, shape, this_machine(), n_readers=1)
    assert cost.seconds is not None
    assert cost.n_tokens % n_tokens == 0
    return cost.n_tokens // n_tokens


def n_read_by_items(*widths: int) -> int:
    """What workers read where so many units are asked of each layer."""
    hooks = [
        PlannedHook(f"blocks.{layer}.mlp.hook_post", tuple(range(n)), (Side.POSITIVE,))
        for layer, n in enumerate(widths)
    ]
    plan = JobPlan("tiny", "", tuple(hooks), evidence_chunk(EvidenceKind.SITES))
    chunks = map(plan.of_chunk, range(plan.n_chunks))
    return sum(len({unit.layer for unit, _ in chunk}) for chunk in chunks)


@pytest.mark.parametrize(
    ("units", "widths", "expected"),
    [
        ("5:0-15", [16], 1),
        ("layer:5", [1536], 3),
        ("0:0-9,1:0-9,2:0-9", [10, 10, 10], 3),
        ("0:0-599,1:0-599", [600, 600], 4),
        ("random:30@0,10,20", [10, 10, 10], 3),
        ("all", [1536] * 30, 90 + 29),
    ],
)
def test_the_text_is_read_once_a_layer_of_each_item(
    units: str, widths: list[int], expected: int
) -> None:
    assert n_read(units, sum(widths)) == expected
    by_items = n_read_by_items(*widths)
    # At most one reading more for each layer that begins: where items happen to end with layers.
    assert by_items <= expected < by_items + len(widths)


@pytest.mark.parametrize(
    ("units", "n_units", "n_tokens"), [("5:7", 1, 80 * 16), ("layer:5", 1536, 3 * 400)]
)
def test_ranks_read_the_held_out_text_of_labels_once_an_item_or_the_windows_of_a_few(
    units: str, n_units: int, n_tokens: int
) -> None:
    corpus = CorpusConfig(n_tokens=1000, n_ctx=16, explain=0.5, validation=0.1)
    asked = CausalRequest(EvidenceKind.RANK)
    spec = JobSpec(subject="tiny", units=units, llm="none", evidence=asked, corpus=corpus)
    shape = known_shape("smollm2-135m")
    cost = evidence_cost(spec, n_units, shape, this_machine(), n_readers=1)
    assert cost.n_tokens == min(n_tokens, 400 * -(-n_units // 512))


def test_a_text_that_is_too_long_for_the_units_of_an_item_is_read_more_often() -> None:
    # 2^28 activations are kept: of 4 sites of 2^20 tokens, those of 64 neurons.
    assert n_read("5:0-15", 16, n_tokens=2**20) == 1
    assert n_read("layer:5", 1536, n_tokens=2**20) == 24
