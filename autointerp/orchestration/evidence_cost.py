"""What a job that asks for causal evidence costs in forward passes, before a worker has seen it."""

from __future__ import annotations

from dataclasses import dataclass

from autointerp.core.causal_evidence import EvidenceKind, Hold, TextKind
from autointerp.core.config import JobSpec
from autointerp.core.ids import HookPoint
from autointerp.core.model_shape import ModelShape
from autointerp.core.unit_sites import MOST_VALUES, SITES
from autointerp.core.unit_spec import HookItem, parse_unit_spec
from autointerp.orchestration.machine_costs import MachineCosts

_REFERENCE = 32
"""Windows that are read where units are not held at zero."""
_RECORDS = 32
"""Windows that are kept of a label, about, among which the strongest are looked for."""
_CHUNK, _CHUNK_OF_READING = 16, 512
"""Units of a work item; of kinds for which text is read once an item, many."""
_READ = frozenset({EvidenceKind.SITES, EvidenceKind.RANK})
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
    kind = None if spec.evidence is None else spec.evidence.kind
    if kind is EvidenceKind.SITES:
        n = _of_sites(spec, n_units, shape)
    elif kind is EvidenceKind.RANK:
        n = _of_ranks(spec, n_units, shape)
    else:
        n = n_units * _of_unit(spec)
    if shape is None:
        return EvidenceCost(n, None)
    token_s = shape.n_layers * machine.layer_s(shape, spec.dtype)
    # The logits of a token are products with as many rows of weights as there are tokens.
    token_s += 2 * shape.d_model * shape.vocab / machine.flops
    return EvidenceCost(n, n * token_s / max(1, n_readers))


def evidence_chunk(kind: EvidenceKind) -> int:
    """Units of a work item: few, as one may take minutes, but many where text is read for all."""
    return _CHUNK_OF_READING if kind in _READ else _CHUNK


def _of_sites(spec: JobSpec, n_units: int, shape: ModelShape | None) -> int:
    """The text once a layer of each item, and more often where it is too long for its units."""
    n_tokens = spec.corpus.n_tokens
    at_once = max(1, MOST_VALUES // (len(SITES) * n_tokens))
    whole, rest = divmod(n_units, _CHUNK_OF_READING)
    n_readings = whole * -(-_CHUNK_OF_READING // at_once) + -(-rest // at_once)
    # An item in which one layer ends and another begins reads the text for both.
    return n_tokens * (n_readings + max(0, _n_layers(spec, n_units, shape) - 1))


def _of_ranks(spec: JobSpec, n_units: int, shape: ModelShape | None) -> int:
    """The held-out text of usual labels once a layer of each item, or less for a few units."""
    text = spec.corpus
    held_out = int(text.n_tokens * (1 - text.explain - text.validation))
    n_readings = -(-n_units // _CHUNK_OF_READING) + _n_layers(spec, n_units, shape) - 1
    return min(n_units * spec.score.n_rule_windows * text.n_ctx, held_out * n_readings)


def _n_layers(spec: JobSpec, n_units: int, shape: ModelShape | None) -> int:
    """Layers in which the units are, at most."""
    asked = parse_unit_spec(spec.units)
    if asked.items:
        hooks = (item.hook for item in asked.items if isinstance(item, HookItem))
        return len({HookPoint(hook).layer for hook in hooks})
    drawn = asked.random.layers if asked.random else ()
    return min(n_units, len(drawn) or (n_units if shape is None else shape.n_layers))


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
