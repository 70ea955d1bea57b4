"""Explaining and scoring files of records: no subject model is loaded."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Generic, TypeVar

from autointerp.core.asynchrony import run_coroutine
from autointerp.core.config import EMBEDDED, NO_LLM, JobSpec, ScoreConfig
from autointerp.core.errors import InputError
from autointerp.core.explanations import Label
from autointerp.core.files import read_file
from autointerp.core.progress import Progress
from autointerp.core.variants import Need, refuse_unmet
from autointerp.dictionary import open_dictionary
from autointerp.dictionary.neuron_record_import.parsing import read_record_file, records_path
from autointerp.dictionary.neuron_record_import.record_file import RecordFile
from autointerp.llm import ChatModel, TotalUsage
from autointerp.pipeline import (
    JobVariants,
    LlmAnswers,
    Tools,
    check_explicit,
    check_job,
    check_packages,
)
from autointerp.pipeline.given_explanation import given_explanation, scoring_job
from autointerp.pipeline.imported_units import (
    ExplainedFile,
    ScoredFile,
    explain_records,
    score_records,
)
from autointerp.settings import Settings
from autointerp.store.labels import FolderLabelStore
from autointerp.wiring.llms import counter_of, open_llm
from autointerp.wiring.tools import build_tools

T = TypeVar("T")

_ALL_WINDOWS = 10_000
_NO_SUBJECT = dict.fromkeys(
    (Need.SUBJECT, Need.NEGATIVES, Need.INPUTS, Need.LOGIT_EFFECTS),
    "files of records come without the subject model and its text",
)


@dataclass(frozen=True, slots=True)
class FileResults(Generic[T]):
    """The results of several files."""

    done: tuple[T, ...]
    """In the order of the files."""
    refused: Mapping[Path, str]
    """Files that could not be used, each with the reason."""
    usage: TotalUsage
    llm: str | None
    """Name of the LLM; None where none was used."""
    asked_without: tuple[str, ...] = ()
    """What the LLM was found not to take, in words."""
    notes: tuple[str, ...] = ()
    """Sentences about what the LLM was found to do."""
    llm_failure: str | None = None
    """Why the first question to the LLM failed, where every one did."""


def explain_files(
    paths: Sequence[Path], job: JobSpec, settings: Settings, *, progress: Progress | None = None
) -> FileResults[ExplainedFile]:
    """Candidate explanations for the unit of each file, tried on its validation records.

    The job's subject and units are not used. Progress hears of an LLM that is waited for.

    Raises:
        InputError: there is no such explainer or scorer, or the only file cannot be used.
        UpstreamError: the LLM cannot be used.
    """
    check_job(job)
    variants = JobVariants.of(job)
    refuse_unmet("explainer", variants.explainers, _NO_SUBJECT)
    files, refused = _read(paths, job)
    needed = bool(files) and variants.need(Need.LLM)
    model = open_llm(job, settings, progress=progress) if needed else None
    answers = LlmAnswers()
    results = _results(
        lambda: explain_records(files, job, _tools(job, model, settings), progress), model, refused
    )
    for explained in results.done:
        answers.add_selection(explained.selection)
    return replace(results, llm_failure=answers.failure)


def score_files(
    paths: Sequence[Path],
    job: JobSpec,
    settings: Settings,
    *,
    explanation: str | None,
    program: str | None = None,
    progress: Progress | None = None,
) -> FileResults[ScoredFile]:
    """The scores of an explanation or a program on each file's held-out records.

    Each file's own explanation where neither is given. The job's subject and units are not used.
    What is given is scored on all records unless the job says on how many, and compared with the
    label of the unit where the file is a run's or a dictionary's.

    Raises:
        InputError: there is no such explainer or scorer, the only file cannot be used, or an
            explanation in words is to be scored without an LLM.
        UpstreamError: the LLM cannot be used.
    """
    given = None
    if explanation is not None or program is not None:
        given = given_explanation(explanation, program, explainer="given")
        if "n_heldout" not in job.score.model_fields_set:
            score = job.score.model_copy(update={"n_heldout": _ALL_WINDOWS})
            job = job.model_copy(update={"score": score})
    check_job(job if given is None else scoring_job(job, (given,)))
    files, refused = _read(paths, job)
    pairs = []
    for file in files:
        scored = given or file.explanation
        if scored is not None:
            pairs.append((file, scored))
        elif len(paths) == 1:
            raise InputError(_unexplained(file))
        else:
            refused[file.path] = _unexplained(file)
    in_words = any(not scored.needs_no_llm for _, scored in pairs)
    job = scoring_job(job, [scored for _, scored in pairs])
    check_packages(job)
    further = JobVariants.of(job).further
    refuse_unmet("scorer", further, _NO_SUBJECT)
    if in_words and job.llm == NO_LLM and not further:
        raise InputError(
            "an explanation in words is scored by an LLM: add --llm embedded or an endpoint, "
            "--scorer embedding, or write it as a program (--program)"
        )
    needed = bool(pairs) and job.llm != NO_LLM
    model = open_llm(job, settings, progress=progress) if needed else None
    answers = LlmAnswers()
    results = _results(
        lambda: score_records(pairs, job, _tools(job, model, settings), model, progress),
        model,
        refused,
    )
    for one in results.done:
        answers.add_results(one.label.results)
    return replace(results, llm_failure=answers.failure)


def unit_files(folder: Path, unit: str) -> tuple[Path, ...]:
    """The names of a unit's records in a dictionary, one a side, for `read_record_file`.

    The unit is named as for `Dictionary.find`: ``5:131``.

    Raises:
        InputError: there is no dictionary, no label of the unit, or no records of it.
    """
    labels = open_dictionary(folder).find(unit)
    sides = FolderLabelStore(folder).sides_with_sets()
    there = [x for x in labels if (x.unit.hook, x.unit.index, x.side) in sides]
    if not there:
        raise InputError(f"{folder} has no records of {unit}: {labels[0].reason or 'none kept'}")
    return tuple(records_path(folder, label.unit, label.side) for label in there)


def read_program(path: Path) -> str:
    """The source of a program in a file.

    Raises:
        InputError: it cannot be read, is not text, or is too large for a program.
    """
    data = read_file(path) if path.is_file() else None
    if data is None:
        raise InputError(
            f"there is no file {path}; name a text file of a program, with one rule on each line"
        )
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8 text; name a file with a program") from error


def score_explanation(  # noqa: PLR0913 - a convenience for notebooks
    folder: Path | str,
    unit: str,
    text: str | None = None,
    *,
    program: str | None = None,
    llm: str = EMBEDDED,
    llm_model: str | None = None,
    score: ScoreConfig | None = None,
    settings: Settings | None = None,
) -> list[Label]:
    """The scores of an explanation of your own on all held-out windows of a labelled unit.

    Each label has the results of its scorers; ``over_label`` is the paired difference to the
    unit's own label on the same windows.

    Args:
        folder: of a dictionary, which a run leaves.
        unit: ``5:131`` or ``blocks.5.mlp.hook_post/131``; one label a side comes back.
        text: the explanation in words.
        program: in its place the source of a program, see `programs.language`; needs no LLM.
        llm: ``embedded``, ``none`` or the base URL of an OpenAI-compatible endpoint.
        llm_model: model at that endpoint.
        score: how it is scored; all held-out windows unless it says on how many.
        settings: from the environment where None.

    Raises:
        InputError: neither a text nor a program was given, or something cannot be done as asked.
        UpstreamError: the LLM cannot be used.
    """
    given_explanation(text, program, explainer="given")
    spec = JobSpec(
        subject="records",
        units="records",
        score=score or ScoreConfig(),
        llm=llm,
        llm_model=llm_model,
    )
    check_explicit(spec)
    files = unit_files(Path(folder), unit)
    known = settings or Settings()
    results = score_files(files, spec, known, explanation=text, program=program)
    return [one.label for one in results.done]


def _tools(job: JobSpec, model: ChatModel | None, settings: Settings) -> Tools:
    return build_tools(job, model, counter=counter_of(job, settings))


def _unexplained(file: RecordFile) -> str:
    return f"{file.path} holds no explanation; add the one to score with --explanation or --program"


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


def _results(
    work: Callable[[], Awaitable[tuple[T, ...]]],
    model: ChatModel | None,
    refused: Mapping[Path, str],
) -> FileResults[T]:
    done: list[tuple[T, ...]] = []

    async def run() -> None:
        try:
            done.append(await work())
        finally:
            if model is not None:
                await model.close()

    run_coroutine(run())
    if model is None:
        return FileResults(done[0], refused, TotalUsage(), None)
    features = model.features
    return FileResults(
        done[0], refused, model.total_usage, model.name, features.asked_without, features.notes
    )
