"""Labels in memory, for notebooks."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from autointerp.core.config import (
    EMBEDDED,
    CollectConfig,
    CorpusConfig,
    ExplainConfig,
    JobSpec,
    ScoreConfig,
    SelectConfig,
)
from autointerp.core.errors import InputError, first_problem
from autointerp.core.job_fields import OPTION_PLACES, spelled_out
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
    **options: Any,
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
        options: more of the job by the names of the command line's options, ``tokens=4000``,
            ``scorer="detection"``, ``heldout=20``, ``sides="both"``, beside the parts above.

    Raises:
        InputError: something cannot be done as asked.
        TypeError: an option that is none.
        UpstreamError: the LLM cannot be used.
    """
    given = None if isinstance(llm, str) else llm
    if isinstance(corpus, str):
        text: Any = {"corpus": corpus, "seed": seed}
    else:
        text = corpus if isinstance(corpus, CorpusConfig) else _config_of(corpus)
    spec = _job(
        {
            "subject": subject if isinstance(subject, str) else subject.name,
            "units": units,
            "corpus": text,
            "collect": collect or {"seed": seed},
            "select": select,
            "explain": explain,
            "score": score,
            "llm": llm if isinstance(llm, str) else llm.name,
            "llm_model": llm_model,
            "seed": seed,
        },
        options,
    )
    if not isinstance(corpus, TokenCorpus):
        corpus = spec.corpus
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


_OPTIONS = OPTION_PLACES.keys() - {"subject", "units", "llm", "llm_model", "corpus", "seed"}
# The model is loaded and the text is read whole by whoever asks in Python.
_OPTIONS -= {"dtype", "shard"}


def _job(parts: Mapping[str, Any], options: Mapping[str, Any]) -> JobSpec:
    """The job of these parts, as fields or as they are, and of short names beside them."""
    for name in options.keys() - _OPTIONS:
        near = get_close_matches(name, _OPTIONS, 1) or sorted(_OPTIONS)
        raise TypeError(f"label has no keyword {name!r}; did you mean {', '.join(near)}?")
    whole = {
        name: part.model_dump(exclude_unset=True) if isinstance(part, BaseModel) else part
        for name, part in parts.items()
        if part is not None
    }
    try:
        return JobSpec(**spelled_out({**whole, **options}))
    except ValidationError as error:
        raise InputError(first_problem(error, whole="the job")) from error
    except ValueError as error:
        raise InputError(str(error)) from error


def _config_of(corpus: TokenCorpus) -> CorpusConfig:
    """What reads such a corpus again, as far as it says it."""
    return CorpusConfig(
        corpus=corpus.id,
        n_tokens=max(1, corpus.n_tokens),
        n_ctx=min(max(2, corpus.n_ctx), 4096),
        seed=corpus.seed,
    )
