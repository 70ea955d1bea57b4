"""A label's own exemplars, cut and edited, and what the unit needs of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest

from autointerp.core.characters import join_tokens
from autointerp.core.seeds import derive_seed
from autointerp.core.sense_types import Receipt, ReceiptKind
from autointerp.explainers import ExplainInputs
from autointerp.pipeline.receipts.exemplar_edits import ContextEdits, Edit
from autointerp.pipeline.receipts.minimal_contexts import (
    LONGEST,
    chosen_exemplars,
    minimal_lengths,
)
from autointerp.pipeline.receipts.needs import quoted_text
from autointerp.pipeline.receipts.replacements import Replacements
from autointerp.pipeline.receipts.short_runs import ShortRuns


@dataclass(frozen=True, slots=True)
class TriedExemplars:
    """What cutting and editing exemplars came to."""

    receipts: tuple[Receipt, ...] = ()
    """Of each exemplar its minimal context, then the edits of that."""
    needs: tuple[str, ...] = ()
    """One sentence an exemplar, each once: ``needs ' Anglo' before '-'``."""
    notes: tuple[str, ...] = ()


async def try_exemplars(inputs: ExplainInputs, runs: ShortRuns, *, seed: int) -> TriedExemplars:
    """Finds the minimal contexts of up to three exemplars, and edits them.

    Raises:
        InputError: as `UnitProbe.measure_ids`.
    """
    records = inputs.records
    exemplars = chosen_exemplars(records)
    lengths = await minimal_lengths(exemplars, runs)
    replacements = Replacements(
        inputs.token_means,
        inputs.tokenizer,
        avoided={token for record in records.activating for token in record.token_ids},
        seed=derive_seed(seed, "receipts", str(records.unit), records.side),
    )
    receipts: list[Receipt] = []
    needs: list[str] = []
    edited: list[ContextEdits] = []
    for exemplar, length in zip(exemplars, lengths, strict=True):
        if length is not None and length <= LONGEST:
            edited.append(ContextEdits(exemplar, length, replacements, inputs.tokenizer.pieces))
        elif length is not None:
            last = quoted_text(exemplar.tokens[-1])
            needs.append(f"needs more than {LONGEST - 1} tokens before {last}")
    for step in (ContextEdits.first, ContextEdits.second):
        await _try(edited, step, runs)
    for one in edited:
        receipts += [await _shortened(one, runs), *one.receipts(runs.level)]
    needs = [*(one.needs for one in edited if one.needs), *needs]
    return TriedExemplars(tuple(receipts), tuple(dict.fromkeys(needs)))


async def _try(
    edited: Sequence[ContextEdits],
    step: Callable[[ContextEdits], Iterator[Edit]],
    runs: ShortRuns,
) -> None:
    """Runs the edits of all exemplars in one batch; where runs are short, each has its share."""
    lists = [[(one, edit) for edit in step(one)] for one in edited]
    asked = [pair for pairs in zip_longest(*lists) for pair in pairs if pair is not None]
    activations = await runs.last_activations([edit.token_ids for _, edit in asked])
    for one, edit in asked:
        if edit.token_ids in activations:
            one.take(edit, activations[edit.token_ids])


async def _shortened(one: ContextEdits, runs: ShortRuns) -> Receipt:
    activations = await runs.last_activations([one.token_ids])
    level = runs.level(activations.get(one.token_ids, one.activation))
    return Receipt(ReceiptKind.SHORTENED, None, join_tokens(one.tokens), None, level)
