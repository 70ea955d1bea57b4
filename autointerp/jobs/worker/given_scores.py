"""A person's explanation of a unit, scored on the held-out windows of its label, and kept."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from autointerp.core.config import JobSpec, ScoreConfig
from autointerp.core.errors import InputError
from autointerp.core.explanations import Explanation, Label, LabelStatus
from autointerp.core.ids import Side, UnitId
from autointerp.core.records import UnitSets
from autointerp.core.scores import ScorerResult
from autointerp.core.seeds import derive_seed
from autointerp.core.variants import Need
from autointerp.jobs.worker.resources import LoadedModels, WorkerDependencies
from autointerp.llm import CostLog
from autointerp.pipeline import JobVariants, check_job
from autointerp.pipeline.given_explanation import (
    PERSON,
    beside_label,
    given_explanation,
    kept_label,
    scoring_job,
)
from autointerp.scorers import Programs, scorers_named
from autointerp.scorers.scorer_inputs import ScoringSet
from autointerp.store.labels import LabelStore

_RESULTS = TypeAdapter(tuple[ScorerResult, ...])


class ScoringRequest(BaseModel):
    """What the API sends; see `ExplanationRequest`."""

    model_config = ConfigDict(extra="forbid")

    unit: str
    side: Side
    text: str | None = None
    program: str | None = None
    scorers: tuple[str, ...] | None = None
    n_heldout: int | None = None
    windows_per_call: int = 1
    llm: str
    llm_model: str | None = None
    seed: int | None = Field(default=None, ge=0)
    keep_as: str | None = None


async def score_given(
    deps: WorkerDependencies, models: LoadedModels, asked: ScoringRequest
) -> dict[str, Any]:
    """The scores, for JSON, with the paired difference to the unit's label where it has one.

    Raises:
        InputError: it cannot be scored: no held-out windows, or no LLM for words.
        UpstreamError: the LLM cannot be used.
    """
    unit = UnitId.parse(asked.unit)
    store = deps.stores.of(unit.subject)
    label = store.get_label(unit, asked.side)
    seed = asked.seed if asked.seed is not None else label.provenance.seed if label else 0
    sets = store.get_sets(unit, asked.side, label.origin if label else None)
    windows = _windows(sets, unit, asked, seed)
    explanation = given_explanation(asked.text, asked.program, explainer=asked.keep_as or PERSON)
    # A dictionary may be served under another name than its subject's.
    spec = _job(asked, label.unit if label is not None else unit, explanation, seed)
    variants = JobVariants.of(spec)
    _refuse_comparing(variants)
    if variants.need(Need.SUBJECT):
        windows = replace(windows, probe=models.probe(spec))
    model = deps.open_llm(spec, None, CostLog())
    try:
        tools = deps.build_tools(spec, model, (unit,))
        judge = tools.judge(explanation)
        scorers = [s for s in (judge, *tools.further) if s is not None]
        names = {scorer.name for scorer in scorers_named(asked.scorers or ())}
        wanted = [s for s in scorers if s.name in names or s.name == Programs.name] or scorers
        if not wanted:
            raise InputError(
                "scoring an explanation in words needs an LLM; name one of the server's, a "
                "scorer without one (embedding), or give a program in place of the text"
            )
        results: Sequence[ScorerResult] = await asyncio.gather(
            *(scorer.score(explanation, windows) for scorer in wanted)
        )
    finally:
        if model is not None:
            await model.close()
    kept = False
    if label is not None:
        results = [beside_label(one, label, windows) for one in results]
    if label is not None and sets is not None and asked.keep_as is not None:
        asked_llm = model is not None and not explanation.needs_no_llm
        name = model.name if asked_llm and model is not None else None
        made = kept_label(label, explanation, results, scorer_model=name)
        kept = made is not None and _keep(store, made, sets)
    return {
        "unit": str(unit),
        "side": asked.side.value,
        "text": explanation.text,
        "results": _RESULTS.dump_python(tuple(results), mode="json"),
        "kept_as": asked.keep_as if kept else None,
    }


def _job(asked: ScoringRequest, unit: UnitId, explanation: Explanation, seed: int) -> JobSpec:
    score = ScoreConfig(scorers=asked.scorers, windows_per_call=asked.windows_per_call)
    asked_for = JobSpec(
        subject=unit.subject,
        units=f"{unit.hook}:{unit.index}",
        score=score,
        llm=asked.llm,
        llm_model=asked.llm_model,
        seed=seed,
    )
    spec = scoring_job(asked_for, (explanation,))
    check_job(spec)
    return spec


def _windows(sets: UnitSets | None, unit: UnitId, asked: ScoringRequest, seed: int) -> ScoringSet:
    if sets is None or not sets.held_out.records:
        raise InputError(f"{unit} ({asked.side}) has no held-out windows; label it first")
    config = ScoreConfig()
    made = ScoringSet.of(
        sets.held_out,
        seed=derive_seed(seed, "bootstrap", str(unit), asked.side),
        n_bootstrap=config.n_bootstrap,
        confidence=config.confidence,
    )
    return made if asked.n_heldout is None else made.first(asked.n_heldout)


def _keep(store: LabelStore, made: Label, sets: UnitSets) -> bool:
    """Whether it was put beside the newest label of its side, which stays that."""
    # A job may have put another since the one that was compared was read.
    newest = store.get_label(made.unit, made.side)
    if newest is None or newest.status is LabelStatus.FAILED:
        # It would be the only one that says something.
        return False
    store.put_kept(made, sets)
    return True


def _refuse_comparing(variants: JobVariants) -> None:
    for scorer in variants.further:
        if max(scorer.fewest_labels, scorer.fewest_units) > 1:
            msg = f"scorer {scorer.name} compares a unit with others; submit a job that names it"
            raise InputError(msg)
