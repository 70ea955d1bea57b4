"""Labelling jobs from beginning to end, into a folder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from autointerp.activations import Summary
from autointerp.core.config import Budget, JobSpec
from autointerp.core.ids import UnitId
from autointerp.core.progress import Progress
from autointerp.core.variants import Need
from autointerp.corpora import check_corpus
from autointerp.dictionary import ManifestInfo, write_dictionary
from autointerp.dictionary.manifest import MANIFEST
from autointerp.jobs import LabelJob, LimitedLlm, RunReport, run_labels
from autointerp.jobs.llm_order import n_finished_with_llm
from autointerp.llm import ChatModel, ClientOptions, CostLog, Spent
from autointerp.llm.batch_model import BatchOptions
from autointerp.pipeline import (
    JobVariants,
    Tools,
    check_job,
    check_n_units,
    check_packages,
    rules_fill_up,
    with_stored_names,
)
from autointerp.settings import Settings
from autointerp.store.run_folder import RunFolder
from autointerp.subjects import (
    HookUnits,
    SubjectModel,
    load_subject,
    parse_units,
    reading_notes,
)
from autointerp.wiring.collection_runs import load_job_corpus, neuron_kind_of
from autointerp.wiring.earlier_collections import collected_summary, collection_file
from autointerp.wiring.job_room import FreeRoom, is_on_cpu, state_needs
from autointerp.wiring.llms import (
    COST_LOG_FILE,
    JobBudget,
    counter_of,
    named_job,
    open_llm,
    try_echo,
    units_at_once,
)
from autointerp.wiring.tools import build_tools, note_cost, reach_note, units_left
from autointerp.wiring.units_beforehand import check_units_beforehand


def run_job(  # noqa: PLR0913 - a job, a folder and how to go about it
    job: JobSpec,
    *,
    out: Path,
    resume: bool,
    settings: Settings,
    progress: Progress,
    options: ClientOptions | None = None,
    batch_options: BatchOptions | None = None,
    budget: Budget | None = None,
    collected: Path | None = None,
    keep_collection: bool = False,
) -> RunReport:
    """Runs a labelling job into a folder and leaves a feature dictionary there.

    Where a collection was made before, `collected` is its folder: no text is read for another.
    The run's own is removed when every label is finished, if it is large and not to be kept.

    Raises:
        InputError: the job or the folder is wrong.
        UpstreamError: the LLM cannot be used; finished labels are kept.
        StorageError: the disk refuses; finished labels are kept.
    """
    check_job(job)
    check_packages(job)
    check_corpus(job.corpus.corpus)
    check_units_beforehand(job.units, job.subject, settings)
    job = with_stored_names(job)
    if collected is not None:
        collection_file(collected)
    named = named_job(job, settings)
    with RunFolder.open(out, job, resume=resume) as run:
        job_budget = JobBudget(budget or Budget(), run.folder)
        if JobVariants.of(job).need(Need.ECHO):
            try_echo(job, settings, options=options, budget=job_budget)
        n_done = run.store.count()
        state_needs(
            job,
            run.folder,
            None if n_done else progress.note,
            room=FreeRoom.of(run.folder),
            on_cpu=is_on_cpu(settings.device),
            n_done=n_done,
        )
        limited = _limited(named, job_budget)
        opens = partial(
            open_llm,
            job,
            settings,
            options=options,
            batch_options=batch_options,
            budget=job_budget,
            progress=progress,
        )
        prepared = replace(
            _loaded(job, settings, progress, folder=collected or run.folder),
            open_llm=opened_if_needed(job, opens),
            at_once=units_at_once(job, settings, options, job_budget),
            recording=run.folder / "activations",
            limited=limited,
        )
        summary = _collected(collected, prepared)
        _note_cost_of_the_rest(named, job_budget, prepared.units, run, limited, progress)
        report = run_labels(
            prepared,
            run.store,
            progress=progress,
            checkpoint=run.summary / "summary.safetensors",
            collected=summary,
        )
        # What a run that was finished before had kept stays.
        was_whole = (run.folder / MANIFEST).exists() and not report.has_new
        _add_costs_and_write(run, report, progress)
        if report.is_whole and not (keep_collection or was_whole):
            _let_go_of_collection(run, progress)
    report.folder = out
    return report


def _loaded(job: JobSpec, settings: Settings, progress: Progress, *, folder: Path) -> LabelJob:
    """The job's model, units and text; an earlier collection in the folder says what units are."""
    progress.note(f"loading {job.subject}")
    subject = load_subject(
        job.subject, dtype=job.dtype, device=settings.device, cache_dir=settings.cache_dir
    )
    units, notes = units_of(
        job, subject, neuron_kind_of(folder, subject), progress, n_ctx=job.corpus.n_ctx
    )
    return LabelJob(
        spec=job,
        subject=subject,
        units=units,
        notes=notes,
        corpus=load_job_corpus(job.corpus, subject, progress),
        open_llm=lambda: None,
        build_tools=tools_builder(job, settings),
    )


def _collected(folder: Path | None, job: LabelJob) -> Summary | None:
    """What `folder` holds of the job's units, where it is given."""
    if folder is None:
        return None
    return collected_summary(folder, job.subject, job.corpus, job.units, job.spec.collect)


def _limited(job: JobSpec, budget: JobBudget) -> LimitedLlm | None:
    """How the job goes about a budget that may end; None where it has none, or has no rules."""
    if not rules_fill_up(job, budget.limits):
        return None
    order = budget.limits.order or "lookup"
    return LimitedLlm(order, partial(reach_note, job, budget), partial(units_left, job, budget))


def _note_cost_of_the_rest(  # noqa: PLR0913, PLR0917 - a job and where it is
    job: JobSpec,
    budget: JobBudget,
    units: Sequence[HookUnits],
    run: RunFolder,
    limited: LimitedLlm | None,
    progress: Progress,
) -> None:
    variants = JobVariants.of(job)
    if variants.need(Need.LLM):
        n_units = sum(len(u.indices) for u in units) * (2 if job.sides == "both" else 1)
        n_left = n_units - n_finished_with_llm(run.store)
        note_cost(job, budget, n_units=n_left, progress=progress)
        if limited is not None and n_left == n_units:
            progress.note(limited.reach(n_units, Spent()))


def _let_go_of_collection(run: RunFolder, progress: Progress) -> None:
    n_bytes = run.remove_large_collection()
    if n_bytes:
        progress.note(
            f"the collection ({n_bytes / 2**20:,.0f} MiB) was removed, as every unit has its "
            "label; --keep-collection would keep it for other runs"
        )


def _add_costs_and_write(run: RunFolder, report: RunReport, progress: Progress) -> None:
    cost_log = run.folder / COST_LOG_FILE
    if report.ledger is None and cost_log.exists():
        report.ledger = CostLog(cost_log).ledger
    if report.provenance is not None:
        now = datetime.now(UTC)
        info = ManifestInfo(run.job, report.provenance, now)
        # What is still damaged was not made in this run: the dictionary goes without it.
        write_dictionary(
            run.folder, run.store, info, lambda error: progress.note(f"left out: {error}")
        )


def units_of(
    job: JobSpec, subject: SubjectModel, kind: str, progress: Progress, *, n_ctx: int
) -> tuple[tuple[HookUnits, ...], tuple[str, ...]]:
    """The units of a job, read in windows of `n_ctx` tokens, and notes of how, which are told."""
    units = parse_units(job.units, subject, seed=job.seed, kind=kind)
    notes = reading_notes(job.units, subject, kind, units, n_ctx=n_ctx)
    for note in notes:
        progress.note(note)
    check_n_units(job, sum(len(u.indices) for u in units))
    return units, notes


def opened_if_needed(
    job: JobSpec, opens: Callable[[], ChatModel | None]
) -> Callable[[], ChatModel | None]:
    """Opens the LLM, or none where nothing of the job asks one."""
    return opens if JobVariants.of(job).need(Need.LLM) else lambda: None


def tools_builder(
    job: JobSpec, settings: Settings
) -> Callable[[ChatModel | None, tuple[UnitId, ...]], Tools]:
    """Builds the job's tools when its LLM is open."""
    return lambda model, pool: build_tools(job, model, pool=pool, counter=counter_of(job, settings))
