"""The parts of the service, built from settings: for the API, and for workers."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretStr

from autointerp.core.config import EMBEDDED, NO_LLM, JobSpec
from autointerp.core.errors import AutointerpError, InputError
from autointerp.core.files import read_file
from autointerp.core.json_text import parse_json
from autointerp.core.llm_providers import DEFAULT, Provider, read_providers
from autointerp.core.model_shape import ModelShape, known_shape, shape_of_config
from autointerp.dictionary import row_json
from autointerp.dictionary.finished_rows import finished_rows
from autointerp.orchestration import JobService, Send, SubmissionPolicy
from autointerp.orchestration.job_service import SendRequest
from autointerp.settings import Settings
from autointerp.store.artifacts import Artifacts
from autointerp.store.jobs import JobBackend
from autointerp.store.jobs.redis_backend import redis_backend
from autointerp.store.labels import LabelStores
from autointerp.store.labels.stores import open_label_stores
from autointerp.store.redis_connection import RedisConnection


@dataclass(frozen=True, slots=True)
class Backends:
    """Where the service stores everything."""

    backend: JobBackend
    artifacts: Artifacts
    stores: LabelStores


def open_backends(settings: Settings, *, patience_s: float = 120.0) -> Backends:
    """The jobs, the stores and the artifacts that the settings name.

    A command is tried for `patience_s` while Redis cannot be reached: a worker has time, a caller
    of the API has not.

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
    stores = open_label_stores(
        settings.store or url, artifacts, row_json, finished_rows, patience_s=patience_s
    )
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


def providers_of(settings: Settings) -> dict[str, Provider]:
    """Endpoints by alias; ``default`` is the one that the settings name.

    Raises:
        InputError: the file of providers cannot be used.
    """
    providers = {} if settings.providers is None else read_providers(settings.providers)
    if settings.llm_base_url is not None and DEFAULT not in providers:
        models = (settings.llm_model,) if settings.llm_model else ()
        providers[DEFAULT] = Provider(
            base_url=settings.llm_base_url,
            models=models,
            max_in_flight=settings.llm_max_in_flight,
            rpm=settings.llm_rpm,
            tpm=settings.llm_tpm,
        )
    return providers


def known_llms(settings: Settings) -> tuple[str, ...]:
    """Every alias that a job may name."""
    return (NO_LLM, EMBEDDED, *sorted(providers_of(settings)))


def known_models(settings: Settings) -> dict[str, str]:
    """Every subject that a job may name, and what to load for it."""
    sources = {}
    for entry in settings.models:
        name, named, source = entry.partition("=")
        if named:
            sources[name.strip()] = source.strip()
        else:
            sources[name.rstrip("/").rsplit("/", 1)[-1].removesuffix(".gguf")] = name
    return sources


def known_shapes(settings: Settings) -> dict[str, ModelShape]:
    """The sizes of subjects that are known without a worker: of well-known models, of folders here.

    The others are left out.
    """
    found = {name: _shape(name, source) for name, source in known_models(settings).items()}
    return {name: shape for name, shape in found.items() if shape is not None}


def _shape(name: str, source: str) -> ModelShape | None:
    try:
        config = read_file(Path(source).expanduser() / "config.json")
        return known_shape(source) if config is None else shape_of_config(name, parse_json(config))
    except (AutointerpError, OSError, RuntimeError, TypeError, ValueError, AttributeError):
        return None  # A worker says what is wrong with it.


def resolved(spec: JobSpec, settings: Settings) -> tuple[JobSpec, Settings]:
    """The job with the address of its LLM, and the settings with the key and limits for it.

    Raises:
        InputError: there is no such alias, or its endpoint lacks the model or the key.
    """
    if spec.llm in {NO_LLM, EMBEDDED}:
        return spec, settings
    provider = providers_of(settings).get(spec.llm)
    if provider is None:
        known = ", ".join(known_llms(settings))
        raise InputError(f"unknown llm {spec.llm!r}; this server has {known}")
    url, model = provider.base_url, provider.model_for(spec.llm_model)
    limits = {
        "llm_max_in_flight": provider.max_in_flight,
        "llm_rpm": provider.rpm,
        "llm_tpm": provider.tpm,
    }
    key = _key(provider, os.environ) if provider.key_env else settings.llm_api_key
    if provider.key_env is None and spec.llm != DEFAULT:
        key = None
    headers = settings.llm_headers if spec.llm == DEFAULT else SecretStr("")
    return (
        spec.model_copy(update={"llm": url, "llm_model": model}),
        settings.model_copy(update={"llm_api_key": key, "llm_headers": headers, **limits}),
    )


def _key(provider: Provider, environment: Mapping[str, str]) -> SecretStr:
    name = provider.key_env or ""
    if not environment.get(name):
        msg = f"the key of this llm is not set on the worker: its environment has no {name}"
        raise InputError(msg)
    return SecretStr(environment[name])
