"""Receipts: every label tries to fail on the subject model, and keeps the proof."""

from autointerp.core.explanations import PromptRef
from autointerp.pipeline.receipts.receipt_collection import collect_receipts, texts_wanted
from autointerp.pipeline.receipts.receipts_result import (
    FailedSense,
    ReceiptsResult,
    WrittenReceipt,
)
from autointerp.pipeline.receipts.revising_prompt import revising_template
from autointerp.pipeline.receipts.sense_revision import RevisedSenses, revised
from autointerp.pipeline.receipts.text_trials import writing_template

__all__ = [
    "FailedSense",
    "ReceiptsResult",
    "RevisedSenses",
    "WrittenReceipt",
    "collect_receipts",
    "receipt_prompts",
    "revised",
    "texts_wanted",
]


def receipt_prompts() -> tuple[PromptRef, ...]:
    """Every prompt that receipts use."""
    return writing_template().ref, revising_template().ref
