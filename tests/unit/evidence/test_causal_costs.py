"""What is proposed where causal evidence takes longer than a request has."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from autointerp.core.causal_evidence import EvidenceKind
from autointerp.core.causal_request import CausalRequest
from autointerp.core.ids import UnitId
from autointerp.evidence.causal_costs import what_fits
from autointerp.evidence.control_units import UnitSet

TWO = {"prompt": "a", "counterfactual": "b"}


@pytest.mark.parametrize(
    ("kind", "n_sets", "most", "said"),
    [
        (
            EvidenceKind.ABLATION,
            4,
            2_000,
            "the first 3 of the units or n_controls 9 or n_windows 16 with n_texts 4",
        ),
        (
            EvidenceKind.ABLATION,
            1,
            15,
            "one unit or set with n_controls 9 and n_windows 1 with n_texts 1",
        ),
        (EvidenceKind.ABLATION, 1, 0, "nothing: `autointerp evidence` has no limit"),
        (
            EvidenceKind.STEERING,
            1,
            2_000,
            "n_controls 9 or the first 2 of the prompts or n_tokens 12",
        ),
        (
            EvidenceKind.ATTRIBUTION,
            2,
            1_000,
            "the first 1 of the units or n_controls 9 or n_texts 4",
        ),
        (EvidenceKind.PATCHING, 3, 50, "the first 2 of the units or n_controls 9"),
        (EvidenceKind.PATCHING, 3, 5, "one unit or set with n_controls 4 and the same texts"),
    ],
)
def test_the_largest_request_that_fits_is_told_of_each_way_to_ask_for_less(
    kind: EvidenceKind, n_sets: int, most: int, said: str
) -> None:
    def fits(sets: Sequence[UnitSet], asked: CausalRequest) -> bool:
        """As if the product of all that is asked for were what it costs."""
        size = {
            EvidenceKind.ABLATION: asked.n_windows,
            EvidenceKind.ATTRIBUTION: 4 * asked.n_texts,
            EvidenceKind.STEERING: 2 * asked.n_tokens * len(asked.prompts),
            EvidenceKind.PATCHING: 1,
        }[kind]
        return size * len(sets) * (1 + asked.n_controls) <= most

    sets = [(UnitId("tiny", "blocks.0.mlp.hook_post", i),) for i in range(n_sets)]
    request = CausalRequest(kind, **(TWO if kind is EvidenceKind.PATCHING else {}))  # type: ignore[arg-type]
    assert what_fits(sets, request, fits) == said
