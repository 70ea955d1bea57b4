"""The record of every explainer and every scorer holds, and everything that it names exists."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hostile import POOL, hostile_inputs, hostile_windows, said

from autointerp.core.config import ExplainConfig, JobSpec, ScoreConfig
from autointerp.core.errors import InputError
from autointerp.core.variants import Need, PromptCalls, Variant
from autointerp.dictionary.rows import COLUMNS, SCORER_COLUMNS
from autointerp.explainers import (
    EXPLAINERS,
    ExplainerDependencies,
    ExplainerSpec,
    explainers_named,
)
from autointerp.llm import ScriptedModel, TokenChoice
from autointerp.pipeline.planned_llm_calls import planned_calls
from autointerp.scorers import SCORERS, ScorerDependencies, ScorerSpec, scorers_named
from autointerp.templates import load_template

VARIANTS: tuple[Variant, ...] = (*EXPLAINERS, *SCORERS)
JOBS = [
    JobSpec(units="1:0", llm=llm, score=ScoreConfig(windows_per_call=per_call))
    for llm in ("embedded", "http://host/v1")
    for per_call in (1, 5)
]


def by_name(variant: Variant) -> str:
    return variant.name


each_scorer = pytest.mark.parametrize("spec", SCORERS, ids=by_name)
each_explainer = pytest.mark.parametrize("spec", EXPLAINERS, ids=by_name)


class Scripted(ScriptedModel):
    """Replies with what no prompt asks for; also takes texts to echo."""

    def __init__(self) -> None:
        super().__init__(lambda _: "0")

    async def prompt_logprobs(self, text: str) -> tuple[TokenChoice, ...]:
        return ()


class Lengths:
    """Embeds a text by its length."""

    def embed(self, texts: Sequence[str]) -> list[list[float]]:
        return [[1.0, float(len(text))] for text in texts]


def calls_of(spec: Variant, job: JobSpec) -> tuple[PromptCalls, ...]:
    if isinstance(spec, ExplainerSpec):
        return spec.calls(job)
    assert isinstance(spec, ScorerSpec)
    return spec.calls(job, 12)


@pytest.mark.parametrize("variants", [EXPLAINERS, SCORERS], ids=["explainers", "scorers"])
def test_no_two_have_a_name_in_common(variants: Sequence[Variant]) -> None:
    names = [name for spec in variants for name in (spec.name, *spec.aliases)]
    assert len(set(names)) == len(names)


def test_a_name_and_its_alias_are_one_variant() -> None:
    for scorer in SCORERS:
        assert scorers_named([scorer.name, *scorer.aliases]) == (scorer,)
    for explainer in EXPLAINERS:
        assert explainers_named([explainer.name, *explainer.aliases]) == (explainer,)


@pytest.mark.parametrize("job", JOBS, ids=lambda job: f"{job.llm} {job.score.windows_per_call}")
@pytest.mark.parametrize("spec", VARIANTS, ids=by_name)
def test_who_asks_an_llm_plans_calls_with_prompts_that_exist(spec: Variant, job: JobSpec) -> None:
    calls = calls_of(spec, job)
    assert bool(calls) == (Need.LLM in spec.needs)
    for call in calls:
        assert load_template(call.prompt, call.version).turns
        assert call.n >= 1
        assert call.shown > 0


@pytest.mark.parametrize("variants", [EXPLAINERS, SCORERS], ids=["explainers", "scorers"])
def test_the_prompt_whose_version_a_job_chooses_is_one_that_its_variants_ask(
    variants: Sequence[Variant],
) -> None:
    prompts = {spec.chosen_prompt for spec in variants} - {None}
    assert prompts
    explain, score = ExplainConfig(prompt="v2"), ScoreConfig(prompt="v2")
    job = JobSpec(units="1:0", llm="http://host/v1", explain=explain, score=score)
    for spec in variants:
        calls = calls_of(spec, job)
        asked = {(call.prompt, call.version) for call in calls if call.prompt in prompts}
        assert asked == ({(spec.chosen_prompt, "v2")} if spec.chosen_prompt else set()), spec.name


@each_scorer
def test_a_job_with_any_one_scorer_has_a_cost(spec: ScorerSpec) -> None:
    job = JobSpec(units="1:0", score=ScoreConfig(scorers=(spec.name,)))
    stages = [call.stage for call in planned_calls(job)]
    assert {"explain", "score"} <= set(stages)


def test_a_column_holds_the_headline_of_its_scorer() -> None:
    headlines = {(spec.name, spec.headline) for spec in SCORERS}
    assert set(SCORER_COLUMNS.values()) <= headlines
    assert set(SCORER_COLUMNS) <= set(COLUMNS)


@each_scorer
def test_a_scorer_carries_its_name_and_gives_its_headline(spec: ScorerSpec) -> None:
    scorer = spec.build(ScorerDependencies(Scripted(), ScoreConfig(), POOL, embedder=Lengths))
    result = asyncio.run(scorer.score(said("rivers"), hostile_windows()))
    assert scorer.name == spec.name == result.scorer
    assert spec.headline in {score.name for score in result.scores}
    assert bool(scorer.prompts) == (Need.LLM in spec.needs)
    if spec.predicts_activations:
        assert spec.headline == "population"


@each_scorer
@pytest.mark.parametrize("per_call", [1, 5])
def test_a_scorer_plans_calls_with_the_prompts_that_it_asks(
    spec: ScorerSpec, per_call: int
) -> None:
    score = ScoreConfig(windows_per_call=per_call)
    job = JobSpec(units="1:0", llm="http://host/v1", score=score)
    scorer = spec.build(ScorerDependencies(Scripted(), score, POOL, embedder=Lengths))
    asked = {(prompt.name, prompt.version) for prompt in scorer.prompts}
    assert {(call.prompt, call.version) for call in spec.calls(job, 12)} == asked


@each_scorer
def test_a_scorer_that_asks_an_llm_cannot_be_built_without_one(spec: ScorerSpec) -> None:
    dependencies = ScorerDependencies(None, ScoreConfig(), POOL, embedder=Lengths)
    if Need.LLM not in spec.needs:
        assert spec.build(dependencies).name == spec.name
        return
    with pytest.raises(InputError, match="asks an LLM"):
        spec.build(dependencies)


@each_explainer
def test_an_explainer_carries_its_name_and_asks_only_if_it_says_so(spec: ExplainerSpec) -> None:
    model = Scripted()
    dependencies = ExplainerDependencies(model, ExplainConfig(n_samples=1), seed=0)
    explainer = spec.build(dependencies)
    asyncio.run(explainer.explain(hostile_inputs(3)))
    assert explainer.name == spec.name
    assert bool(model.requests) == bool(explainer.prompts) == (Need.LLM in spec.needs)


@each_explainer
def test_an_explainer_that_asks_an_llm_cannot_be_built_without_one(spec: ExplainerSpec) -> None:
    dependencies = ExplainerDependencies(None, ExplainConfig(), seed=0)
    if Need.LLM not in spec.needs:
        assert spec.build(dependencies).name == spec.name
        return
    with pytest.raises(InputError, match="asks an LLM"):
        spec.build(dependencies)


@pytest.mark.parametrize(
    ("need", "without"),
    [
        (Need.SUBJECT, {"probe": None}),
        (Need.NEGATIVES, {"negatives": ()}),
        (Need.INPUTS, {"records": replace(hostile_inputs(3).records, contexts=None)}),
        (Need.LOGIT_EFFECTS, {"promoted": (), "suppressed": ()}),
    ],
)
def test_an_explainer_without_what_it_needs_fails_with_a_reason_and_others_do_not_mind(
    need: Need, without: dict[str, object]
) -> None:
    inputs, reply = hostile_inputs(3), '{"explanation": "rivers"}'
    for spec in EXPLAINERS:
        model = ScriptedModel(lambda _: reply)
        dependencies = ExplainerDependencies(model, ExplainConfig(n_samples=1), seed=0)
        explainer = spec.build(dependencies)
        lacking = asyncio.run(explainer.explain(replace(inputs, **without)))  # type: ignore[arg-type]
        if need in spec.needs:
            assert lacking.failures[0].startswith(f"{spec.name}: ")
        elif Need.SUBJECT not in spec.needs:
            assert lacking == asyncio.run(explainer.explain(inputs))


def test_a_scorer_without_the_subject_model_says_so_and_others_do_not_mind() -> None:
    windows = hostile_windows()
    for spec in SCORERS:
        scorer = spec.build(ScorerDependencies(Scripted(), ScoreConfig(), POOL, embedder=Lengths))
        lacking = asyncio.run(scorer.score(said("rivers"), replace(windows, probe=None)))
        if Need.SUBJECT in spec.needs:
            assert "the subject model is not at hand" in (lacking.score(spec.headline).reason or "")
        else:
            assert lacking == asyncio.run(scorer.score(said("rivers"), windows))
