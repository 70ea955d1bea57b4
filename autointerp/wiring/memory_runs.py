"""Labels in memory, for notebooks."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from autointerp.core.config import (
    EMBEDDED,
    CollectConfig,
    CorpusConfig,
    ExplainConfig,
    JobSpec,
    ScoreConfig,
    SelectConfig,
)
from autointerp.core.progress import Progress, SilentProgress
from autointerp.core.variants import Need
from autointerp.corpora import TokenCorpus, check_corpus
from autointerp.dictionary import LabelledUnits
from autointerp.jobs import LabelJob, run_labels
from autointerp.llm import ChatModel
from autointerp.pipeline import (
    JobVariants,
    check_explicit,
    check_job,
    check_packages,
    check_top_windows,
    with_stored_names,
)
from autointerp.settings import Settings
from autointerp.store.labels import MemoryUnitStore
from autointerp.subjects import SubjectModel, load_subject
from autointerp.wiring.collection_runs import load_job_corpus, neuron_kind_of
from autointerp.wiring.earlier_collections import collected_summary
from autointerp.wiring.llms import open_llm, try_echo
from autointerp.wiring.runs import opened_if_needed, tools_builder, units_of
from autointerp.wiring.units_beforehand import check_units_beforehand


def label(  # noqa: PLR0913 - a convenience for notebooks
    subject: SubjectModel | str,
    *,
    units: str,
    corpus: TokenCorpus | CorpusConfig | str = "wiki",
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
) -> LabelledUnits:
    """Labels of a model's units in memory, in the order of the units, each with its records.

    Args:
        subject: from `load_subject` or `wrap_subject`, or a name as `load_subject` takes it.
        units: as on the command line, ``5:0-19,7:3``.
        corpus: from `load_corpus`; or what that reads, as on the command line or with how much.
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
    if isinstance(corpus, str):
        corpus = CorpusConfig(corpus=corpus, seed=seed)
    spec = JobSpec(
        subject=subject if isinstance(subject, str) else subject.name,
        units=units,
        corpus=corpus if isinstance(corpus, CorpusConfig) else _config_of(corpus),
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
    if isinstance(corpus, CorpusConfig):
        check_corpus(corpus.corpus)
    if isinstance(subject, str):
        check_units_beforehand(units, subject, known)
        progress.note(f"loading {subject}")
        subject = load_subject(subject, device=known.device, cache_dir=known.cache_dir)
    if isinstance(corpus, CorpusConfig):
        corpus = load_job_corpus(corpus, subject, progress)
    kind = neuron_kind_of(Path(collected), subject) if collected else subject.neuron_kind
    parsed, notes = units_of(spec, subject, kind, progress, n_ctx=corpus.n_ctx)
    summary = None
    if collected is not None:
        summary = collected_summary(Path(collected), subject, corpus, parsed, spec.collect)
    job = LabelJob(
        spec=spec,
        subject=subject,
        corpus=corpus,
        units=parsed,
        notes=notes,
        open_llm=(lambda: given)
        if given is not None
        else opened_if_needed(spec, partial(open_llm, spec, known, progress=progress)),
        build_tools=tools_builder(spec, known),
    )
    store = MemoryUnitStore()
    report = run_labels(job, store, progress=progress, collected=summary)
    return LabelledUnits(report.labels, store, spec)


def _config_of(corpus: TokenCorpus) -> CorpusConfig:
    """What reads such a corpus again, as far as it says it."""
    return CorpusConfig(
        corpus=corpus.id,
        n_tokens=max(1, corpus.n_tokens),
        n_ctx=min(max(2, corpus.n_ctx), 4096),
        seed=corpus.seed,
    )
