"""Labelling jobs from beginning to end: into a folder, or in memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from autointerp.core.config import (
    EMBEDDED,
    Budget,
    CollectConfig,
    ExplainConfig,
    JobSpec,
    ScoreConfig,
    SelectConfig,
)
from autointerp.core.explanations import Label
from autointerp.core.ids import UnitId
from autointerp.core.progress import Progress, SilentProgress
from autointerp.core.variants import Need
from autointerp.corpora import TokenCorpus
from autointerp.dictionary import ManifestInfo, write_dictionary
from autointerp.dictionary.manifest import MANIFEST
from autointerp.jobs import LabelJob, LimitedLlm, RunReport, run_labels
from autointerp.jobs.llm_order import n_finished_with_llm
from autointerp.llm import ChatModel, ClientOptions, CostLog, Spent
from autointerp.llm.batch_model import BatchOptions
from autointerp.pipeline import (
    JobVariants,
    Tools,
    check_explicit,
    check_job,
    check_n_units,
    check_packages,
    check_top_windows,
    rules_fill_up,
    with_stored_names,
)
from autointerp.settings import Settings
from autointerp.store.labels import MemoryUnitStore
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
    job = with_stored_names(job)
    if collected is not None:
        collection_file(collected)
    named = named_job(job, settings)
    with RunFolder.open(out, job, resume=resume) as run:
        job_budget = JobBudget(budget or Budget(), run.folder)
        if JobVariants.of(job).need(Need.ECHO):
            try_echo(job, settings, options=options, budget=job_budget)
        state_needs(
            job,
            run.folder,
            None if run.store.count() else progress.note,
            room=FreeRoom.of(run.folder),
            on_cpu=is_on_cpu(settings.device),
            n_done=run.store.count(),
        )
        progress.note(f"loading {job.subject}")
        subject = load_subject(
            job.subject,
            dtype=job.dtype,
            device=settings.device,
            cache_dir=settings.cache_dir,
        )
        kind = neuron_kind_of(collected or run.folder, subject)
        units = _units_of(job, subject, kind, progress)
        corpus = load_job_corpus(job.corpus, subject, progress)
        summary = None
        if collected is not None:
            summary = collected_summary(collected, subject, corpus, units, job.collect)
        limited = _limited(named, job_budget)
        _note_cost_of_the_rest(named, job_budget, units, run, limited, progress)
        opens = partial(
            open_llm,
            job,
            settings,
            options=options,
            batch_options=batch_options,
            budget=job_budget,
            progress=progress,
        )
        prepared = LabelJob(
            spec=job,
            subject=subject,
            corpus=corpus,
            units=units,
            open_llm=_if_needed(job, opens),
            build_tools=_building(job, settings),
            at_once=units_at_once(job, settings, options, job_budget),
            recording=run.folder / "activations",
            limited=limited,
        )
        checkpoint = run.summary / "summary.safetensors"
        report = run_labels(
            prepared, run.store, progress=progress, checkpoint=checkpoint, collected=summary
        )
        # What a run that was finished before had kept stays.
        was_whole = (run.folder / MANIFEST).exists() and not report.has_new
        _add_costs_and_write(run, report, progress)
        if report.is_whole and not (keep_collection or was_whole):
            _let_go_of_collection(run, progress)
    report.folder = out
    return report


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


def label(  # noqa: PLR0913 - a convenience for notebooks
    subject: SubjectModel,
    *,
    units: str,
    corpus: TokenCorpus,
    llm: str | ChatModel = EMBEDDED,
    llm_model: str | None = None,
    collect: CollectConfig | None = None,
    select: SelectConfig | None = None,
    explain: ExplainConfig | None = None,
    score: ScoreConfig | None = None,
    seed: int = 0,
    collected: Path | str | None = None,
    settings: Settings | None = None,
    progress: Progress | None = None,
) -> list[Label]:
    """Labels of a model's units in memory, in the order of the units.

    Args:
        subject: from `load_subject` or `wrap_subject`.
        units: as on the command line, ``5:0-19,7:3``.
        corpus: from `load_corpus`.
        llm: ``embedded``, ``none``, the base URL of an OpenAI-compatible endpoint, or any
            `ChatModel`, which is closed at the end.
        llm_model: model at that endpoint.
        collect: what is kept of each unit while the text is read.
        select: which windows of a unit explainers read and scorers judge.
        explain: how explanations are asked for.
        score: how they are scored.
        seed: of every random choice.
        collected: folder of a collection with the same corpus and settings, in place of another
            pass over the text; made by `autointerp collect` or `autointerp merge`.
        settings: from the environment where None.
        progress: told about every stage.

    Raises:
        InputError: something cannot be done as asked.
        UpstreamError: the LLM cannot be used.
    """
    given = None if isinstance(llm, str) else llm
    spec = JobSpec(
        subject=subject.name,
        units=units,
        collect=collect or CollectConfig(seed=seed),
        select=select or SelectConfig(),
        explain=explain or ExplainConfig(),
        score=score or ScoreConfig(),
        llm=llm if isinstance(llm, str) else llm.name,
        llm_model=llm_model,
        seed=seed,
    )
    check_job(spec)
    check_explicit(spec)
    check_top_windows(spec)
    check_packages(spec)
    spec, known = with_stored_names(spec), settings or Settings()
    progress = progress or SilentProgress()
    if given is None and JobVariants.of(spec).need(Need.ECHO):
        try_echo(spec, known)
    kind = neuron_kind_of(Path(collected), subject) if collected else subject.neuron_kind
    parsed = _units_of(spec, subject, kind, progress)
    summary = None
    if collected is not None:
        summary = collected_summary(Path(collected), subject, corpus, parsed, spec.collect)
    job = LabelJob(
        spec=spec,
        subject=subject,
        corpus=corpus,
        units=parsed,
        open_llm=(lambda: given)
        if given is not None
        else _if_needed(spec, partial(open_llm, spec, known, progress=progress)),
        build_tools=_building(spec, known),
    )
    report = run_labels(job, MemoryUnitStore(), progress=progress, collected=summary)
    return list(report.labels)


def _units_of(
    job: JobSpec, subject: SubjectModel, kind: str, progress: Progress
) -> tuple[HookUnits, ...]:
    """The units of a job, after notes of how they are read."""
    units = parse_units(job.units, subject, seed=job.seed, kind=kind)
    for note in reading_notes(job.units, subject, kind, units):
        progress.note(note)
    check_n_units(job, sum(len(u.indices) for u in units))
    return units


def _if_needed(
    job: JobSpec, opens: Callable[[], ChatModel | None]
) -> Callable[[], ChatModel | None]:
    return opens if JobVariants.of(job).need(Need.LLM) else lambda: None


def _building(
    job: JobSpec, settings: Settings
) -> Callable[[ChatModel | None, tuple[UnitId, ...]], Tools]:
    """Builds the job's tools when its LLM is open."""
    return lambda model, pool: build_tools(job, model, pool=pool, counter=counter_of(job, settings))
