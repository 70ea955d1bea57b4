"""What ``explain`` and ``score`` do with files of records: no subject model is loaded."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Generic, TypeVar

from autointerp.cli.file_scores import without_population
from autointerp.cli.options import JobOptions, job_of
from autointerp.core.asynchrony import for_each, run_to_the_end
from autointerp.core.config import JobSpec
from autointerp.core.errors import InputError
from autointerp.core.explanations import Candidate, Explanation, Provenance
from autointerp.core.labels import Label
from autointerp.core.version import VERSION
from autointerp.dictionary.foreign_records import read_record_file
from autointerp.dictionary.foreign_values import RecordFile
from autointerp.llm import ChatModel, TotalUsage
from autointerp.pipeline import Case, Chosen, Tools, choose_explanation, label_case
from autointerp.settings import Settings
from autointerp.wiring import (
    EXPLAINERS,
    SCORERS,
    asks_an_llm,
    build_tools,
    counter_of,
    open_llm,
)

_AT_ONCE = 4
_NO_LLM_EXPLAINERS = ("token_lookup",)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Explained:
    """A file and what its unit was explained as."""

    file: RecordFile
    chosen: Chosen

    @property
    def failure(self) -> str | None:
        """Why there is no explanation, None where there is one or there is no pattern."""
        if self.chosen.candidates or self.chosen.found_no_pattern or not self.chosen.failures:
            return None
        return f"no explanation could be had: {self.chosen.failures[0]}"


@dataclass(frozen=True, slots=True)
class Scored:
    """A file and its label."""

    file: RecordFile
    label: Label


@dataclass(frozen=True, slots=True)
class Outcome(Generic[T]):
    """What came of the files."""

    done: tuple[T, ...]
    """In the order of the files."""
    refused: Mapping[Path, str]
    """Files that could not be used, each with the reason."""
    usage: TotalUsage
    llm: str | None


def file_job(options: JobOptions, settings: Settings) -> JobSpec:
    """The job that the options stand for; its subject and units are no ones.

    Raises:
        InputError: a value that cannot be, or no such explainer or scorer.
    """
    job = job_of(replace(options, subject="records", units="records"), settings)
    asked = (
        ("explainer", job.explain.explainers, {*EXPLAINERS, *_NO_LLM_EXPLAINERS}),
        ("scorer", job.score.scorers, set(SCORERS)),
    )
    for kind, names, known in asked:
        unknown = [name for name in names if name not in known]
        if unknown:
            msg = f"unknown {kind} {unknown[0]!r}; there are {', '.join(sorted(known))}"
            raise InputError(msg)
    return job


def explain_files(paths: Sequence[Path], job: JobSpec, settings: Settings) -> Outcome[Explained]:
    """Candidates for the unit of each file, tried on its validation records.

    Raises:
        InputError: the only file cannot be used.
        UpstreamError: the LLM cannot be used.
    """
    files, refused = _read(paths, job)
    model = open_llm(job, settings) if files and asks_an_llm(job) else None
    done, usage = _run(
        lambda: explained_with(
            files, job, build_tools(job, model, counter=counter_of(job, settings))
        ),
        model,
    )
    return Outcome(done, refused, usage, model.name if model else None)


def score_files(
    paths: Sequence[Path], job: JobSpec, settings: Settings, *, explanation: str | None
) -> Outcome[Scored]:
    """The scores of an explanation on each file's held-out records.

    Args:
        paths: the files.
        job: scorers and LLM.
        settings: of the LLM.
        explanation: what is scored; each file's own where None.

    Raises:
        InputError: the only file cannot be used; words are to be scored without an LLM.
        UpstreamError: the LLM cannot be used.
    """
    files, refused = _read(paths, job)
    pairs = []
    for file in files:
        said = _given(explanation) if explanation is not None else file.explanation
        if said is not None:
            pairs.append((file, said))
        elif len(paths) == 1:
            raise InputError(_unexplained(file))
        else:
            refused[file.path] = _unexplained(file)
    in_words = [said for _, said in pairs if not (said.rules or said.program)]
    further = set(job.score.scorers) - {"simulation"}
    model = open_llm(job, settings) if in_words or (pairs and further) else None
    if model is None and in_words:
        msg = "an explanation in words is scored by an LLM: give --llm embedded or an endpoint"
        raise InputError(msg)
    counter = counter_of(job, settings)
    done, usage = _run(
        lambda: scored_with(pairs, job, build_tools(job, model, counter=counter), model), model
    )
    return Outcome(done, refused, usage, model.name if model else None)


def case_of(file: RecordFile, job: JobSpec) -> Case:
    """The file's unit as the pipeline takes it."""
    return Case(
        sets=file.sets,
        token_means=file.token_means,
        stats=file.stats,
        tokenizer=file.vocabulary,
        config=job.score,
        seed=job.seed,
    )


async def explained_with(
    files: Sequence[RecordFile], job: JobSpec, tools: Tools
) -> tuple[Explained, ...]:
    """The files explained by these explainers."""

    async def explain(number: int) -> Explained:
        return Explained(
            files[number], await choose_explanation(case_of(files[number], job), tools)
        )

    done = await for_each(range(len(files)), explain, at_once=_AT_ONCE)
    return tuple(done.values())


async def scored_with(
    pairs: Sequence[tuple[RecordFile, Explanation]],
    job: JobSpec,
    tools: Tools,
    model: ChatModel | None,
) -> tuple[Scored, ...]:
    """The files scored; other files' explanations are the chance level of each."""

    async def score(number: int) -> Scored:
        file, said = pairs[number]
        reason = "not tried: it was given"
        chosen = Chosen((Candidate(said, None, reason, chosen=True),), (), found_no_pattern=False)
        others = [other for _, other in (*pairs[number + 1 :], *pairs[:number])]
        label = await label_case(
            case_of(file, job),
            chosen,
            [other for other in others if other.text != said.text],
            tools,
            _provenance(file, job, tools, model),
        )
        return Scored(file, without_population(label, file.no_population))

    done = await for_each(range(len(pairs)), score, at_once=_AT_ONCE)
    return tuple(done.values())


def _given(text: str) -> Explanation:
    if not text.strip():
        msg = "--explanation is empty; say what the unit responds to"
        raise InputError(msg)
    return Explanation(text.strip(), "given", None, None, None, 0)


def _unexplained(file: RecordFile) -> str:
    return f"{file.path} holds no explanation; say with --explanation what shall be scored"


def _read(paths: Sequence[Path], job: JobSpec) -> tuple[list[RecordFile], dict[Path, str]]:
    if len(paths) == 1:
        return [read_record_file(paths[0], seed=job.seed)], {}
    files, refused = [], {}
    for path in dict.fromkeys(paths):
        try:
            files.append(read_record_file(path, seed=job.seed))
        except InputError as error:
            refused[path] = str(error)
    return files, refused


def _run(
    work: Callable[[], Awaitable[tuple[T, ...]]], model: ChatModel | None
) -> tuple[tuple[T, ...], TotalUsage]:
    """What the work gives, and what the LLM cost; the LLM is closed."""
    found: list[tuple[T, ...]] = []

    async def run() -> None:
        try:
            found.append(await work())
        finally:
            if model is not None:
                await model.close()

    run_to_the_end(run())
    return found[0], model.total_usage if model else TotalUsage()


def _provenance(
    file: RecordFile, job: JobSpec, tools: Tools, model: ChatModel | None
) -> Provenance:
    sets = file.sets
    records = (*sets.explain.records, *sets.validation.records, *sets.held_out.records)
    name = model.name if model else None
    return Provenance(
        package_version=VERSION,
        subject=sets.explain.unit.subject,
        subject_revision="unknown",
        dtype="unknown",
        tokenizer=file.vocabulary.name,
        corpus=file.path.name,
        corpus_hash=file.digest,
        n_tokens=sum(len(record.tokens) for record in records),
        n_ctx=max(len(record.tokens) for record in records),
        seed=job.seed,
        split_hash=file.digest,
        collect_hash=file.digest,
        explainer_model=None,
        scorer_model=name,
        prompts=tools.prompts,
    )
