"""What routes are given: the application's state and the caller; a fast path for frequent reads."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Annotated, Any, TypeVar

import anyio
from fastapi import Depends, Request, Response
from fastapi.routing import APIRoute
from fastapi.security import APIKeyHeader, HTTPBearer
from typing_extensions import override

from autointerp.api.api_config import ApiConfig, Caller, Scope
from autointerp.api.browser_sessions import BrowserSessions, KeyChecks
from autointerp.api.dictionary_files import DictionaryFiles
from autointerp.api.label_indexes import LabelIndexes
from autointerp.api.label_maxima import LabelMaximaCache
from autointerp.api.llm_probes import LlmProbes
from autointerp.api.problems import Problem
from autointerp.api.request_limits import ConcurrencyLimit, RateLimits
from autointerp.api.semantic_search import SemanticSearch
from autointerp.api.served_comparisons import ServedComparisons
from autointerp.api.served_rescorings import ServedRescorings
from autointerp.api.store_reads import BatchedReads, CombinedReads
from autointerp.api.unit_pages import UnitPages
from autointerp.orchestration import JobService
from autointerp.store.jobs import JobBackend
from autointerp.store.labels import LabelStores

# Both are checked by AuthMiddleware, before the routes; here they are for OpenAPI.
_BEARER = HTTPBearer(auto_error=False, scheme_name="bearer", description="An API key.")
_LISTS = frozenset({"state", "kind"})
"""Query parameters that may be repeated."""
_API_KEY = APIKeyHeader(
    name="x-api-key", auto_error=False, scheme_name="apiKey", description="An API key."
)
Arguments = Mapping[str, Any]
Take = Callable[[Request], Arguments | None]
Read = TypeVar("Read", bound=Callable[..., Awaitable[Response]])
_TAKES: dict[Callable[..., Any], Take] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """Everything that the API is built on."""

    backend: JobBackend
    stores: LabelStores
    job_service: JobService
    config: ApiConfig = field(default_factory=ApiConfig)


@dataclass(frozen=True, slots=True, kw_only=True)
class AppState(Services):
    """The services, and what one running application keeps beside them."""

    indexes: LabelIndexes
    downloads: DictionaryFiles
    unit_pages: UnitPages
    key_checks: KeyChecks
    sessions: BrowserSessions
    submits: RateLimits
    streams: ConcurrencyLimit
    worker_calls: ConcurrencyLimit
    semantic_search: SemanticSearch
    label_maxima: LabelMaximaCache
    comparisons: ServedComparisons
    rescorings: ServedRescorings
    batched_reads: BatchedReads
    combined_reads: CombinedReads
    llm_probes: LlmProbes
    waiting_threads: anyio.CapacityLimiter
    """For waits that last; other calls have threads of their own."""


def app_state_of(services: Services) -> AppState:
    """What an application starts with."""
    config, limits = services.config, services.config.limits
    indexes = LabelIndexes(
        services.stores,
        refresh_s=config.refresh_s,
        folder=config.indexes,
        address=config.store_address,
    )
    reading = BatchedReads()
    return AppState(
        backend=services.backend,
        stores=services.stores,
        job_service=services.job_service,
        config=config,
        indexes=indexes,
        downloads=DictionaryFiles(config.folder, indexes),
        unit_pages=UnitPages(),
        key_checks=KeyChecks(config.keys, wrong_keys_per_s=limits.wrong_keys_per_s),
        sessions=BrowserSessions(config.keys, services.backend.jobs),
        submits=RateLimits(limits.submits_per_min / 60, limits.submits_per_min),
        streams=ConcurrencyLimit(limits.streams_of_key),
        worker_calls=ConcurrencyLimit(limits.worker_calls),
        semantic_search=SemanticSearch(
            partial(services.job_service.call_worker, wait_s=config.activations_s),
            config.folder / "meaning",
        ),
        label_maxima=LabelMaximaCache(),
        comparisons=ServedComparisons(indexes),
        rescorings=ServedRescorings(config.rescored),
        batched_reads=reading,
        combined_reads=CombinedReads(reading),
        llm_probes=LlmProbes(),
        waiting_threads=anyio.CapacityLimiter(limits.worker_calls + 16),
    )


# Both are coroutines, so that no thread is needed to call them.
async def _app_state(request: Request) -> AppState:
    result: AppState = request.app.state.app_state
    return result


async def refuse_repeated(request: Request) -> None:
    """Refuses a query parameter that is given twice, of which FastAPI would take the last.

    Raises:
        Problem: 422.
    """
    names = [name for name, _ in request.query_params.multi_items() if name not in _LISTS]
    for name, n in Counter(names).items():
        if n > 1:
            raise Problem(
                422, "invalid_request", f"query.{name}: it is given {n} times; give it once"
            )


class _Needs:
    """The caller, who must have a scope."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope

    async def __call__(
        self,
        request: Request,
        _bearer: Annotated[object, Depends(_BEARER)],
        _header: Annotated[object, Depends(_API_KEY)],
    ) -> Caller:
        caller: Caller | None = request.scope.get("state", {}).get("caller")
        if caller is None:
            raise Problem(401, "key_missing", "this needs an API key")
        if self._scope not in caller.scopes:
            detail = f"this API key lacks the scope {self._scope}"
            raise Problem(403, "scope_missing", detail)
        return caller


State = Annotated[AppState, Depends(_app_state)]
Reader = Annotated[Caller, Depends(_Needs(Scope.READ))]
Submitter = Annotated[Caller, Depends(_Needs(Scope.SUBMIT))]


def fast_path(take: Take) -> Callable[[Read], Read]:
    """Marks a route of a router of `FastPathRoute`.

    `take` gives the route's arguments, or None for a request that FastAPI shall look at.
    """

    def mark(read: Read) -> Read:
        _TAKES[read] = take
        return read

    return mark


class FastPathRoute(APIRoute):
    """A route that may be marked with `fast_path`."""

    @override
    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        usual, read = super().get_route_handler(), self.endpoint
        take = _TAKES.get(read)
        if take is None:
            return usual

        async def handle(request: Request) -> Response:
            arguments = take(request)
            if arguments is None:
                return await usual(request)
            response: Response = await read(**arguments)
            return response

        return handle


def reader_of(request: Request) -> tuple[AppState, Caller] | None:
    """The state, and the caller where it may read."""
    caller: Caller | None = request.scope.get("state", {}).get("caller")
    if caller is None or Scope.READ not in caller.scopes:
        return None
    return request.app.state.app_state, caller
