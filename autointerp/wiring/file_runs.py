"""Explaining and scoring files of records: no subject model is loaded."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Generic, TypeVar

from autointerp.core.asynchrony import run_coroutine
from autointerp.core.config import JobSpec
from autointerp.core.errors import InputError
from autointerp.core.explanations import Explanation
from autointerp.core.variants import Need, refuse_unmet
from autointerp.dictionary.neuron_record_import.parsing import read_record_file
from autointerp.dictionary.neuron_record_import.record_file import RecordFile
from autointerp.llm import ChatModel, TotalUsage
from autointerp.pipeline import JobVariants, LlmAnswers, Tools, check_job, check_packages
from autointerp.pipeline.imported_units import (
    ExplainedFile,
    ScoredFile,
    explain_records,
    score_records,
)
from autointerp.settings import Settings
from autointerp.wiring.llms import counter_of, open_llm
from autointerp.wiring.tools import build_tools

T = TypeVar("T")

_NO_SUBJECT = dict.fromkeys(
    (Need.SUBJECT, Need.NEGATIVES, Need.LOGIT_EFFECTS),
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
    paths: Sequence[Path], job: JobSpec, settings: Settings
) -> FileResults[ExplainedFile]:
    """Candidate explanations for the unit of each file, tried on its validation records.

    The job's subject and units are not used.

    Raises:
        InputError: there is no such explainer or scorer, or the only file cannot be used.
        UpstreamError: the LLM cannot be used.
    """
    check_job(job)
    variants = JobVariants.of(job)
    refuse_unmet("explainer", variants.explainers, _NO_SUBJECT)
    files, refused = _read(paths, job)
    model = open_llm(job, settings) if files and variants.need(Need.LLM) else None
    answers = LlmAnswers()
    results = _results(
        lambda: explain_records(files, job, _tools(job, model, settings)), model, refused
    )
    for explained in results.done:
        answers.add_selection(explained.selection)
    return replace(results, llm_failure=answers.failure)


def score_files(
    paths: Sequence[Path], job: JobSpec, settings: Settings, *, explanation: str | None
) -> FileResults[ScoredFile]:
    """The scores of an explanation on each file's held-out records.

    Each file's own explanation where none is given. The job's subject and units are not used.

    Raises:
        InputError: there is no such explainer or scorer, the only file cannot be used, or an
            explanation in words is to be scored without an LLM.
        UpstreamError: the LLM cannot be used.
    """
    check_job(job)
    check_packages(job)
    further = JobVariants.of(job).further
    refuse_unmet("scorer", further, _NO_SUBJECT)
    files, refused = _read(paths, job)
    pairs = []
    for file in files:
        scored = _given(explanation) if explanation is not None else file.explanation
        if scored is not None:
            pairs.append((file, scored))
        elif len(paths) == 1:
            raise InputError(_unexplained(file))
        else:
            refused[file.path] = _unexplained(file)
    in_words = [scored for _, scored in pairs if not (scored.rules or scored.program)]
    asked = in_words or any(Need.LLM in spec.needs for spec in further)
    model = open_llm(job, settings) if pairs and asked else None
    if model is None and in_words:
        msg = "an explanation in words is scored by an LLM: add --llm embedded or an endpoint"
        raise InputError(msg)
    answers = LlmAnswers()
    results = _results(
        lambda: score_records(pairs, job, _tools(job, model, settings), model), model, refused
    )
    for one in results.done:
        answers.add_results(one.label.results)
    return replace(results, llm_failure=answers.failure)


def _tools(job: JobSpec, model: ChatModel | None, settings: Settings) -> Tools:
    return build_tools(job, model, counter=counter_of(job, settings))


def _given(text: str) -> Explanation:
    if not text.strip():
        raise InputError("--explanation is empty; write what the unit responds to")
    return Explanation(text.strip(), "given", None, None, None, 0)


def _unexplained(file: RecordFile) -> str:
    return f"{file.path} holds no explanation; add the one to score with --explanation"


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
    found = model.features
    return FileResults(
        done[0], refused, model.total_usage, model.name, found.asked_without, found.notes
    )
