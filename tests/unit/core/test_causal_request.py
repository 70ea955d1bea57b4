"""Requests for causal evidence: names in place of values, and what cannot be asked."""

from __future__ import annotations

from typing import Any

import pytest

from autointerp.core.causal_evidence import ControlKind, EvidenceKind, Hold, TextKind
from autointerp.core.causal_request import CausalRequest
from autointerp.core.errors import InputError


def test_names_stand_for_what_they_name() -> None:
    by_name: dict[str, Any] = {"holds": "mean", "texts": ["all"], "against": ["random_units"]}
    found = CausalRequest("ablation", **by_name)  # type: ignore[arg-type]
    assert found.kind is EvidenceKind.ABLATION
    assert found.holds[0] is Hold.MEAN
    assert found.texts[0] is TextKind.ALL
    assert found.against[0] is ControlKind.UNITS
    assert hash(found) == hash(
        CausalRequest(
            EvidenceKind.ABLATION, (Hold.MEAN,), (TextKind.ALL,), against=(ControlKind.UNITS,)
        )
    )


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"kind": "guess"}, "kind: 'guess' is unknown; there are ablation, patching"),
        ({"kind": "ablation", "holds": ("most",)}, "holds: 'most' is unknown; there are zero"),
        ({"kind": "patching", "prompt": "the"}, "Found --prompt"),
        ({"kind": "patching", "counterfactual": "the"}, "Found --counterfactual"),
    ],
)
def test_what_cannot_be_asked_is_a_sentence(asked: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        CausalRequest(**asked)
