"""The explainers and scorers of a job, built."""

from __future__ import annotations

from collections.abc import Sequence

from autointerp.activations.sentence_encoder import load_embedder
from autointerp.core.config import JobSpec
from autointerp.core.ids import UnitId
from autointerp.explainers import ExplainerDependencies, TokenLookup
from autointerp.llm import UPPER_ESTIMATE, ChatModel, FittingModel, TokenCounter
from autointerp.pipeline import JobVariants, Tools
from autointerp.scorers import ScorerDependencies


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

    Args:
        job: names them.
        model: the LLM, None where nothing that runs asks one.
        pool: units of the job.
        counter: of the LLM's tokens.

    Raises:
        InputError: a scorer needs an endpoint with echo or the embedding model, and there is none.
    """
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
    return Tools(tuple(explainers), simulation, further, tuple(dict.fromkeys(prompts)))
