"""How fast units are held, and how many tokens that takes."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from autointerp.core.causal_evidence import ControlKind, Hold, TextKind
from autointerp.core.causal_request import CausalRequest
from autointerp.core.ids import UnitId
from autointerp.evidence.control_units import UnitSet
from autointerp.evidence.document_intervals import Passage
from autointerp.evidence.held_passes import HeldPasses, PassRows
from autointerp.evidence.held_units import HeldUnits
from autointerp.subjects import SubjectModel

HeldTexts = Mapping[UnitSet, Mapping[TextKind, Sequence[Passage] | str]]
"""What each set is held on; a reason in place of a text that is not there."""
_TRIED_ROWS, _TRIED_TOKENS = 8, 64


@dataclass(frozen=True, slots=True)
class Speed:
    """How fast a subject model runs with units held."""

    tokens_per_s: float
    """In a pass of many rows; a row's tokens count once each."""
    step_s: float
    """Of a pass of one token behind others, at most."""


def measured_speed(subject: SubjectModel, unit: UnitId, token_ids: Sequence[int]) -> Speed:
    """By the faster of two short passes, behind one that is not counted.

    Raises:
        InputError: no such unit, or one that cannot be held.
    """
    subject.check_indices(unit.hook, [unit.index])
    passes, ids = HeldPasses(subject), tuple(token_ids)[:_TRIED_TOKENS] or (0,)
    held = (HeldUnits.pushed(unit, 0.0),)
    passes.next_logits(ids, PassRows(held))

    def fastest(text: tuple[int, ...], n_rows: int) -> tuple[int, float]:
        """Tokens of a pass, and the fewest seconds: something else may run beside one of two."""
        spent, before = [], passes.n_tokens
        # With the logits of every token, which most requests need.
        run = passes.losses if len(text) > 1 else passes.next_logits
        for _ in range(2):
            started = time.perf_counter()
            run(text, PassRows(held, (held,) * (n_rows - 2)))
            spent.append(time.perf_counter() - started)
        return (passes.n_tokens - before) // 2, max(1e-9, min(spent))

    n_tokens, spent_s = fastest(ids, _TRIED_ROWS)
    return Speed(n_tokens / spent_s, fastest(ids[:1], 2)[1])


def ablated_tokens(texts: HeldTexts, request: CausalRequest, reference: Sequence[Passage]) -> int:
    """Tokens in passes while sets are held, at most.

    What random units lose on text that several sets of a hook point share is measured once, and
    with them alone so is the loss as it is.
    """
    n_units, n_turned = (request.n_controls * (k in request.against) for k in ControlKind)
    n, shared = 0, set[tuple[TextKind, Passage, tuple[str, ...]]]()
    if any(hold is not Hold.ZERO for hold in request.holds):
        # Sets that share a text are read together, and so are random units.
        n_reads = len(texts) if n_turned or TextKind.ALL not in request.texts else 2
        n += n_reads * sum(1 + len(passage.token_ids) for passage in reference)
    for units, kinds in texts.items():
        hooks = tuple(sorted({unit.hook for unit in units}))
        for kind, passages in kinds.items():
            for passage in () if isinstance(passages, str) else passages:
                is_new = (kind, passage, hooks) not in shared
                shared.add((kind, passage, hooks))
                rows = 2 - (kind is TextKind.ALL and not n_turned) + n_turned + n_units * is_new
                n += rows * (1 + len(passage.token_ids)) * len(request.holds)
    return n
