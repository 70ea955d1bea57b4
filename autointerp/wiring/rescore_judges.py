"""Who scores a dictionary's labels on another text: whoever scored them on their own."""

from __future__ import annotations

from collections.abc import Sequence

from autointerp.core.config import ExplainConfig, JobSpec
from autointerp.core.errors import InputError
from autointerp.core.explanations import Label
from autointerp.pipeline import Tools, check_job
from autointerp.pipeline.text_rescoring import LearnedLabel, free_judge
from autointerp.scorers import Scorer

NO_LLM_GIVEN = "its text is scored by an LLM, and none was named: add --llm"


def needs_llm(label: Label) -> bool:
    """Whether nobody but an LLM can say where the label applies."""
    return label.explanation is not None and free_judge(label.explanation) is None


def asking_job(job: JobSpec, labels: Sequence[Label]) -> JobSpec:
    """The job whose LLM scores these labels by the scorers that they had.

    Raises:
        InputError: one of them cannot run with that LLM.
    """
    scorers = tuple(dict.fromkeys(label.preferred or "" for label in labels))
    changed = {
        "explain": ExplainConfig(explainers=("token_lookup",)),
        "score": job.score.model_copy(update={"scorers": scorers}),
    }
    asking = job.model_copy(update=changed)
    check_job(asking)
    return asking


def other_judge(name: str, labels: Sequence[Label]) -> str | None:
    """A sentence where another LLM scores the labels now than before; None where it is the same."""
    before = labels[0].provenance.scorer_model
    if before is None or name == before:
        return None
    return (
        f"{before} scored the labels on their own text and {name} scores them now: a difference "
        "may be that of the two"
    )


def free_judge_of(learned: LearnedLabel) -> Scorer:
    """Who scores a label without an LLM.

    Raises:
        InputError: it needs one.
    """
    judge = None if learned.explanation is None else free_judge(learned.explanation)
    if judge is None:
        raise InputError(f"{learned.label.unit} cannot be scored: {NO_LLM_GIVEN}")
    return judge


def judge_of(tools: Tools, learned: LearnedLabel) -> Scorer:
    """Who scored it before; without an LLM where none is needed."""
    if not needs_llm(learned.label):
        return free_judge_of(learned)
    every = [scorer for scorer in (tools.simulation, *tools.further) if scorer is not None]
    return next(scorer for scorer in every if scorer.name == learned.label.preferred)
