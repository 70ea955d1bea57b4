"""What a worker says of causal evidence, without a model."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
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
from autointerp.core.causal_request import CausalRequest
from autointerp.core.ids import Side, UnitId
from autointerp.core.kept_evidence import EvidenceSource, KeptEvidence
from autointerp.core.own_label_rank import OwnLabelRank
from autointerp.core.unit_sites import SitePair, SiteText, UnitSite, UnitSites

UNITS = Standing.of(ControlKind.UNITS, 0.25, [0.01] * 18 + [0.3])
TURNS = Standing.none(ControlKind.DIRECTIONS, "its units write at several places")
NOT_SAID = "its label says of no held-out window that it is active there"
WRITTEN = ("<b>of rivers</b>\n\x1b[31m", "\u202eof seas")


def find_evidence(asked: dict[str, Any]) -> dict[str, Any]:
    """An answer of the kind that is asked, about 5:131."""
    unit = UnitId(asked["model"], "blocks.5.mlp.hook_post", 131)
    return causal_json(_found(unit, asked))


def kept_evidence(
    unit: UnitId, request: CausalRequest, *, day: int = 1, **source: str
) -> KeptEvidence:
    """An answer about a unit as it is kept, made on some day of November; of what source else."""
    created = f"2026-11-{day:02d}T00:00:00Z"
    usual = EvidenceSource(created, "0.1.0", "f00d", "float32", "wiki", "job_1")
    found = _found(unit, causal_json(request))
    return KeptEvidence(unit, request, found, replace(usual, **source))


def _found(unit: UnitId, asked: dict[str, Any]) -> CausalEvidence:
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
    elif kind is EvidenceKind.SITES:
        parts["sites"] = (_sites(unit),)
    elif kind is EvidenceKind.RANK:
        parts["ranks"] = tuple(own_label_ranks(unit))
    else:
        parts["steerings"] = tuple(_steered(unit, asked["prompts"]))
    notes = ("1 of 2 units are left out",)
    return CausalEvidence(kind, unit.subject, "float32", **parts, seconds=12.3, notes=notes)


def own_label_ranks(unit: UnitId) -> Iterator[OwnLabelRank]:
    """A side that is not the best for its label, and one whose label predicts too little."""
    others = tuple(UnitId(unit.subject, unit.hook, index) for index in (7, 9))
    sizes = 1536, 78, 26
    yield OwnLabelRank(
        unit, Side.POSITIVE, *sizes, 2, 0.41, others[0], 0.62, -0.21, -0.3, -0.1, others
    )
    reason = "fewer than 2 windows have predictions that fit the text"
    yield OwnLabelRank(unit, Side.NEGATIVE, *sizes, *(None,) * 7, reason=reason)


def _sites(unit: UnitId) -> UnitSites:
    hooks = [unit.hook.replace("hook_post", kind) for kind in ("hook_pre", "hook_post")]
    text = SiteText(0, ("the", " Rhine"), 1, 3.0)
    sites = [
        UnitSite(UnitId(unit.subject, hook, unit.index), 0.1, 0.0, 3.0, -1.0, (text,))
        for hook in hooks
    ]
    pair = SitePair(*hooks, 0.42, 0.31, 0.52, 0.6, 0.1)
    return UnitSites("wiki", 16_384, 40, 20, tuple(sites), (pair,))


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
