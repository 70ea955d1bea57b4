"""What ``sanity`` does: reads units, damages labels, scores nulls, asks an LLM about a few."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from autointerp.cli.options import CollectOptions, JobOptions, collect_job_of, job_of
from autointerp.collecting import load_job_corpus
from autointerp.core.config import CollectJob
from autointerp.core.errors import InputError
from autointerp.core.progress import Progress
from autointerp.corpora import TokenCorpus
from autointerp.sanity import (
    HEADLINE,
    SCORE_OF,
    MetricCheck,
    NullRow,
    ReadOptions,
    Separation,
    UnitsRead,
    check_metrics,
    judge_separation,
    null_rows,
    read_units,
)
from autointerp.scorers import Scorer
from autointerp.settings import Settings
from autointerp.subjects import SubjectModel, load_subject, parse_units
from autointerp.subjects.random_weights import randomize
from autointerp.wiring import SCORERS, build_tools, counter_of, open_llm

_N_UNITS, _N_LAYERS = 300, 5
_LARGEST_SHARE = 0.25
_OPTIONAL = ("simulation_echo", "embedding")
"""Scorers that need what not every endpoint or installation has: only where they are named."""


@dataclass(frozen=True, slots=True)
class SanityJob:
    """What was typed."""

    subject: str
    units: str | None
    corpus: str | None
    n_tokens: int
    n_ctx: int | None
    shares: tuple[str, ...]
    """``best`` or a share of tokens."""
    n_heldout: int
    whole: bool
    n_random_tokens: int
    llm: str
    llm_model: str | None
    n_llm_units: int
    scorers: tuple[str, ...]
    seed: int | None


@dataclass(frozen=True, slots=True)
class SanityFound:
    """What was found."""

    units: str
    n_tokens: int
    n_heldout: int
    n_units: int
    n_dead: int
    checks: Mapping[str, tuple[MetricCheck, ...]]
    """By the share of tokens that labels mark, as it was typed."""
    nulls: tuple[NullRow, ...]
    separations: tuple[Separation, ...]
    seconds: Mapping[str, float] = field(default_factory=dict)
    """By stage, wall clock."""

    @property
    def passed(self) -> bool:
        """Whether the headline fell often enough on drawn windows, for the first kind of label."""
        first = next(iter(self.checks.values()))
        own = [check for check in first if check.metric == HEADLINE]
        return all(check.passed for check in own if check.windows == "drawn")


class _Clock:
    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        started = time.monotonic()
        yield
        self.seconds[name] = self.seconds.get(name, 0.0) + time.monotonic() - started


def run_sanity(job: SanityJob, settings: Settings, *, progress: Progress) -> SanityFound:
    """Every check that was asked for.

    Raises:
        InputError: something cannot be done as asked.
        UpstreamError: the LLM cannot be used.
    """
    shares = _shares(job)
    _check(job)
    clock = _Clock()
    with clock.stage("load"):
        progress.note(f"loading {job.subject}")
        subject = _subject(job, settings)
        spec = _collection(job, subject)
        corpus = load_job_corpus(spec.corpus, subject)
    with clock.stage("read"):
        read = _read(job, spec, subject, corpus, progress)
    if not read.units:
        msg = f"none of the units {spec.units} activates on enough text; read more tokens"
        raise InputError(msg)
    with clock.stage("metrics"):
        progress.note("damaging labels")
        checks = {name: check_metrics(read, share=share) for name, share in shares.items()}
    separations: tuple[Separation, ...] = ()
    if job.llm != "none":
        with clock.stage("llm"):
            separations = _asked(job, read, settings, progress)
    with clock.stage("random weights"):
        random_read = _random_read(job, spec, settings, progress)
    with clock.stage("nulls"):
        progress.note("scoring nulls")
        nulls = asyncio.run(null_rows(read, random_read))
    return SanityFound(
        units=spec.units,
        n_tokens=corpus.n_tokens,
        n_heldout=job.n_heldout,
        n_units=len(read.units),
        n_dead=read.n_dead,
        checks=checks,
        nulls=nulls,
        separations=separations,
        seconds=clock.seconds,
    )


def _shares(job: SanityJob) -> dict[str, float | None]:
    """Share by what was typed; None for the label that fits best."""
    found: dict[str, float | None] = {}
    for typed in job.shares:
        number = re.fullmatch(r"0?\.\d+", typed)
        if typed != "best" and not (number and 0 < float(typed) <= _LARGEST_SHARE):
            msg = (
                f"--share {typed!r} is neither best nor a part of all tokens above 0 and up to "
                f"{_LARGEST_SHARE}"
            )
            raise InputError(msg)
        found[typed] = float(typed) if number else None
    return found


def _check(job: SanityJob) -> None:
    unknown = [name for name in job.scorers if name not in SCORE_OF]
    if unknown:
        msg = f"scorer {unknown[0]!r} is none of {', '.join(sorted(SCORE_OF))}"
        raise InputError(msg)


def _subject(job: SanityJob, settings: Settings) -> SubjectModel:
    return load_subject(job.subject, device=settings.device, cache_dir=settings.cache_dir)


def _collection(job: SanityJob, subject: SubjectModel) -> CollectJob:
    last = subject.n_layers - 1
    layers = dict.fromkeys(i * last // (_N_LAYERS - 1) for i in range(_N_LAYERS))
    spread = f"random:{_N_UNITS}@{','.join(map(str, layers))}"
    options = CollectOptions(
        subject=job.subject,
        units=job.units or spread,
        corpus=job.corpus,
        tokens=job.n_tokens,
        n_ctx=job.n_ctx,
        seed=job.seed,
    )
    return collect_job_of(options)


def _read(
    job: SanityJob,
    spec: CollectJob,
    subject: SubjectModel,
    corpus: TokenCorpus,
    progress: Progress,
) -> UnitsRead:
    options = ReadOptions(n_heldout=job.n_heldout, whole=job.whole, seed=spec.seed)
    units = parse_units(spec.units, subject, seed=spec.seed)
    return read_units(subject, corpus, units, options, progress=progress)


def _random_read(
    job: SanityJob, spec: CollectJob, settings: Settings, progress: Progress
) -> UnitsRead | None:
    """The same units of the same architecture, which has learned nothing."""
    if not job.n_random_tokens:
        return None
    progress.note("the same with random weights")
    subject = randomize(_subject(job, settings), seed=spec.seed)
    n_tokens = min(job.n_random_tokens, job.n_tokens)
    corpus = load_job_corpus(spec.corpus.model_copy(update={"n_tokens": n_tokens}), subject)
    return _read(replace(job, whole=False), spec, subject, corpus, progress)


def _asked(
    job: SanityJob, read: UnitsRead, settings: Settings, progress: Progress
) -> tuple[Separation, ...]:
    names = job.scorers or tuple(name for name in SCORE_OF if name not in _OPTIONAL)
    options = JobOptions(
        units="sanity",
        llm=job.llm,
        llm_model=job.llm_model,
        seed=job.seed,
        scorer=tuple(name for name in names if name in SCORERS),
    )
    spec = job_of(options, settings)
    progress.note(f"asking {job.llm} about {job.n_llm_units} units")
    model = open_llm(spec, settings)

    async def ask() -> tuple[Separation, ...]:
        try:
            tools = build_tools(spec, model, counter=counter_of(spec, settings))
            built = (tools.simulation, *tools.further)
            scorers: dict[str, Scorer] = {
                scorer.name: scorer
                for scorer in built
                if scorer is not None and scorer.name in names
            }
            return await judge_separation(
                scorers, read, n_units=job.n_llm_units, n_windows=spec.score.n_heldout
            )
        finally:
            if model is not None:
                await model.close()

    return asyncio.run(ask())
