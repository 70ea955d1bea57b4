"""What a worker says of causal evidence, without a model."""

from __future__ import annotations

from typing import Any

from autointerp.core.causal_evidence import (
    Ablation,
    AttributedText,
    Attribution,
    CausalEvidence,
    ControlKind,
    EvidenceKind,
    Hold,
    LossChange,
    Patching,
    Standing,
    SteeredWriting,
    TextKind,
)
from autointerp.core.causal_json import causal_json
from autointerp.core.ids import UnitId

UNITS = Standing.of(ControlKind.UNITS, 0.25, [0.01] * 18 + [0.3])
TURNS = Standing.none(ControlKind.DIRECTIONS, "its units write at several places")
NOT_SAID = "its label says of no held-out window that it is active there"
WRITTEN = ("<b>of rivers</b>\n\x1b[31m", "\u202eof seas")


def find_evidence(asked: dict[str, Any]) -> dict[str, Any]:
    """An answer of the kind that is asked, about 5:131."""
    unit = UnitId(asked["model"], "blocks.5.mlp.hook_post", 131)
    kind = EvidenceKind(asked["kind"])
    parts: dict[str, Any] = {}
    if kind is EvidenceKind.ABLATION:
        changes = [c for hold in asked["holds"] for c in _changes(Hold(hold))]
        parts["ablations"] = (Ablation((unit,), tuple(changes)),)
    elif kind is EvidenceKind.PATCHING:
        texts = asked["prompt"], asked["counterfactual"]
        found = Patching((unit,), *texts, (" a", " b"), None, 2.0, -1.0, 0.5, 0.5, (UNITS,))
        parts["patchings"] = (found,)
    elif kind is EvidenceKind.ATTRIBUTION:
        text = AttributedText(True, ("the", " Rhine"), 0, 3.0, " Rhine", 0.7, 0.99)
        parts["attributions"] = (Attribution(unit, (text,), 0.7, None, None, (TURNS,)),)
    else:
        parts["steerings"] = tuple(_steered(unit, asked["prompts"]))
    notes = ("1 of 2 units are left out",)
    found_of_all = CausalEvidence(kind, asked["model"], **parts, seconds=12.3, notes=notes)
    return {name: v for name, v in causal_json(found_of_all).items() if name != "sites"}


def _changes(hold: Hold) -> list[LossChange]:
    sizes = 4, 3, 256
    both = (UNITS, TURNS)
    return [
        LossChange(hold, TextKind.ALL, 0.0012, -0.001, 0.0034, 3.5, *sizes, both),
        LossChange(hold, TextKind.EXEMPLARS, 0.25, 0.1, 0.4, 3.1, *sizes, both),
        LossChange(hold, TextKind.PREDICTED, None, None, None, None, 0, 0, 0, reason=NOT_SAID),
    ]


def _steered(unit: UnitId, prompts: list[str]) -> list[SteeredWriting]:
    n, plain = len(prompts), tuple(f"plain {i}" for i in range(len(prompts)))
    written, turned = (WRITTEN * n)[:n], tuple(f"turned {i}" for i in range(n))
    raised = SteeredWriting(
        unit,
        8.0,
        0.5,
        tuple(prompts),
        written,
        plain,
        turned,
        (Standing.of(TURNS.control, 0.5, [0.1]),),
    )
    why = "holding it down moves the next token by a KL of 0.1 at most; a KL of 0.5 cannot be set"
    return [raised, SteeredWriting(unit, None, None, tuple(prompts), reason=why)]
