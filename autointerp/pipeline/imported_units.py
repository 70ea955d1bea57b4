"""Explaining and scoring units whose records come from a file, not from a subject model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from autointerp.activations.sampling.diversity import PeakContext, diverse_places
from autointerp.core import VERSION
from autointerp.core.asynchrony import for_each
from autointerp.core.config import JobSpec, SelectConfig
from autointerp.core.explanations import (
    Candidate,
    Explanation,
    Label,
    LabelStatus,
    Provenance,
)
from autointerp.core.progress import Progress, SilentProgress
from autointerp.core.records import ExplainSet
from autointerp.core.scores import Score, ScorerResult
from autointerp.dictionary.neuron_record_import.record_file import RecordFile
from autointerp.llm import ChatModel
from autointerp.pipeline.given_explanation import beside_label
from autointerp.pipeline.selection import select_explanation
from autointerp.pipeline.unit_input import Selection, Tools, UnitInput
from autointerp.pipeline.unit_label import label_unit
from autointerp.scorers import SCORERS

_AT_ONCE = 4
_HEADLINES = ("population", "top_random", "top")


@dataclass(frozen=True, slots=True)
class ExplainedFile:
    """A file and the candidate explanations of its unit."""

    file: RecordFile
    selection: Selection

    @property
    def failure(self) -> str | None:
        """Why there is no explanation, None where there is one or there is no pattern."""
        result = self.selection
        if result.candidates or result.found_no_pattern or not result.failures:
            return None
        return f"no explanation could be generated: {result.failures[0]}"


@dataclass(frozen=True, slots=True)
class ScoredFile:
    """A file and the label of its unit."""

    file: RecordFile
    label: Label

    @property
    def headline(self) -> Score:
        """The first defined of ``population``, ``top_random``, ``top`` and the scorer's own."""
        label = self.label
        own = (spec.headline for spec in SCORERS if spec.name == label.preferred)
        names = (*_HEADLINES, *own)
        result = [label.score(label.preferred, n) for n in names] if label.preferred else []
        return next((score for score in result if score.value is not None), label.headline)


async def explain_records(
    files: Sequence[RecordFile], job: JobSpec, tools: Tools, progress: Progress | None = None
) -> tuple[ExplainedFile, ...]:
    """Candidate explanations for the unit of each file, in the order of the files."""
    told = _started(progress, "explain", len(files))

    async def explain(file: RecordFile) -> ExplainedFile:
        inputs = _case_of(file, job)
        if job.select.diverse:
            explain = diverse_first(inputs.sets.explain, job.select, job.explain.n_exemplars)
            inputs = replace(inputs, sets=replace(inputs.sets, explain=explain))
        selection = await select_explanation(inputs, tools)
        told.advance("explain", 1)
        return ExplainedFile(file, selection)

    done = await for_each(range(len(files)), lambda i: explain(files[i]), at_once=_AT_ONCE)
    return tuple(done.values())


def diverse_first(records: ExplainSet, select: SelectConfig, n: int) -> ExplainSet:
    """The explain set with n activating records that differ before those that repeat one."""
    contexts = [
        PeakContext.around(
            record.document,
            record.token_ids,
            max(range(len(record.tokens)), key=record.side(records.side).__getitem__),
            reach=select.context_tokens,
        )
        for record in records.activating
    ]
    places = diverse_places(contexts, n, max_overlap=select.max_overlap)
    first = [records.activating[place] for place in places]
    chosen = {record.window for record in first}
    rest = [record for record in records.records if record.window not in chosen]
    return replace(records, records=(*first, *rest))


async def score_records(
    pairs: Sequence[tuple[RecordFile, Explanation]],
    job: JobSpec,
    tools: Tools,
    model: ChatModel | None,
    progress: Progress | None = None,
) -> tuple[ScoredFile, ...]:
    """The scores of each explanation; other files' explanations give each its chance level."""
    told = _started(progress, "score", len(pairs))

    async def score(number: int) -> ScoredFile:
        file, explanation = pairs[number]
        reason = "not tried: it was given"
        candidate = Candidate(explanation, None, reason, chosen=True)
        others = [other for _, other in (*pairs[number + 1 :], *pairs[:number])]
        inputs = _case_of(file, job)
        label = await label_unit(
            inputs,
            Selection(
                (candidate,),
                (),
                found_no_pattern=False,
                llm=None if explanation.is_mechanical else explanation,
                rules=explanation if explanation.is_mechanical else None,
            ),
            [other for other in others if other.text != explanation.text],
            tools,
            _provenance(file, job, tools, model),
        )
        if tools.judge(explanation) is None:
            label = await _judged_alone(label, explanation, inputs, tools)
        if file.label is not None and explanation is not file.explanation:
            windows, stored = inputs.scoring_set(held_out=True), file.label
            results = (
                beside_label(r, stored, windows) if r.scorer == label.preferred else r
                for r in label.results
            )
            label = replace(label, results=tuple(results))
        told.advance("score", 1)
        return ScoredFile(file, without_population(label, file.no_population))

    done = await for_each(range(len(pairs)), score, at_once=_AT_ONCE)
    return tuple(done.values())


def _started(progress: Progress | None, stage: str, n_files: int) -> Progress:
    """What is told how many files are done, where there are several."""
    told = progress if progress is not None and n_files > 1 else SilentProgress()
    told.start(stage, n_files, "files")
    return told


async def _judged_alone(
    label: Label, explanation: Explanation, inputs: UnitInput, tools: Tools
) -> Label:
    """The label where nothing predicts activations: what the other scorers say."""
    windows = inputs.scoring_set(held_out=True).first(inputs.config.n_heldout)
    results = tuple([await scorer.score(explanation, windows) for scorer in tools.further])
    failure = next((result.failure for result in results if result.failure is not None), None)
    return replace(
        label,
        status=LabelStatus.OK if failure is None else LabelStatus.FAILED,
        reason=failure,
        explanation=explanation,
        results=results,
        preferred=results[0].scorer,
    )


def without_population(label: Label, reason: str | None) -> Label:
    """The label with its scores renamed where the size of all text is not known.

    What the pipeline took for the population score weighs the file's parts alike: with a random
    sample it is the literature's top-and-random score, and is named so. Other estimates over all
    text are removed, as their strata were made up; scores of one stratum and differences stay.
    """
    if reason is None:
        return label
    return replace(label, results=tuple(_renamed(result, reason) for result in label.results))


def _renamed(result: ScorerResult, reason: str) -> ScorerResult:
    strata = {trial.stratum for trial in result.trials}
    pooled = result.score("population")
    undefined = Score.undefined("population", reason, n_windows=pooled.n_windows)
    if not any(trial.predicted is not None for trial in result.trials):
        rest = [replace(s) for s in result.scores if s.name != "population"]
        return replace(result, scores=(undefined, *rest))
    # Of two scores named random, the first repeats the population's and the last is the stratum's.
    own = {s.name: s for s in result.scores if s.name in strata or s.name.startswith("over_")}
    mixed = {"top", "random"} <= strata
    named = [replace(pooled, name="top_random" if mixed else "pooled")] if len(strata) > 1 else []
    return replace(result, scores=(undefined, *named, *own.values()))


def _case_of(file: RecordFile, job: JobSpec) -> UnitInput:
    # With the label's seed, a part of the windows is the part on which the label was judged.
    seeded = file.label is None or "seed" in job.model_fields_set
    seed = job.seed if seeded or file.label is None else file.label.provenance.seed
    return UnitInput(
        sets=file.sets,
        token_means=file.token_means,
        stats=file.stats,
        tokenizer=file.vocabulary,
        config=job.score,
        seed=seed,
        describe=job.explain.description,
    )


def _provenance(
    file: RecordFile, job: JobSpec, tools: Tools, model: ChatModel | None
) -> Provenance:
    sets = file.sets
    records = (*sets.explain.records, *sets.validation.records, *sets.held_out.records)
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
        scorer_model=model.name if model else None,
        prompts=tools.prompts,
    )
