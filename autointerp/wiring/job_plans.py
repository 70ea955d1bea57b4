"""Plans of jobs: what one will need, told from the shape of its subject model alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from autointerp.activations.memory_need import BatchShape, collection_memory
from autointerp.activations.summary_size import summary_bytes
from autointerp.core.config import JobSpec
from autointerp.core.errors import InputError
from autointerp.core.model_shape import KNOWN_SHAPES, ModelShape, known_shape
from autointerp.core.text import Split
from autointerp.core.variants import Need
from autointerp.llm import Ledger, estimate_job
from autointerp.orchestration.counted_units import counted_units
from autointerp.orchestration.job_estimate import (
    ITEM_BYTES,
    CollectionSize,
    JobEstimate,
    PlannedWork,
    estimate_work,
)
from autointerp.orchestration.planned_text import PlannedText
from autointerp.pipeline import JobVariants, check_job, check_n_units, with_stored_names
from autointerp.settings import Settings
from autointerp.subjects.shape_files import shape_in
from autointerp.wiring.llms import JobBudget, named_job, quote_of
from autointerp.wiring.tools import planned_calls


@dataclass(frozen=True, slots=True)
class JobOutlook:
    """What a job will need, with the LLM's part."""

    work: PlannedWork
    estimate: JobEstimate
    llm: Ledger | None
    """Calls, tokens and dollars; None where no LLM is asked."""
    price: str | None
    """Where dollars come from, or why there are none."""


def plan_job(
    job: JobSpec,
    settings: Settings,
    *,
    n_workers: int = 1,
    n_readers: int = 1,
    budget: JobBudget | None = None,
) -> JobOutlook:
    """The plan of a job; neither weights nor text are read.

    Raises:
        InputError: the job cannot be done as asked, the subject's shape cannot be told, or its
            units cannot be counted by it.
    """
    check_job(job)
    job = with_stored_names(job)
    shape = subject_shape(job.subject)
    if job.corpus.n_ctx > shape.n_ctx:
        raise InputError(
            f"windows of {job.corpus.n_ctx} tokens do not fit {shape.name}, which takes "
            f"{shape.n_ctx}; lower --n-ctx"
        )
    units = counted_units(job.units, shape)
    check_n_units(job, sum(units.values()))
    work = replace(planned_work(job, shape, units), n_workers=n_workers, n_readers=n_readers)
    llm = price = None
    if JobVariants.of(job).need(Need.LLM):
        named, budget = named_job(job, settings), budget or JobBudget()
        quote = quote_of(named, budget)
        price, llm = quote.text, estimate_job(work.n_labels, planned_calls(job), quote.price)
    return JobOutlook(work, estimate_work(work), llm, price)


def subject_shape(name: str) -> ModelShape:
    """The shape of a subject: of its folder or file, or of a well-known name.

    Raises:
        InputError: there is neither, or the folder does not tell.
    """
    path = _existing(name)
    if path is not None:
        return shape_in(path)
    known = known_shape(name)
    if known is not None:
        return known
    raise InputError(
        f"the shape of {name} is not known: name a folder with its config.json, a .gguf file or "
        f"one of {', '.join(KNOWN_SHAPES)}"
    )


def _existing(name: str) -> Path | None:
    try:
        path = Path(name).expanduser()
        return path if path.exists() else None
    except (OSError, RuntimeError, ValueError):
        # Nobody's home, longer than a name may be, or in a folder that may not be looked into.
        return None


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
