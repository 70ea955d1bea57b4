"""What a job will need, told from the shape of its subject model alone, with the LLM's part."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from autointerp.activations.collection_sizes import BatchShape, collection_memory, summary_bytes
from autointerp.core.config import JobSpec
from autointerp.core.errors import InputError
from autointerp.core.model_shape import ModelShape
from autointerp.core.text import Split
from autointerp.core.variants import Need
from autointerp.llm import Ledger, Quote, estimate_job
from autointerp.orchestration.counted_units import counted_units
from autointerp.orchestration.job_estimate import (
    ITEM_BYTES,
    CollectionSize,
    JobEstimate,
    PlannedWork,
    estimate_work,
)
from autointerp.orchestration.planned_text import PlannedText
from autointerp.pipeline import JobVariants, check_n_units
from autointerp.pipeline.planned_llm_calls import planned_calls


@dataclass(frozen=True, slots=True)
class JobOutlook:
    """What a job will need, with the LLM's part."""

    work: PlannedWork
    estimate: JobEstimate
    llm: Ledger | None
    """Calls, tokens and dollars; None where no LLM is asked."""
    price: str | None
    """Where dollars come from, or why there are none."""


def job_outlook(
    job: JobSpec, shape: ModelShape, quote: Quote | None, *, n_workers: int = 1, n_readers: int = 1
) -> JobOutlook:
    """What a job will need that names its explainers and scorers.

    The quote is that of its LLM, None where it asks none.

    Raises:
        InputError: its windows do not fit the subject, its units cannot be counted by its shape, or
            they are too few for a scorer.
    """
    if job.corpus.n_ctx > shape.n_ctx:
        raise InputError(
            f"windows of {job.corpus.n_ctx} tokens do not fit {shape.name}, which takes "
            f"{shape.n_ctx}; lower --n-ctx"
        )
    units = counted_units(job.units, shape)
    check_n_units(job, sum(units.values()))
    work = replace(planned_work(job, shape, units), n_workers=n_workers, n_readers=n_readers)
    llm = None if quote is None else estimate_job(work.n_labels, planned_calls(job), quote.price)
    return JobOutlook(work, estimate_work(work), llm, None if quote is None else quote.text)


def asks_llm(job: JobSpec) -> bool:
    """Whether anything of the job asks an LLM."""
    return JobVariants.of(job).need(Need.LLM)


def planned_work(job: JobSpec, shape: ModelShape, units: Mapping[str, int]) -> PlannedWork:
    """A job by its sizes; units are counted by hook point."""
    return PlannedWork(job, shape, units, _collection_size(job, shape, units))


def _collection_size(job: JobSpec, shape: ModelShape, units: Mapping[str, int]) -> CollectionSize:
    """What collecting these units keeps, in memory and on the disk."""
    text = PlannedText.of(job.corpus, vocab=shape.vocab)
    need = collection_memory(
        units,
        job.collect,
        n_shared={s: min(job.collect.shared_windows, n) for s, n in text.n_windows.items()},
        batch=BatchShape(job.corpus.n_ctx + 1, shape.d_mlp, ITEM_BYTES[job.dtype]),
        n_types=text.n_types,
        n_once=text.n_once,
    )
    n_tokens = {split: text.n_windows[split] * job.corpus.n_ctx for split in Split}
    file = summary_bytes(
        units,
        job.collect,
        n_tokens=n_tokens,
        n_windows=text.n_windows,
        n_types=text.n_types,
        n_once=text.n_once,
    )
    return CollectionSize(need.state, need.tables, need.batch, file)
