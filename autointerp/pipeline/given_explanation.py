"""An explanation that somebody gives, in words or as a program, beside the label of its unit."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from autointerp.core.config import NO_LLM, ExplainConfig, JobSpec
from autointerp.core.errors import InputError
from autointerp.core.explanations import Explanation, Label, LabelStatus
from autointerp.core.scores import Score, ScorerResult
from autointerp.core.variants import Need
from autointerp.explainers.program import program_explanation
from autointerp.pipeline.held_out import difference
from autointerp.scorers import Lookup, ScoringSet, scorers_named

PERSON = "person"
"""Explainer of what a person says; ``person:NAME`` of what is kept under that name."""
OVER_LABEL = "over_label"
"""Score that says how much better an explanation predicts than the label of the unit."""


def given_explanation(text: str | None, program: str | None, *, explainer: str) -> Explanation:
    """The explanation that a text or the source of a program is.

    Raises:
        InputError: both were given or neither, the text is empty, or the program cannot be read.
    """
    if (text is None) == (program is None):
        given = "neither" if text is None else "both"
        raise InputError(f"give an explanation in words or a program; found {given}")
    if program is not None:
        return program_explanation(program, explainer=explainer)
    words = (text or "").strip()
    if not words:
        raise InputError("the explanation is empty; write what the unit responds to")
    return Explanation(words, explainer, None, None, None, 0)


def scoring_job(job: JobSpec, explanations: Iterable[Explanation]) -> JobSpec:
    """The job that scores these explanations, with an LLM only where one is asked.

    Words are simulated by one unless all scorers that the job names do without; a program is run,
    and is not simulated.

    Raises:
        InputError: a scorer is unknown.
    """
    named = None if job.score.scorers is None else scorers_named(job.score.scorers)
    if all(explanation.needs_no_llm for explanation in explanations):
        named = tuple(spec for spec in named or () if not spec.predicts_activations)
    if named is None or any(Need.LLM in spec.needs for spec in named):
        return job
    score = job.score.model_copy(update={"scorers": tuple(spec.name for spec in named)})
    return job.model_copy(update={"llm": NO_LLM, "score": score, "explain": ExplainConfig()})


def beside_label(result: ScorerResult, label: Label, windows: ScoringSet) -> ScorerResult:
    """The result with its paired difference to the label, on the windows that both judged.

    A result without predictions, such as verdicts, stays as it is.
    """
    if all(score.name != "population" for score in result.scores):
        return result
    stored = None if label.preferred is None else label.result(label.preferred)
    if stored is None:
        reason = f"the unit's label has no score: {label.reason or 'no scorer ran'}"
        return result.with_scores(Score.undefined(OVER_LABEL, reason))
    return result.with_scores(replace(difference(result, stored, windows), name=OVER_LABEL))


def kept_label(
    label: Label,
    explanation: Explanation,
    results: Sequence[ScorerResult],
    *,
    scorer_model: str | None,
) -> Label | None:
    """The label of the side by somebody else's explanation, with what that came to.

    It is of the same text, statistics and held-out windows, whose token table stays beside it. None
    where no score has a value: there is nothing to keep.
    """
    judged = next((r for r in results if r.score("population").value is not None), None)
    if judged is None:
        return None
    baseline = label.result(Lookup.name)
    made = label.provenance
    return replace(
        label,
        status=LabelStatus.OK,
        reason=None,
        explanation=explanation,
        candidates=(),
        results=(*results, *([] if baseline is None else [baseline])),
        preferred=judged.scorer,
        provenance=replace(made, explainer_model=None, scorer_model=scorer_model, prompts=()),
        failures=(),
        llm=None,
        rules=None,
        sense_scores=(),
        receipts=(),
        needs=(),
    )
