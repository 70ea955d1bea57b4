"""The questions and answers behind a unit's scores: as JSON and as a page."""

from __future__ import annotations

from functools import partial

from fastapi import APIRouter, Response

from autointerp.api.app_state import AppState, Reader, State
from autointerp.api.routes.html_pages import html_page
from autointerp.api.routes.responses import JSON, answers, json_of, problems
from autointerp.api.routes.units import Hook, Index, Model
from autointerp.api.schemas.trial_schemas import (
    JudgedTrial,
    QuestionOut,
    ScorerTrialsOut,
    TrialsPage,
    TurnOut,
)
from autointerp.api.store_reads import in_thread
from autointerp.api.unit_pages import labels_of, unit_of
from autointerp.core.errors import AutointerpError
from autointerp.core.explanations import Label
from autointerp.core.ids import UnitId
from autointerp.core.scores import Trial
from autointerp.core.unreadable import if_readable
from autointerp.llm.kept_replies import KeptReplies
from autointerp.pipeline.asked_questions import ScorerTrials, asked_questions
from autointerp.web.page_links import Links
from autointerp.web.page_templates import render

router = APIRouter(prefix="/v1/models/{model}", tags=["labels"])
pages_router = APIRouter(include_in_schema=False)


@router.get(
    "/units/{hook}/{index}/trials",
    responses=answers(200, TrialsPage, "The questions.") | problems(404),
)
async def get_trials(
    model: Model, hook: Hook, index: Index, state: State, _caller: Reader
) -> Response:
    """Shows every question behind a unit's scores, with the reply where it is kept."""
    page = await in_thread(partial(_trials_page, state, unit_of(model, hook, index)))
    return Response(json_of(page), media_type=JSON)


@pages_router.get("/models/{model}/units/{hook}/{index}/trials")
@html_page
async def trials_page(model: Model, hook: Hook, index: Index, state: State, _caller: Reader) -> str:
    """Shows the same in a browser."""
    unit = unit_of(model, hook, index)
    page = await in_thread(partial(_trials_page, state, unit))
    return render("trials.html", {"links": Links(), "unit": unit, "page": page})


def _trials_page(state: AppState, unit: UnitId) -> TrialsPage:
    store, unreadable = state.indexes.store(unit.subject), list[AutointerpError]()
    addresses = [provider.base_url for provider in state.config.providers.values()]
    find = KeptReplies(state.config.replies, addresses).find
    shown = []
    for label in labels_of(partial(store.get_sides, unit), unit, unreadable):
        read = partial(store.get_sets, unit, label.side, label.origin)
        sets = if_readable(read, unreadable.append)
        shown += [_scorer_out(label, one) for one in asked_questions(label, sets, find)]
    return TrialsPage(unit=str(unit), scorers=shown, unreadable=[str(e) for e in unreadable])


def _scorer_out(label: Label, one: ScorerTrials) -> ScorerTrialsOut:
    questions = [
        QuestionOut(
            turns=[TurnOut(role=role, text=text) for role, text in question.turns],
            reply=question.reply,
            windows=list(question.windows),
        )
        for question in one.questions
    ]
    return ScorerTrialsOut(
        side=label.side,
        scorer=one.scorer,
        explanation=one.explanation,
        trials=[_trial_out(trial) for trial in one.trials],
        questions=questions,
        note=one.note,
    )


def _trial_out(trial: Trial) -> JudgedTrial:
    return JudgedTrial(
        window=trial.window,
        stratum=trial.stratum,
        weight=trial.weight,
        verdict=trial.verdict,
        probability=trial.probability,
        predicted_peak=None if trial.predicted is None else max(trial.predicted, default=0.0),
        failure=trial.failure,
    )
