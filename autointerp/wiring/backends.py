"""The parts of the service, built from settings: for the API, and for workers."""

from __future__ import annotations

from dataclasses import dataclass

from autointerp.core.errors import InputError
from autointerp.dictionary import row_json
from autointerp.orchestration import JobService, Send, SubmissionPolicy
from autointerp.orchestration.job_service import SendRequest
from autointerp.settings import Settings
from autointerp.store.artifacts import Artifacts
from autointerp.store.jobs import JobBackend
from autointerp.store.jobs.redis_backend import redis_backend
from autointerp.store.labels import LabelStores
from autointerp.store.labels.stores import open_label_stores
from autointerp.store.redis_connection import RedisConnection
from autointerp.wiring.providers import known_llms, known_models


@dataclass(frozen=True, slots=True)
class Backends:
    """Where the service stores everything."""

    backend: JobBackend
    artifacts: Artifacts
    stores: LabelStores


def open_backends(settings: Settings, *, patience_s: float = 120.0) -> Backends:
    """The jobs, the stores and the artifacts that the settings name.

    Args:
        settings: of this process.
        patience_s: how long a command goes on trying while Redis cannot be reached. A worker has
            time, a caller of the API has not.

    Raises:
        InputError: the settings name no Redis, or cannot be used together.
        UpstreamError: Redis cannot be reached.
    """
    url = settings.redis_url
    if url is None:
        msg = "the service needs Redis: set AUTOINTERP_REDIS_URL, or use serve --embedded"
        raise InputError(msg)
    artifacts = Artifacts(
        settings.artifacts or str(settings.data_dir / "artifacts"),
        cache=settings.cache_dir / "artifacts",
    )
    stores = open_label_stores(settings.store or url, artifacts, row_json, patience_s=patience_s)
    return Backends(redis_backend(RedisConnection(url, patience_s=patience_s)), artifacts, stores)


def submission_policy(settings: Settings) -> SubmissionPolicy:
    """What callers may ask for."""
    return SubmissionPolicy(
        models=tuple(known_models(settings)),
        llms=known_llms(settings),
        corpora=settings.corpora,
        folders=settings.folders,
    )


def build_job_service(
    settings: Settings, backends: Backends, *, send: Send, send_request: SendRequest
) -> JobService:
    """What the API submits through; nothing of it needs torch."""
    return JobService(
        backends.backend,
        backends.artifacts,
        send=send,
        send_request=send_request,
        policy=submission_policy(settings),
    )
