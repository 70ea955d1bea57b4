"""The sanity checks of one subject model: damaged labels, wrong labels, scorers that ask an LLM."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from autointerp.activations.sentence_encoder import load_embedder
from autointerp.core.addresses import shown_address
from autointerp.core.config import NO_LLM, CorpusConfig, JobSpec
from autointerp.core.errors import InputError
from autointerp.core.progress import Progress, timed
from autointerp.core.variants import Need, refuse_unmet
from autointerp.corpora import TokenCorpus, check_corpus
from autointerp.sanity.known_units import ReadOptions, UnitsRead, read_units
from autointerp.sanity.metric_checks import HEADLINE, MetricCheck, check_metrics
from autointerp.sanity.nulls import NullRow, Separation, judge_separation, null_rows
from autointerp.scorers import SCORERS, ScorerDependencies, ScorerSpec
from autointerp.settings import Settings
from autointerp.subjects import SubjectModel, load_subject, parse_units
from autointerp.subjects.subject_loading import randomize
from autointerp.wiring.collection_runs import load_job_corpus
from autointerp.wiring.llms import counter_of, open_llm
from autointerp.wiring.units_beforehand import check_units_beforehand

_N_UNITS, _N_LAYERS = 300, 5
_LARGEST_SHARE = 0.25


@dataclass(frozen=True, slots=True)
class SanityJob:
    """What is checked, on which model and text."""

    subject: str
    units: str | None
    """None for a random choice over five layers."""
    corpus: CorpusConfig
    seed: int
    shares: tuple[str, ...]
    """``best`` or a share of tokens."""
    n_heldout: int
    """Held-out windows drawn for each unit."""
    whole: bool
    """Whether to check metrics over all held-out windows as well."""
    n_random_tokens: int
    """Tokens read through random weights; 0 for none."""
    llm: JobSpec | None
    """Names the LLM that scorers ask; None where no LLM is used."""
    n_llm_units: int
    """Units that an LLM is asked about."""
    scorers: tuple[str, ...]
    """Of those that ask an LLM; empty for all that need nothing else."""


@dataclass(frozen=True, slots=True)
class SanityReport:
    """The results of the sanity checks."""

    units: str
    n_tokens: int
    n_heldout: int
    n_units: int
    n_dead: int
    checks: Mapping[str, tuple[MetricCheck, ...]]
    """By the share of tokens that labels mark, as the job names it."""
    nulls: tuple[NullRow, ...]
    separations: tuple[Separation, ...]
    seconds: Mapping[str, float] = field(default_factory=dict)
    """Wall clock, by stage."""

    @property
    def passed(self) -> bool:
        """Whether the headline fell often enough on drawn windows, for the first kind of label."""
        first = next(iter(self.checks.values()))
        own = [check for check in first if check.metric == HEADLINE]
        return all(check.passed for check in own if check.windows == "drawn")


def run_sanity(job: SanityJob, settings: Settings, *, progress: Progress) -> SanityReport:
    """The results of every check of the job.

    Raises:
        InputError: the job cannot be done as asked.
        UpstreamError: the LLM cannot be used.
    """
    shares = _shares(job)
    specs = _scorers(job)
    check_corpus(job.corpus.corpus)
    if job.units is not None:
        check_units_beforehand(job.units, job.subject, settings)
    seconds: dict[str, float] = {}
    stage = partial(timed, seconds=seconds)
    with stage("load"):
        progress.note(f"loading {job.subject}")
        subject = _subject(job, settings)
        job = replace(job, units=job.units or _spread_units(subject))
        corpus = load_job_corpus(job.corpus, subject, progress)
    with stage("read"):
        read = _read(job, subject, corpus, progress)
    if not read.units:
        msg = f"none of the units {job.units} activates on enough text; read more tokens"
        raise InputError(msg)
    with stage("metrics"):
        progress.note("damaging labels")
        checks = {name: check_metrics(read, share=share) for name, share in shares.items()}
    separations: tuple[Separation, ...] = ()
    if specs:
        with stage("llm"):
            separations = _separations(job, specs, read, settings, progress)
    with stage("random weights"):
        random_read = _random_read(job, settings, progress)
    with stage("nulls"):
        progress.note("scoring nulls")
        nulls = asyncio.run(null_rows(read, random_read))
    return SanityReport(
        units=job.units or "",
        n_tokens=corpus.n_tokens,
        n_heldout=job.n_heldout,
        n_units=len(read.units),
        n_dead=read.n_dead,
        checks=checks,
        nulls=nulls,
        separations=separations,
        seconds=seconds,
    )


def _shares(job: SanityJob) -> dict[str, float | None]:
    """Each share as a number, by its name; None for the label that fits best."""
    result: dict[str, float | None] = {}
    for name in job.shares:
        number = re.fullmatch(r"0?\.\d+", name)
        if name != "best" and not (number and 0 < float(name) <= _LARGEST_SHARE):
            raise InputError(
                f"--share must be best or a share of all tokens above 0 and up to "
                f"{_LARGEST_SHARE}, found {name!r}"
            )
        result[name] = float(name) if number else None
    return result


def _scorers(job: SanityJob) -> tuple[ScorerSpec, ...]:
    """The scorers that the job names; all that need nothing but an LLM where it names none."""
    able = {spec.name: spec for spec in SCORERS if spec.judges_windows}
    if not job.scorers:
        usual = (s for s in able.values() if Need.ECHO not in s.needs and s.package is None)
        return () if job.llm is None else tuple(usual)
    unknown = [name for name in job.scorers if name not in able]
    if unknown:
        raise InputError(f"unknown scorer {unknown[0]!r}; sanity checks {', '.join(sorted(able))}")
    chosen = tuple(able[name] for name in job.scorers)
    if job.llm is None:
        refuse_unmet("scorer", chosen, {Need.LLM: "llm is none"})
    return chosen


def _subject(job: SanityJob, settings: Settings) -> SubjectModel:
    return load_subject(job.subject, device=settings.device, cache_dir=settings.cache_dir)


def _spread_units(subject: SubjectModel) -> str:
    last = subject.n_layers - 1
    layers = dict.fromkeys(i * last // (_N_LAYERS - 1) for i in range(_N_LAYERS))
    return f"random:{_N_UNITS}@{','.join(map(str, layers))}"


def _read(
    job: SanityJob, subject: SubjectModel, corpus: TokenCorpus, progress: Progress
) -> UnitsRead:
    options = ReadOptions(n_heldout=job.n_heldout, whole=job.whole, seed=job.seed)
    units = parse_units(job.units or "", subject, seed=job.seed)
    return read_units(subject, corpus, units, options, progress=progress)


def _random_read(job: SanityJob, settings: Settings, progress: Progress) -> UnitsRead | None:
    """The same units of the same architecture with random weights."""
    if not job.n_random_tokens:
        return None
    progress.note("the same with random weights")
    subject = randomize(_subject(job, settings), seed=job.seed)
    n_tokens = min(job.n_random_tokens, job.corpus.n_tokens)
    corpus = load_job_corpus(job.corpus.model_copy(update={"n_tokens": n_tokens}), subject)
    return _read(replace(job, whole=False), subject, corpus, progress)


def _separations(
    job: SanityJob,
    specs: Sequence[ScorerSpec],
    read: UnitsRead,
    settings: Settings,
    progress: Progress,
) -> tuple[Separation, ...]:
    asked = job.llm or JobSpec(units=job.units or "", llm=NO_LLM)
    needed = any(Need.LLM in spec.needs for spec in specs)
    model = open_llm(asked, settings, progress=progress) if needed else None
    progress.note(f"asking {shown_address(asked.llm)} about {job.n_llm_units} units")

    async def ask() -> tuple[Separation, ...]:
        try:
            dependencies = ScorerDependencies(
                model, asked.score, counter=counter_of(asked, settings), embedder=load_embedder
            )
            scorers = {spec: spec.build(dependencies) for spec in specs}
            return await judge_separation(
                scorers, read, n_units=job.n_llm_units, n_windows=asked.score.n_heldout
            )
        finally:
            if model is not None:
                await model.close()

    return asyncio.run(ask())
