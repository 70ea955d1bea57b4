"""What routes are given: the services, the caller, and what a route needs of either."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Annotated, Any, Protocol

import anyio
from fastapi import Depends, Request
from fastapi.security import APIKeyHeader, HTTPBearer

from autointerp.api.batches import Batches
from autointerp.api.config import ApiConfig
from autointerp.api.dictionary_files import DictionaryFiles
from autointerp.api.indexes import Indexes
from autointerp.api.keys import Caller, Scope
from autointerp.api.meaning import Meanings
from autointerp.api.problems import Problem
from autointerp.api.rates import Rates
from autointerp.api.shared_reads import SharedReads
from autointerp.api.waiting import Places
from autointerp.core.config import Budget, JobSpec
from autointerp.core.service import Job
from autointerp.orchestration import SubmissionPolicy
from autointerp.store.jobs import JobBackend
from autointerp.store.labels import LabelStores

# Both are looked at by the gate, which stands before the routes; here they are for OpenAPI.
_BEARER = HTTPBearer(auto_error=False, scheme_name="bearer", description="An API key.")
_LISTS = frozenset({"state", "kind"})
"""Query parameters that may be repeated."""
_API_KEY = APIKeyHeader(
    name="x-api-key", auto_error=False, scheme_name="apiKey", description="An API key."
)


class JobServicePort(Protocol):
    """What the API asks of the job service."""

    policy: SubmissionPolicy
    """What callers may ask for."""

    def submit(self, spec: JobSpec, budget: Budget, *, owner: str, key: str | None = None) -> Job:
        """Puts a job up, once for each idempotency key."""
        ...

    def cancel(self, job_id: str) -> Job:
        """Asks a job to stop; one that has ended stays as it is."""
        ...

    def retry(self, job_id: str) -> int:
        """Runs what failed or was not reached once more; how many labels."""
        ...

    def forget(self, job_id: str) -> None:
        """Removes an ended job; its labels stay."""
        ...

    def reach_artifacts(self) -> None:
        """Returns where the artifact store answers.

        Raises:
            UpstreamError: it does not.
            StorageError: the folder that it is cannot be looked into.
        """
        ...

    def call_worker(
        self, kind: str, payload: Mapping[str, object], *, wait_s: float
    ) -> dict[str, Any] | None:
        """A worker's reply to a question; None where none came in time.

        Raises:
            InputError: the worker says that it cannot be answered as asked.
            UpstreamError: what the worker needs cannot be reached.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """Everything that the API is built on."""

    backend: JobBackend
    stores: LabelStores
    job_service: JobServicePort
    config: ApiConfig = field(default_factory=ApiConfig)


@dataclass(frozen=True, slots=True)
class Kit:
    """The services, and what one running application keeps beside them."""

    backend: JobBackend
    stores: LabelStores
    job_service: JobServicePort
    config: ApiConfig
    indexes: Indexes
    files: DictionaryFiles
    submits: Rates
    streams: Places
    questions: Places
    meanings: Meanings
    reading: Batches
    shared: SharedReads
    threads: anyio.CapacityLimiter
    """For waits that last; other calls have threads of their own."""


def kit_of(services: Services) -> Kit:
    """What an application starts with."""
    config, limits = services.config, services.config.limits
    indexes = Indexes(services.stores, refresh_s=config.refresh_s)
    reading = Batches()
    return Kit(
        backend=services.backend,
        stores=services.stores,
        job_service=services.job_service,
        config=config,
        indexes=indexes,
        files=DictionaryFiles(config.folder, indexes),
        submits=Rates(limits.submits_per_min / 60, limits.submits_per_min),
        streams=Places(limits.streams_of_key),
        questions=Places(limits.questions),
        meanings=Meanings(
            partial(services.job_service.call_worker, wait_s=config.activations_s),
            config.folder / "meaning",
        ),
        reading=reading,
        shared=SharedReads(reading),
        threads=anyio.CapacityLimiter(limits.questions + 16),
    )


# Both are coroutines, so that no thread is needed to call them.
async def _kit(request: Request) -> Kit:
    found: Kit = request.app.state.kit
    return found


async def refuse_repeated(request: Request) -> None:
    """Refuses a query parameter that is given twice, of which FastAPI would take the last.

    Raises:
        Problem: 422.
    """
    names = [name for name, _ in request.query_params.multi_items() if name not in _LISTS]
    for name, n in Counter(names).items():
        if n > 1:
            raise Problem(422, "invalid_request", f"query.{name}: it may be given once, found {n}")


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


Asking = Annotated[Kit, Depends(_kit)]
Reader = Annotated[Caller, Depends(_Needs(Scope.READ))]
Submitter = Annotated[Caller, Depends(_Needs(Scope.SUBMIT))]
