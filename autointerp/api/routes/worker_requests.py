"""What only a worker can answer: live activations, scores of a person's explanation."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, TypeVar

from fastapi import APIRouter, Response
from pydantic import BaseModel, ValidationError

from autointerp.api.api_config import Caller
from autointerp.api.app_state import AppState, State, Submitter
from autointerp.api.middleware.request_log import audit
from autointerp.api.problems import Problem
from autointerp.api.request_checks import check_llm_model, check_units, facts_of, read_units
from autointerp.api.routes.responses import JSON, answers, json_of, problems
from autointerp.api.routes.units import Hook, Index, Model
from autointerp.api.schemas.worker_request_schemas import (
    ActivationsOut,
    ActivationsRequest,
    ExplanationRequest,
    ExplanationScores,
    GivenText,
)
from autointerp.api.store_reads import in_thread
from autointerp.api.unit_pages import labels_of, result_out, unit_of
from autointerp.core.config import Budget, JobSpec
from autointerp.core.errors import UpstreamError
from autointerp.core.ids import Side, UnitId
from autointerp.core.one_line import shortened
from autointerp.core.scores import ScorerResult
from autointerp.core.unit_spec import MOST_READ
from autointerp.pipeline.given_explanation import PERSON, given_explanation
from autointerp.scorers import scorers_named

router = APIRouter(prefix="/v1", tags=["workers"])

# A text of more is refused before a worker counts its tokens.
_CHARACTERS_A_TOKEN = 8
_AGAIN_S = 10
T = TypeVar("T", bound=BaseModel)


class _Scored(BaseModel):
    """What a worker sends back of an explanation."""

    results: tuple[ScorerResult, ...]
    kept_as: str | None = None


@router.post(
    "/activations",
    responses=answers(200, ActivationsOut, "One value a unit and token.")
    | problems(404, 504, body=True),
)
async def activations(asked: ActivationsRequest, state: State, caller: Submitter) -> Response:
    """Runs a text, or the tokens of one, through the model and reads the named units."""
    refuse_unknown_model(state, asked.model)
    units = read_units(asked.units)
    # Files that units may name are those that a job may name.
    state.job_service.policy.check(
        JobSpec(subject=asked.model, units=asked.units, llm="none"), Budget()
    )
    check_text(state, asked)
    facts = await in_thread(partial(facts_of, state.backend.jobs, asked.model))
    check_units(units, facts, limit=MOST_READ)
    payload = asked.model_dump(exclude_none=True)
    reply = await ask_worker(state, caller, "activations", payload, state.config.activations_s)
    result = read_reply(ActivationsOut, {**reply, "tokenized": asked.token_ids is None})
    refuse_too_long(state, len(result.tokens))
    return Response(json_of(result), media_type=JSON)


def check_text(state: AppState, asked: GivenText) -> None:
    """Refuses what is neither a text nor tokens, or both, or surely too long.

    Raises:
        Problem: 422.
    """
    if (asked.text is None) == (asked.token_ids is None):
        given = "neither" if asked.text is None else "both"
        raise Problem(422, "invalid_request", f"give a text or token_ids; found {given}")
    refuse_too_long(state, len(asked.token_ids or ()))
    most = state.config.limits.text_tokens
    if len(asked.text or "") > _CHARACTERS_A_TOKEN * most:
        detail = f"the text has {len(asked.text or ''):,} characters; send at most {most:,} tokens"
        raise Problem(422, "text_too_long", detail)


def refuse_too_long(state: AppState, n_tokens: int) -> None:
    """Refuses a text of so many tokens where that is more than the server reads.

    Raises:
        Problem: 422.
    """
    most = state.config.limits.text_tokens
    if n_tokens > most:
        detail = f"the text has {n_tokens:,} tokens; send at most {most:,}"
        raise Problem(422, "text_too_long", detail)


@router.post(
    "/models/{model}/units/{hook}/{index}/explanations",
    responses=answers(200, ExplanationScores, "Scores of every scorer that was asked for.")
    | problems(404, 409, 504, body=True),
)
async def score_explanation(  # noqa: PLR0913, PLR0917 - the parts of the path are parameters
    asked: ExplanationRequest,
    model: Model,
    hook: Hook,
    index: Index,
    state: State,
    caller: Submitter,
) -> Response:
    """Scores an explanation of your own on the same held-out windows as the unit's label."""
    unit = unit_of(model, hook, index)
    if asked.llm not in state.job_service.policy.llms:
        known = ", ".join(state.job_service.policy.llms)
        detail = f"unknown llm {shortened(asked.llm)}; this server has {known}"
        raise Problem(422, "llm_unknown", detail)
    check_llm_model(state.config, asked.llm, asked.llm_model)
    explanation = given_explanation(asked.text, asked.program, explainer=PERSON)
    scorers_named(asked.scorers or ())
    side = await in_thread(partial(_side, state, unit, asked))
    payload = asked.model_dump(mode="json", exclude={"keep"}) | {"unit": str(unit), "side": side}
    if asked.keep:
        payload["keep_as"] = f"{PERSON}:{caller.name}"
    reply = await ask_worker(state, caller, "explanation", payload, state.config.scoring_s)
    scored = read_reply(_Scored, reply)
    result = ExplanationScores(
        unit=str(unit),
        side=side,
        text=explanation.text,
        program=explanation.program,
        kept_as=scored.kept_as,
        results=[result_out(r) for r in scored.results],
    )
    return Response(json_of(result), media_type=JSON)


def refuse_unknown_model(state: AppState, model: str) -> None:
    """Refuses a model that the server does not load.

    Raises:
        Problem: 422.
    """
    if model not in state.job_service.policy.models:
        known = ", ".join(state.job_service.policy.models)
        raise Problem(
            422, "model_unknown", f"unknown model {shortened(model)}; this server has {known}"
        )


def _side(state: AppState, unit: UnitId, asked: ExplanationRequest) -> Side:
    labels = labels_of(partial(state.indexes.store(unit.subject).get_sides, unit), unit, [])
    sides = [label.side for label in labels]
    if asked.side is None and len(sides) > 1:
        detail = "both sides of the unit have labels; say which one with side"
        raise Problem(422, "side_missing", detail)
    if asked.side is not None and asked.side not in sides:
        detail = f"the {asked.side} side of {unit} has no label, and so no held-out windows"
        raise Problem(404, "label_unknown", detail)
    return asked.side or sides[0]


async def ask_worker(
    state: AppState, caller: Caller, kind: str, payload: Mapping[str, Any], wait_s: float
) -> Mapping[str, Any]:
    """A worker's reply to a request of this kind.

    Raises:
        Problem: the caller asks too often, or no worker answers in time.
        InputError: the worker refuses the request.
        UpstreamError: what the worker needs cannot be reached.
    """
    retry_after_s = state.submits.take(caller.name)
    if retry_after_s:
        raise Problem.wait("too_many_requests", "this key asks workers too often", retry_after_s)
    state.worker_calls.check("", "requests to workers")
    audit("ask", kind=kind, key=caller.name)
    with state.worker_calls.one(""):
        reply = await in_thread(
            partial(state.job_service.call_worker, kind, payload, wait_s=wait_s),
            state.waiting_threads,
        )
    if reply is None:
        detail = f"no worker answered within {wait_s:g} s; ask again, or start more workers"
        raise Problem.wait("no_answer", detail, _AGAIN_S, status=504)
    return reply


def read_reply(model: type[T], reply: Mapping[str, Any]) -> T:
    """A worker's reply as a value.

    Raises:
        UpstreamError: it is of another version.
    """
    try:
        return model.model_validate(reply)
    except ValidationError as error:
        msg = "a worker of another version answered; run one version everywhere"
        raise UpstreamError(msg, retryable=False) from error
