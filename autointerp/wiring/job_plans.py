"""Plans of jobs: what one will need, told from the shape of its subject model alone."""

from __future__ import annotations

from autointerp.core.config import JobSpec
from autointerp.core.errors import InputError
from autointerp.core.model_shape import KNOWN_SHAPES, ModelShape, known_shape
from autointerp.orchestration.job_outlook import JobOutlook, asks_llm, job_outlook
from autointerp.pipeline import check_job, with_stored_names
from autointerp.settings import Settings
from autointerp.subjects.shape_files import shape_in
from autointerp.subjects.subject_places import KNOWN_SUBJECTS, place_of
from autointerp.wiring.llms import JobBudget, named_job, quote_of


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
    quote = quote_of(named_job(job, settings), budget or JobBudget()) if asks_llm(job) else None
    return job_outlook(job, shape, quote, n_workers=n_workers, n_readers=n_readers)


def subject_shape(name: str) -> ModelShape:
    """The shape of a subject: of its folder or file, or of a well-known name.

    Raises:
        InputError: there is neither, or the folder does not tell.
    """
    path = None if name in KNOWN_SUBJECTS else place_of(name)
    if path is not None:
        return shape_in(path)
    known = known_shape(name)
    if known is not None:
        return known
    raise InputError(
        f"the shape of {name} is not known: name a folder with its config.json, a .gguf file or "
        f"one of {', '.join(KNOWN_SHAPES)}"
    )
