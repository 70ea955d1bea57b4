"""Which side of the split a document is on."""

from __future__ import annotations

from autointerp.core.seeds import derive_seed
from autointerp.core.text import Split


def split_of_document(document: str, *, seed: int, explain: float, validation: float) -> Split:
    """The side of a document, from its id and the seed alone.

    Args:
        document: `document_id` of the text, which copies share.
        seed: of the run.
        explain: share of documents that explainers read, 0..1.
        validation: share that chooses among explanations; the rest is held out.
    """
    place = derive_seed(seed, "split", document) / 2**63
    if place < explain:
        return Split.EXPLAIN
    return Split.VALIDATION if place < explain + validation else Split.HELD_OUT
