"""Receipts: every label tries to fail on the subject model, and keeps the proof."""

from autointerp.core.explanations import PromptRef
from autointerp.core.variants import EXPLANATION, PHRASE, WRITTEN_TEXT, PromptCalls
from autointerp.pipeline.receipts.llm_allowance import LlmAllowance, Measuring
from autointerp.pipeline.receipts.receipt_collection import (
    N_TEXTS,
    allowance_of,
    collect_receipts,
    of_kept_senses,
    texts_wanted,
)
from autointerp.pipeline.receipts.receipts_result import (
    FailedSense,
    ReceiptsResult,
    WrittenReceipt,
)
from autointerp.pipeline.receipts.revising_prompt import revising_template
from autointerp.pipeline.receipts.sense_revision import RevisedSenses, revised
from autointerp.pipeline.receipts.writing_prompt import writing_template

__all__ = [
    "N_TEXTS",
    "FailedSense",
    "LlmAllowance",
    "Measuring",
    "ReceiptsResult",
    "RevisedSenses",
    "WrittenReceipt",
    "allowance_of",
    "collect_receipts",
    "of_kept_senses",
    "receipt_calls",
    "receipt_prompts",
    "revised",
    "texts_wanted",
]


def receipt_prompts() -> tuple[PromptRef, ...]:
    """Every prompt that receipts use."""
    return writing_template().ref, revising_template().ref


def receipt_calls(n_texts: int, n_senses: int) -> tuple[PromptCalls, ...]:
    """The most requests about one side of a unit, for the estimate before a job starts."""
    if not n_texts:
        return ()
    written = n_texts * WRITTEN_TEXT + 2 * n_senses * PHRASE
    shown = n_senses * (EXPLANATION + 4 * WRITTEN_TEXT) + 4 * 2 * WRITTEN_TEXT
    reply = n_senses * EXPLANATION
    writing, revising = receipt_prompts()
    return (
        PromptCalls(writing.name, 2, reply, written, version=writing.version),
        PromptCalls(revising.name, 2, shown, reply, version=revising.version),
    )
