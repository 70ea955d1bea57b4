"""The explainers and scorers of a job, built; what its LLM will cost, told to whoever waits."""

from __future__ import annotations

from collections.abc import Sequence

from autointerp.activations.sentence_encoder import load_embedder
from autointerp.core.config import JobSpec
from autointerp.core.errors import InputError
from autointerp.core.ids import UnitId
from autointerp.core.progress import Progress
from autointerp.explainers import ExplainerDependencies, TokenLookup
from autointerp.llm import (
    UPPER_ESTIMATE,
    ChatModel,
    FittingModel,
    Spent,
    TokenCounter,
    estimate_job,
    estimate_text,
)
from autointerp.llm.prices import Price
from autointerp.pipeline import JobVariants, Tools, without_llm
from autointerp.pipeline.planned_llm_calls import (
    affordable_units,
    budget_reach,
    planned_calls,
    scoring_calls,
)
from autointerp.pipeline.receipts import receipt_prompts, texts_wanted
from autointerp.scorers import ScorerDependencies
from autointerp.wiring.llms import JobBudget, quote_of


def build_tools(
    job: JobSpec,
    model: ChatModel | None,
    *,
    pool: Sequence[UnitId] = (),
    counter: TokenCounter = UPPER_ESTIMATE,
) -> Tools:
    """The explainers and scorers of a job; `TokenLookup` where it has no other explainer.

    What does not fit the LLM's context is cut by explainers; of several windows in a call scorers
    ask in parts, and one that does not fit alone is a failed trial.

    The pool is units of the job. Without a model they are those that ask none.

    Raises:
        InputError: a scorer needs an endpoint with echo or the embedding model, and there is none.
    """
    if model is None:
        job = without_llm(job)
    variants = JobVariants.of(job)
    fitting = None if model is None else FittingModel(model, counter)
    inputs = ExplainerDependencies(fitting, job.explain, job.seed, counter)
    explainers = [spec.build(inputs) for spec in variants.explainers] or [TokenLookup()]
    dependencies = ScorerDependencies(model, job.score, pool, counter, load_embedder)
    predictor = variants.predictor
    simulation = None if model is None or predictor is None else predictor.build(dependencies)
    further = tuple(spec.build(dependencies) for spec in variants.further)
    prompts = [ref for explainer in explainers for ref in explainer.prompts]
    prompts += [ref for s in (simulation, *further) if s is not None for ref in s.prompts]
    if texts_wanted(job.score, fitting):
        prompts += receipt_prompts()
    return Tools(tuple(explainers), simulation, further, tuple(dict.fromkeys(prompts)), fitting)


def note_cost(job: JobSpec, budget: JobBudget, *, n_units: int, progress: Progress) -> None:
    """Tells the progress the price of the job's model and what so many units will cost.

    Raises:
        InputError: a budget in dollars, and the price is unknown.
    """
    price = _noted_price(job, budget, progress)
    if n_units:
        estimate = estimate_job(n_units, planned_calls(job), price)
        progress.note(f"{n_units:,} to label: {estimate_text(estimate)}")


def note_scoring_cost(
    job: JobSpec, budget: JobBudget, *, n_labels: int, progress: Progress
) -> None:
    """The same of explanations that are there, which the LLM scores alone.

    Raises:
        InputError: a budget in dollars, and the price is unknown.
    """
    price = _noted_price(job, budget, progress)
    estimate = estimate_job(n_labels, scoring_calls(job), price)
    progress.note(f"{n_labels:,} for the LLM to score: {estimate_text(estimate)}")


def _noted_price(job: JobSpec, budget: JobBudget, progress: Progress) -> Price | None:
    quote = quote_of(job, budget)
    if quote.price is None and budget.limits.usd is not None:
        msg = f"--budget-usd {budget.limits.usd:g} cannot be kept: {quote.text} (--prices)"
        raise InputError(msg)
    progress.note(quote.text)
    return quote.price


def units_left(job: JobSpec, budget: JobBudget, spent: Spent, a_unit: Spent | None) -> int:
    """For how many more units a limited budget pays the LLM, as `affordable_units` has it."""
    return affordable_units(job, budget.limits, quote_of(job, budget).price, spent, a_unit)


def reach_note(job: JobSpec, budget: JobBudget, n_units: int, spent: Spent) -> str:
    """Of how many of so many units a limited budget will pay for the LLM's labels, in words."""
    return budget_reach(job, budget.limits, quote_of(job, budget).price, n_units, spent)
