"""What a job that asks for causal evidence costs in forward passes, before a worker has seen it."""

from __future__ import annotations

from dataclasses import dataclass

from autointerp.core.causal_evidence import EvidenceKind, Hold, TextKind
from autointerp.core.config import JobSpec
from autointerp.core.model_shape import ModelShape
from autointerp.orchestration.machine_costs import MachineCosts

_REFERENCE = 32
"""Windows that are read where units are not held at zero."""
_RECORDS = 32
"""Windows that are kept of a label, about, among which the strongest are looked for."""
_STRENGTHS, _WRITINGS, _SIGNS = 32, 3, 2
_CHARACTERS_A_TOKEN = 4


@dataclass(frozen=True, slots=True)
class EvidenceCost:
    """Of all units of a job."""

    n_tokens: int
    """In forward passes, counted once a row, at most."""
    seconds: float | None
    """Of one worker; None where the sizes of the model are not known."""


def evidence_cost(
    spec: JobSpec, n_units: int, shape: ModelShape | None, machine: MachineCosts, *, n_readers: int
) -> EvidenceCost:
    """Of a job that asks for evidence; its labels' windows are taken to be as long as is usual."""
    n = _of_sites(spec) if _is_of_sites(spec) else n_units * _of_unit(spec)
    if shape is None:
        return EvidenceCost(n, None)
    token_s = shape.n_layers * machine.layer_s(shape, spec.dtype)
    # The logits of a token are products with as many rows of weights as there are tokens.
    token_s += 2 * shape.d_model * shape.vocab / machine.flops
    return EvidenceCost(n, n * token_s / max(1, n_readers))


def _is_of_sites(spec: JobSpec) -> bool:
    return spec.evidence is not None and spec.evidence.kind is EvidenceKind.SITES


def _of_sites(spec: JobSpec) -> int:
    return spec.corpus.n_tokens


def _of_unit(spec: JobSpec) -> int:
    asked = spec.evidence
    assert asked is not None  # evidence_cost is asked of such jobs alone
    window = 1 + spec.corpus.n_ctx
    if asked.kind is EvidenceKind.ABLATION:
        of = {TextKind.ALL: asked.n_windows}
        n_windows = sum(of.get(text, asked.n_texts) for text in set(asked.texts))
        rows = 2 + asked.n_controls * len(set(asked.against))
        read = any(hold is not Hold.ZERO for hold in asked.holds)
        reference = _REFERENCE * (1 + asked.n_controls) if read else 0
        return window * (n_windows * rows * len(asked.holds) + reference)
    if asked.kind is EvidenceKind.ATTRIBUTION:
        return window * (_RECORDS + 4 * asked.n_texts)
    if asked.kind is EvidenceKind.PATCHING:
        return _tokens(asked.prompt or "") * (8 + 2 * asked.n_controls)
    prompts = sum(1 + _tokens(text) for text in asked.prompts)
    written = _SIGNS * _WRITINGS * asked.n_tokens * len(asked.prompts)
    return _SIGNS * prompts * (_STRENGTHS + _WRITINGS + asked.n_controls) + written


def _tokens(text: str) -> int:
    return max(1, len(text) // _CHARACTERS_A_TOKEN)
