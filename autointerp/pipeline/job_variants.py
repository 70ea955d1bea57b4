"""Which explainers and scorers a job runs, what they need, and whether that can be met."""

from __future__ import annotations

from dataclasses import dataclass

from autointerp.core.config import EMBEDDED, NO_LLM, ExplainConfig, JobSpec, ScoreConfig
from autointerp.core.errors import InputError
from autointerp.core.variants import Need, Variant, refuse_unmet
from autointerp.explainers import ExplainerSpec, explainers_named
from autointerp.scorers import SCORERS, ScorerSpec, scorers_named
from autointerp.templates import check_prompts

_LLM_IS_NONE = {Need.LLM: "the job's llm is none"}
_LLM_IS_EMBEDDED = {Need.ECHO: "the embedded LLM has neither"}


@dataclass(frozen=True, slots=True)
class JobVariants:
    """The explainers and scorers of a job."""

    explainers: tuple[ExplainerSpec, ...]
    predictor: ScorerSpec | None
    """Predicts activations from explanations in words; None where no LLM is used."""
    further: tuple[ScorerSpec, ...]
    """Scorers that run beside it on the chosen explanation."""

    @classmethod
    def of(cls, job: JobSpec) -> JobVariants:
        """What a job runs.

        Where no LLM is used, those that ask one are left out of the default lists and refused in
        any other.

        Raises:
            InputError: a name is unknown, or it asks an LLM and the job has none.
        """
        explainers = explainers_named(job.explain.explainers)
        scorers = scorers_named(job.score.scorers)
        if job.llm != NO_LLM:
            predictor = next(spec for spec in (*scorers, *SCORERS) if spec.predicts_activations)
            further = tuple(spec for spec in scorers if spec is not predictor)
            return cls(explainers, predictor, further)
        if job.explain.explainers == ExplainConfig().explainers:
            explainers = tuple(spec for spec in explainers if Need.LLM not in spec.needs)
        if job.score.scorers == ScoreConfig().scorers:
            scorers = tuple(spec for spec in scorers if Need.LLM not in spec.needs)
        refuse_unmet("explainer", explainers, _LLM_IS_NONE)
        refuse_unmet("scorer", scorers, _LLM_IS_NONE)
        return cls(explainers, None, scorers)

    def need(self, need: Need) -> bool:
        """Whether one of those that run has this need."""
        explain_in_words = any(Need.LLM in spec.needs for spec in self.explainers)
        running: list[Variant] = [*self.explainers, *self.further]
        if self.predictor is not None and explain_in_words:
            running.append(self.predictor)
        return any(need in variant.needs for variant in running)


def check_job(job: JobSpec) -> None:
    """Refuses a job of which an explainer or scorer cannot run, whatever the units are.

    Raises:
        InputError: naming what does not exist, or cannot run and why.
    """
    variants = JobVariants.of(job)
    if job.llm == EMBEDDED and variants.need(Need.ECHO):
        refuse_unmet("scorer", scorers_named(job.score.scorers), _LLM_IS_EMBEDDED)
    check_prompts(job)


def check_named_variants(job: JobSpec) -> None:
    """Refuses explainers and scorers that a user named and that ask an LLM that the job has not.

    Only where a job comes from a user: a stored job lists its defaults as if they were named, and
    those are left out.

    Raises:
        InputError: naming the first.
    """
    if job.llm != NO_LLM:
        return
    if "explainers" in job.explain.model_fields_set:
        refuse_unmet("explainer", explainers_named(job.explain.explainers), _LLM_IS_NONE)
    if "scorers" in job.score.model_fields_set:
        refuse_unmet("scorer", scorers_named(job.score.scorers), _LLM_IS_NONE)


def check_n_units(job: JobSpec, n_units: int) -> None:
    """Refuses a job with too few units for a scorer that compares units.

    Raises:
        InputError: naming the scorer and how many it takes.
    """
    n_labels = n_units * (2 if job.sides == "both" else 1)
    for spec in JobVariants.of(job).further:
        fewest = max(spec.fewest_units, 1 if n_labels >= spec.fewest_labels else spec.fewest_labels)
        if n_units < fewest:
            result = f"{n_units} unit{'' if n_units == 1 else 's'}"
            raise InputError(
                f"scorer {spec.name} compares a unit with others and needs {fewest} units, and "
                f"the job has {result}; name more units or leave the scorer out"
            )


def check_packages(job: JobSpec) -> None:
    """Refuses a job whose scorer needs a package that is not installed here.

    Raises:
        InputError: saying how to install it.
    """
    variants = JobVariants.of(job)
    for variant in (*variants.explainers, *variants.further):
        if variant.package is not None:
            variant.package.locate()


def with_stored_names(job: JobSpec) -> JobSpec:
    """The job with the names that labels store in place of aliases.

    Raises:
        InputError: a name is unknown.
    """
    explainers = tuple(spec.name for spec in explainers_named(job.explain.explainers))
    scorers = tuple(spec.name for spec in scorers_named(job.score.scorers))
    if explainers == job.explain.explainers and scorers == job.score.scorers:
        return job
    explain = job.explain.model_copy(update={"explainers": explainers})
    score = job.score.model_copy(update={"scorers": scorers})
    return job.model_copy(update={"explain": explain, "score": score})
