"""What a worker does its work with, built from settings."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial

from autointerp.core.addresses import with_scheme
from autointerp.core.config import EMBEDDED, NO_LLM, Budget, JobSpec
from autointerp.core.errors import InputError, StorageError, UpstreamError
from autointerp.core.ids import UnitId
from autointerp.core.job_state import Job
from autointerp.core.limits import EndpointLimits
from autointerp.core.variants import Need
from autointerp.core.worker_metrics import WorkerMetrics
from autointerp.jobs.worker import LeaseTimes, WorkerDependencies
from autointerp.llm import ChatModel, ClientDependencies, CostLog, Meter, SharedLimits, Spent
from autointerp.llm.service_addresses import read_address
from autointerp.orchestration import Send
from autointerp.orchestration.plan import LABELS
from autointerp.orchestration.schedule import LLM_AWAITED
from autointerp.pipeline import JobVariants, Tools
from autointerp.settings import Settings
from autointerp.store.redis_limits import RedisLimitStore
from autointerp.subjects import SubjectModel, load_subject, read_gpus
from autointerp.wiring.backends import Backends, known_models, resolved
from autointerp.wiring.collection_runs import load_job_corpus
from autointerp.wiring.llms import (
    IN_FLIGHT,
    JobBudget,
    counter_of,
    open_llm,
    quote_of,
    units_at_once,
)
from autointerp.wiring.tools import build_tools, units_left

_LOG = logging.getLogger(__name__)


def build_worker_dependencies(
    settings: Settings, backends: Backends, send: Send
) -> WorkerDependencies:
    """Everything that a worker needs.

    Raises:
        InputError: the settings cannot be used.
    """
    wired = _Wired(settings, backends)
    return WorkerDependencies(
        backend=backends.backend,
        artifacts=backends.artifacts,
        stores=backends.stores,
        send=send,
        load_subject=wired.load_subject,
        load_corpus=load_job_corpus,
        open_llm=wired.open_llm,
        build_tools=wired.build_tools,
        at_once=wired.at_once,
        units_left=wired.units_left,
        metrics=wired.metrics,
        folder=settings.cache_dir / "begun",
        most_units=settings.limits_units,
        times=LeaseTimes(lease_s=settings.lease_s, poll_s=min(1.0, settings.lease_s / 8)),
    )


class _Wired:
    def __init__(self, settings: Settings, backends: Backends) -> None:
        self._settings, self._backends = settings, backends
        url = settings.redis_url
        self._limit_store = None if url is None else RedisLimitStore(url)
        self._meters: defaultdict[str, Meter] = defaultdict(Meter)

    def load_subject(self, name: str, dtype: str) -> SubjectModel:
        source = known_models(self._settings).get(name)
        if source is None:
            known = ", ".join(known_models(self._settings))
            raise InputError(f"unknown model {name!r}; this worker has {known}")
        subject = load_subject(
            source,
            dtype="bfloat16" if dtype == "bfloat16" else "float32",
            device=self._settings.device,
            cache_dir=self._settings.cache_dir,
        )
        subject.name = name
        return subject

    def open_llm(self, spec: JobSpec, job: Job | None, cost_log: CostLog) -> ChatModel | None:
        if not JobVariants.of(spec).need(Need.LLM):
            return None
        named, settings = resolved(spec, self._settings)
        budget = JobBudget() if job is None else JobBudget(job.budget)
        if budget.limits.usd is not None and quote_of(named, budget).price is None:
            raise InputError(
                f"a budget of ${budget.limits.usd:g} cannot be kept: {quote_of(named, budget).text}"
            )
        dependencies = self._dependencies(spec.llm, named.llm, settings, cost_log)
        if job is not None:
            on_event = partial(self._note_wait, job.id)
            dependencies = replace(dependencies, on_event=on_event)
        return open_llm(
            named, settings, budget=budget, cost_log=cost_log, dependencies=dependencies
        )

    def _note_wait(self, job_id: str, why: str) -> None:
        _LOG.warning("job %s: %s", job_id, why)
        # The next one is noted again.
        with suppress(UpstreamError, StorageError):
            self._backends.backend.jobs.put_note(job_id, LLM_AWAITED, why)

    def build_tools(self, spec: JobSpec, model: ChatModel | None, pool: Sequence[UnitId]) -> Tools:
        named, settings = resolved(spec, self._settings)
        return build_tools(named, model, pool=pool, counter=counter_of(named, settings))

    def at_once(self, spec: JobSpec) -> int:
        named, settings = resolved(spec, self._settings)
        return units_at_once(named, settings, None, JobBudget())

    def units_left(self, spec: JobSpec, budget: Budget, spent: Spent, a_unit: Spent | None) -> int:
        named, _ = resolved(spec, self._settings)
        return units_left(named, JobBudget(budget), spent, a_unit)

    def metrics(self) -> WorkerMetrics:
        llms = {alias: meter.reading for alias, meter in tuple(self._meters.items())}
        return WorkerMetrics(llms=llms, gpus=read_gpus())

    def _dependencies(
        self, alias: str, address: str, settings: Settings, cost_log: CostLog
    ) -> ClientDependencies:
        if alias == NO_LLM:
            return ClientDependencies()
        meter = self._meters[alias]
        cost_log.on_cost(meter.add_cost)
        limits = None if alias == EMBEDDED else self._limits(alias, address, settings)
        return ClientDependencies(limits=limits, meter=meter)

    def _limits(self, alias: str, address: str, settings: Settings) -> SharedLimits | None:
        """The limits of an endpoint, which all label workers share."""
        if self._limit_store is None:
            return None
        n = sum(worker.queue == LABELS for worker in self._backends.backend.workers.alive()) or 1
        limits = EndpointLimits(
            settings.llm_max_in_flight or n * IN_FLIGHT, settings.llm_rpm, settings.llm_tpm
        )
        endpoint = f"{alias} {read_address(with_scheme(address))[1]}"
        # A dead worker's places are free again before somebody else takes up its work.
        lease_s = self._settings.lease_s * 2 / 3
        return SharedLimits(self._limit_store, endpoint, limits, n_sharing=n, lease_s=lease_s)
