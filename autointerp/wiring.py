"""The one place that builds concrete parts: subjects, corpora, LLMs, explainers, scorers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from autointerp.collecting import load_job_corpus
from autointerp.core.config import ExplainConfig, JobSpec, ScoreConfig
from autointerp.core.errors import InputError
from autointerp.core.labels import Label, LabelStatus
from autointerp.core.packaged import SMOLLM2_GGUF
from autointerp.core.progress import Progress, SilentProgress
from autointerp.corpora import TokenCorpus
from autointerp.dictionary import ManifestInfo, write_dictionary
from autointerp.explainers import Explainer, TokenActivation, TokenLookup
from autointerp.jobs import LabelJob, RunReport, run_labels
from autointerp.llm import (
    CachedModel,
    ChatModel,
    ClientOptions,
    OpenAICompatible,
    TotalUsage,
    start_embedded_pool,
)
from autointerp.pipeline import Tools
from autointerp.scorers import Detection, Scorer, Simulation
from autointerp.settings import Settings
from autointerp.store import MemoryStore, RunFolder
from autointerp.subjects import SubjectModel, load_subject, parse_units

__all__ = [
    "EXPLAINERS",
    "SCORERS",
    "RunOutcome",
    "asks_an_llm",
    "build_tools",
    "label",
    "open_llm",
    "run_job",
]

EMBEDDED = "embedded"
NO_LLM = "none"

EXPLAINERS: Mapping[str, Callable[[ChatModel, ExplainConfig, int], Explainer]] = {
    "token_activation": lambda model, config, seed: TokenActivation(model, config, seed=seed),
}
"""Explainers that ask an LLM; `TokenLookup` needs none."""

SCORERS: Mapping[str, Callable[[ChatModel, ScoreConfig], Scorer]] = {
    "simulation": lambda model, config: Simulation(model, version=config.prompt),
    "detection": lambda model, _config: Detection(model),
}
"""Scorers that ask an LLM; rules and the lookup baseline always run."""


@dataclass(frozen=True, slots=True)
class RunOutcome:
    """What came of a job."""

    folder: Path
    """The run's folder, which is the feature dictionary."""
    report: RunReport

    @property
    def labels(self) -> tuple[Label, ...]:
        """Every label of the job, in job order."""
        return self.report.labels

    @property
    def n_by_status(self) -> Mapping[LabelStatus, int]:
        """How many labels ended how."""
        return self.report.n_by_status

    @property
    def n_reused(self) -> int:
        """Labels that were there already."""
        return self.report.n_reused

    @property
    def seconds_by_stage(self) -> Mapping[str, float]:
        """Wall-clock seconds by stage."""
        return self.report.seconds_by_stage

    @property
    def usage(self) -> TotalUsage:
        """What the LLM cost this time."""
        return self.report.usage


def run_job(
    job: JobSpec,
    *,
    out: Path,
    resume: bool,
    settings: Settings,
    progress: Progress,
    options: ClientOptions | None = None,
) -> RunOutcome:
    """Runs a labelling job into a folder and leaves a feature dictionary there.

    Args:
        job: what to do.
        out: the folder.
        resume: continue a run that has labels there.
        settings: device, cache folder and the endpoint's key.
        progress: told about every stage.
        options: waits and limits of an endpoint; from the settings where None.

    Raises:
        InputError: the job or the folder is wrong.
        UpstreamError: the LLM cannot be used; finished labels are kept.
        StorageError: the disk refuses; finished labels are kept.
    """
    _check_names(job)
    with RunFolder.open(out, job, resume=resume) as run:
        progress.note(f"loading {job.subject}")
        subject = load_subject(
            job.subject,
            dtype=job.dtype,
            device=settings.device,
            cache_dir=settings.cache_dir,
        )
        units = parse_units(job.units, subject, seed=job.seed)
        corpus = load_job_corpus(job.corpus, subject)
        prepared = LabelJob(
            spec=job,
            subject=subject,
            corpus=corpus,
            units=units,
            open_llm=lambda: open_llm(job, settings, options=options) if asks_an_llm(job) else None,
            build_tools=lambda model: build_tools(job, model),
        )
        checkpoint = run.summary / "summary.safetensors"
        report = run_labels(prepared, run.store, progress=progress, checkpoint=checkpoint)
        if report.provenance is not None:
            now = datetime.now(UTC)
            write_dictionary(run.folder, run.store, ManifestInfo(job, report.provenance, now))
    return RunOutcome(out, report)


def label(  # noqa: PLR0913 - a convenience for notebooks
    subject: SubjectModel,
    *,
    units: str,
    corpus: TokenCorpus,
    llm: str | ChatModel = EMBEDDED,
    llm_model: str | None = None,
    explain: ExplainConfig | None = None,
    score: ScoreConfig | None = None,
    seed: int = 0,
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
        explain: how explanations are asked for.
        score: how they are scored.
        seed: of every random choice.
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
        explain=explain or ExplainConfig(),
        score=score or ScoreConfig(),
        llm=llm if isinstance(llm, str) else llm.name,
        llm_model=llm_model,
        seed=seed,
    )
    _check_names(spec)
    known = settings or Settings()
    job = LabelJob(
        spec=spec,
        subject=subject,
        corpus=corpus,
        units=parse_units(units, subject, seed=seed),
        open_llm=lambda: _given_or_opened(given, spec, known),
        build_tools=lambda model: build_tools(spec, model),
    )
    report = run_labels(job, MemoryStore(), progress=progress or SilentProgress())
    return list(report.labels)


def open_llm(
    job: JobSpec, settings: Settings, *, options: ClientOptions | None = None
) -> ChatModel | None:
    """The job's LLM behind the reply cache; None for ``none``.

    Args:
        job: names the LLM.
        settings: cache folder, key, and the model where the job names none.
        options: waits and limits of an endpoint; from the settings where None.

    Raises:
        InputError: neither a known name nor a URL; or a URL without a model.
    """
    replies = settings.cache_dir / "replies"
    if job.llm == NO_LLM:
        return None
    if job.llm == EMBEDDED:
        embedded = start_embedded_pool()
        identity = f"embedded:{SMOLLM2_GGUF.package}=={SMOLLM2_GGUF.version}"
        return CachedModel(embedded, replies, identity=identity)
    if not job.llm.startswith(("http://", "https://")):
        msg = f"llm {job.llm!r} is neither embedded, none nor a URL such as https://host/v1"
        raise InputError(msg)
    name = job.llm_model or settings.llm_model
    if not name:
        msg = f"which model at {job.llm}? Add --llm-model or set AUTOINTERP_LLM_MODEL"
        raise InputError(msg)
    key = settings.llm_api_key
    client = OpenAICompatible(
        job.llm,
        name,
        api_key=key.get_secret_value() if key is not None else None,
        options=options or ClientOptions(max_in_flight=settings.llm_max_in_flight or 8),
    )
    return CachedModel(client, replies, identity=f"{job.llm}:{name}")


def build_tools(job: JobSpec, model: ChatModel | None) -> Tools:
    """The explainers and scorers of a job; those that ask an LLM only where there is one."""
    explainers: list[Explainer] = []
    prompts = []
    if model is not None:
        for name in job.explain.explainers:
            if name in EXPLAINERS:
                explainer = EXPLAINERS[name](model, job.explain, job.seed)
                explainers.append(explainer)
                if isinstance(explainer, TokenActivation):
                    prompts.append(explainer.template.ref)
    if model is None or TokenLookup.name in job.explain.explainers:
        explainers.append(TokenLookup())
    simulation = SCORERS["simulation"](model, job.score) if model is not None else None
    further = tuple(
        SCORERS[name](model, job.score)
        for name in job.score.scorers
        if model is not None and name != "simulation"
    )
    for scorer in (simulation, *further):
        if scorer is not None:
            prompts += scorer.prompts
    return Tools(tuple(explainers), simulation, further, tuple(prompts))


def _given_or_opened(
    given: ChatModel | None, spec: JobSpec, settings: Settings
) -> ChatModel | None:
    if given is not None:
        return given
    return open_llm(spec, settings) if asks_an_llm(spec) else None


def asks_an_llm(job: JobSpec) -> bool:
    """Whether anything in the job asks an LLM; rules are judged by a program."""
    further = set(job.score.scorers) - {"simulation"}
    return bool(further) or any(name in EXPLAINERS for name in job.explain.explainers)


def _check_names(job: JobSpec) -> None:
    known = {
        "explainer": ({*EXPLAINERS, TokenLookup.name}, job.explain.explainers),
        "scorer": (set(SCORERS), job.score.scorers),
    }
    for kind, (names, asked) in known.items():
        unknown = [name for name in asked if name not in names]
        if unknown:
            msg = f"unknown {kind} {unknown[0]!r}; there are {', '.join(sorted(names))}"
            raise InputError(msg)
