"""Which explainers and scorers a job runs, what they need, and whether that can be met."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from autointerp.core.config import EMBEDDED, NO_LLM, Budget, JobSpec
from autointerp.core.errors import InputError
from autointerp.core.one_line import shortened
from autointerp.core.variants import JobLlm, Need, Variant, default_names, refuse_unmet
from autointerp.explainers import EXPLAINERS, ExplainerSpec, explainers_named
from autointerp.scorers import SCORERS, ScorerSpec, scorers_named
from autointerp.templates import prompt_versions

# Jobs that older versions stored list these as if a user had named them, LLM or not.
_LISTED_EXPLAINERS = ("token_activation", "token_lookup")
_LISTED_SCORERS = ("simulation",)

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
        """What a job runs: what it names, else what fits its LLM.

        What asks an LLM is refused where none is used.

        Raises:
            InputError: a name is unknown, or it asks an LLM and the job has none.
        """
        explainers, scorers = explainers_named(_explainers(job)), scorers_named(_scorers(job))
        if job.llm != NO_LLM:
            predictors = (*scorers, *scorers_named(default_names(SCORERS, _kind_of_llm(job))))
            predictor = next(spec for spec in predictors if spec.predicts_activations)
            further = tuple(spec for spec in scorers if spec is not predictor)
            return cls(explainers, predictor, further)
        refuse_unmet("explainer", explainers, _LLM_IS_NONE)
        refuse_unmet("scorer", scorers, _LLM_IS_NONE)
        return cls(explainers, None, scorers)

    @property
    def running(self) -> tuple[Variant, ...]:
        """Those that run: nothing is simulated where no explanation is in words."""
        result: tuple[Variant, ...] = (*self.explainers, *self.further)
        if self.predictor is None or not any(Need.LLM in spec.needs for spec in self.explainers):
            return result
        return (*result, self.predictor)

    def need(self, need: Need) -> bool:
        """Whether one of those that run has this need."""
        return any(need in variant.needs for variant in self.running)


def _explainers(job: JobSpec) -> tuple[str, ...]:
    named = job.explain.explainers
    if job.llm == NO_LLM and named == _LISTED_EXPLAINERS:
        named = None
    return named or default_names(EXPLAINERS, _kind_of_llm(job))


def _scorers(job: JobSpec) -> tuple[str, ...]:
    named = job.score.scorers
    if job.llm == NO_LLM and named == _LISTED_SCORERS:
        named = None
    return default_names(SCORERS, _kind_of_llm(job)) if named is None else named


def _kind_of_llm(job: JobSpec) -> JobLlm:
    if job.llm == NO_LLM:
        return JobLlm.NONE
    return JobLlm.SMALL if job.is_small_llm else JobLlm.CAPABLE


def without_llm(job: JobSpec) -> JobSpec:
    """The job with what it has that asks no LLM; the default rules where it has none."""
    variants = JobVariants.of(job)
    free = [
        tuple(spec.name for spec in specs if Need.LLM not in spec.needs)
        for specs in (variants.explainers, variants.further)
    ]
    explain = job.explain.model_copy(update={"explainers": free[0] or None, "prompt": None})
    score = job.score.model_copy(update={"scorers": free[1], "prompt": None})
    none = {"llm": NO_LLM, "llm_model": None}
    return job.model_copy(update={"explain": explain, "score": score, **none})


def rules_fill_up(job: JobSpec, budget: Budget) -> bool:
    """Whether units that a budget does not reach are labelled by rules.

    That is where the job has rules beside the LLM, as it has by default, or an order was asked for.
    """
    variants = JobVariants.of(job)
    has_rules = any(Need.LLM not in spec.needs for spec in variants.explainers)
    asks = budget.is_limited and variants.need(Need.LLM)
    return asks and (has_rules or budget.order is not None)


def check_job(job: JobSpec) -> None:
    """Refuses a job of which an explainer or scorer cannot run, whatever the units are.

    Raises:
        InputError: naming what does not exist, or cannot run and why.
    """
    variants = JobVariants.of(job)
    if job.llm == EMBEDDED and variants.need(Need.ECHO):
        refuse_unmet("scorer", scorers_named(_scorers(job)), _LLM_IS_EMBEDDED)
    check_prompts(job)
    for variant in variants.running:
        if isinstance(variant, ScorerSpec):
            variant.calls(job, job.score.n_heldout)


def check_prompts(job: JobSpec) -> None:
    """Refuses a job whose prompt versions do not exist.

    Raises:
        InputError: naming the versions that do.
    """
    for option, version, owners in _chosen_prompts(job):
        known = prompt_versions(owners[0].chosen_prompt or "")
        if version not in known:
            raise InputError(
                f"{option} {shortened(version)} does not exist; "
                f"take {', '.join(known[:-1])} or {known[-1]}"
            )


def check_explicit(job: JobSpec) -> None:
    """Refuses what a user named and the job cannot run.

    That is a default explainer or scorer which asks an LLM that the job has not, and a version of
    a prompt that nothing asks. Only for a job that comes from a user: a stored one lists its
    defaults as if they were named.

    Raises:
        InputError: naming the first.
    """
    if job.llm == NO_LLM:
        refuse_unmet("explainer", explainers_named(job.explain.explainers or ()), _LLM_IS_NONE)
        refuse_unmet("scorer", scorers_named(job.score.scorers or ()), _LLM_IS_NONE)
    for option, version, owners in _chosen_prompts(job):
        running = JobVariants.of(job).running
        if not any(owner in running for owner in owners):
            names = " and ".join(owner.name for owner in owners)
            raise InputError(
                f"{option} {version} is for {names}, and the job runs none of that; "
                f"leave {option} out"
            )


def _chosen_prompts(job: JobSpec) -> Iterator[tuple[str, str, list[Variant]]]:
    """The options that name a prompt's version, each with the version and whose prompt it is."""
    for option, version, variants in (
        ("explain.prompt", job.explain.prompt, EXPLAINERS),
        ("score.prompt", job.score.prompt, SCORERS),
    ):
        if version is not None:
            yield option, version, [spec for spec in variants if spec.chosen_prompt is not None]


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


def check_top_windows(job: JobSpec) -> None:
    """Refuses a job that asks for more top windows of a unit than are collected.

    Raises:
        InputError: naming both numbers.
    """
    asked, collected = job.select.n_top, job.collect.top_k
    if "n_top" in job.select.model_fields_set and asked > collected:
        raise InputError(
            f"select.n_top (--top) is {asked}, and only {collected} top windows of a unit are "
            "collected; lower it or raise collect.top_k (--top-k)"
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
    """The job with every explainer and scorer named, as labels store them.

    Raises:
        InputError: a name is unknown.
    """
    explainers = tuple(spec.name for spec in explainers_named(_explainers(job)))
    scorers = tuple(spec.name for spec in scorers_named(_scorers(job)))
    if explainers == job.explain.explainers and scorers == job.score.scorers:
        return job
    explain = job.explain.model_copy(update={"explainers": explainers})
    score = job.score.model_copy(update={"scorers": scorers})
    return job.model_copy(update={"explain": explain, "score": score})
