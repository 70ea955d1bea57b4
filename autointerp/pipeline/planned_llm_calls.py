"""What a job asks its LLM, told beforehand, and how far a budget goes."""

from __future__ import annotations

import sys
from dataclasses import replace
from decimal import Decimal

from autointerp.core.config import Budget, JobSpec, LlmOrder
from autointerp.core.variants import Need, PromptCalls
from autointerp.llm import PlannedCalls, Spent, estimate_job
from autointerp.llm.prices import Price
from autointerp.pipeline.job_variants import JobVariants
from autointerp.pipeline.receipts import N_TEXTS, receipt_calls
from autointerp.templates import load_template

_LETTERS_A_TOKEN = 4
_FIRST: dict[LlmOrder, str] = {
    "lookup": "first those whose validation text the token table predicts best",
    "asked": "first those that are named first",
    "random": "drawn at random",
}


def affordable_units(
    job: JobSpec, limits: Budget, price: Price | None, spent: Spent, a_unit: Spent | None
) -> int:
    """For how many more units a limited budget pays the LLM.

    Args:
        job: with the name of its model.
        limits: of which there is one at least.
        price: of that model; None where it is unknown.
        spent: what the job has cost so far.
        a_unit: what one unit was found to cost, which replies from the cache make less: at least
            half of what is planned counts. All of that counts where None.
    """
    one = estimate_job(1, planned_calls(job), price).total
    tokens, usd = Decimal(one.tokens), one.usd or Decimal(0)
    if a_unit is not None:
        tokens, usd = max(tokens / 2, Decimal(a_unit.tokens)), max(usd / 2, a_unit.usd or usd)
    left = []
    if limits.usd is not None and usd:
        left.append((Decimal(str(limits.usd)) - (spent.usd or 0)) / usd)
    if limits.tokens is not None and tokens:
        left.append((limits.tokens - spent.tokens) / tokens)
    return max(0, int(min(left, default=Decimal(sys.maxsize))))


def budget_reach(
    job: JobSpec, limits: Budget, price: Price | None, n_units: int, spent: Spent
) -> str:
    """Of how many of so many units a limited budget will pay for the LLM's labels, in words."""
    limit = [] if limits.usd is None else [f"${limits.usd:g}"]
    limit += [] if limits.tokens is None else [f"{limits.tokens:,} tokens"]
    whole = f"{'the rest of ' if spent.requests else ''}{' and '.join(limit)} to spend"
    n = affordable_units(job, limits, price, spent, None)
    if n >= n_units:
        return f"{whole} should be enough for the LLM's labels of all {n_units:,} units"
    return (
        f"{whole} should be enough for the LLM's labels of about {n:,} of {n_units:,} units: "
        f"{_FIRST[limits.order or 'lookup']}; the others are labelled by rules"
    )


def planned_calls(job: JobSpec) -> tuple[PlannedCalls, ...]:
    """What one unit asks the LLM, in the order of the stages."""
    variants, score = JobVariants.of(job), job.score
    explaining = [call for spec in variants.explainers for call in spec.calls(job)]
    n_answers = sum(call.n for call in explaining if call.explains)
    n_others = sum(Need.LLM not in spec.needs for spec in variants.explainers)
    stages = [("explain", call) for call in explaining]
    if n_answers and variants.predictor is not None:
        calls = variants.predictor.calls
        beside_rules = n_others > 0 and job.explain.description == "better"
        if n_answers > 1 or beside_rules or score.fit_levels:
            choosing = calls(job, score.n_validation)
            stages += [("choose", replace(call, n=call.n * n_answers)) for call in choosing]
        stages += [("score", call) for call in calls(job, score.n_heldout)]
        if score.n_null and not variants.predictor.asks_null_along:
            stages += [("null", call) for call in calls(job, score.n_null)]
        stages += [("receipts", call) for call in _receipt_calls(job)]
    stages += [("score", c) for spec in variants.further for c in spec.calls(job, score.n_heldout)]
    return tuple(_planned(stage, call) for stage, call in stages)


def scoring_calls(job: JobSpec) -> tuple[PlannedCalls, ...]:
    """What scoring one given explanation asks the LLM, by every scorer of the job."""
    variants, n_windows = JobVariants.of(job), job.score.n_heldout
    every = (variants.predictor, *variants.further)
    calls = (call for spec in every if spec is not None for call in spec.calls(job, n_windows))
    return tuple(_planned("score", call) for call in calls)


def _receipt_calls(job: JobSpec) -> tuple[PromptCalls, ...]:
    """Texts that are written to try the explanation, and the scores of rewrites of it."""
    n_texts = job.score.n_receipts
    if n_texts is None:
        n_texts = 0 if job.is_small_llm else N_TEXTS
    predictor = JobVariants.of(job).predictor
    if not n_texts or predictor is None:
        return ()
    write = receipt_calls(n_texts, job.explain.n_senses)
    return (*write, *predictor.calls(job, job.score.n_validation))


def _planned(stage: str, call: PromptCalls) -> PlannedCalls:
    letters = sum(len(text) for _, text in load_template(call.prompt, call.version).turns)
    prompt = letters // _LETTERS_A_TOKEN + call.shown
    return PlannedCalls(stage, call.n, prompt, call.reply)
