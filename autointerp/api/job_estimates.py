"""What a job would cost, by the code of ``autointerp plan``; what only a worker knows is said."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from autointerp.api.api_config import ApiConfig
from autointerp.api.request_checks import facts_of, named_units, read_units
from autointerp.api.schemas.estimate_schemas import (
    EstimateOut,
    LlmEstimate,
    StageTimeOut,
    WindowCounts,
)
from autointerp.api.schemas.job_schemas import JobRequest
from autointerp.core.config import EMBEDDED, Budget, JobSpec
from autointerp.core.model_shape import ModelShape
from autointerp.core.sizes import size_text, time_text
from autointerp.core.text import Split
from autointerp.core.unit_spec import IndexRange, RandomItem, UnitSpec
from autointerp.llm import Ledger, Quote, Spent, estimate_job, read_prices
from autointerp.llm.prices import PriceTable
from autointerp.orchestration.counted_units import UntoldUnitsError
from autointerp.orchestration.evidence_cost import evidence_cost
from autointerp.orchestration.job_estimate import JobEstimate
from autointerp.orchestration.job_outlook import JobOutlook, asks_llm, job_outlook
from autointerp.orchestration.machine_speed import this_machine
from autointerp.orchestration.planned_text import PlannedText
from autointerp.pipeline import with_stored_names
from autointerp.pipeline.planned_llm_calls import budget_reach, planned_calls
from autointerp.store.jobs import JobBackend

_ANY_VOCABULARY = 1 << 17
"""Windows are counted without it, distinct tokens are not."""
_OF_PLAN = (
    *("machine", "seconds", "cpu_s", "stages"),
    *("reader_memory", "worker_memory", "artifacts", "store"),
)


@dataclass(slots=True)
class _Found:
    """What is known of a job before a worker has seen it."""

    job: JobSpec
    quote: Quote | None
    outlook: JobOutlook | None = None
    n_units: int | None = None
    n_labels: int | None = None
    unknown: list[str] = field(default_factory=list)

    @property
    def llm(self) -> Ledger | None:
        """What the LLM is asked; None where there is none, or units are not counted."""
        if self.quote is None or self.n_labels is None:
            return None
        return estimate_job(self.n_labels, planned_calls(self.job), self.quote.price)


def estimate(asked: JobRequest, config: ApiConfig, backend: JobBackend) -> EstimateOut:
    """What the job would need, of a request that may be submitted.

    Raises:
        InputError: its windows do not fit the model, or its units are not there or too few.
    """
    job = with_stored_names(asked.spec)
    queues = [worker.queue for worker in backend.workers.alive()]
    n_workers, n_readers = (max(1, queues.count(q)) for q in ("labels", "activations"))
    found = _Found(job, _quote(job, config) if asks_llm(job) else None)
    facts = facts_of(backend.jobs, job.subject)
    shape = (facts and facts.shape) or config.shapes.get(job.subject)
    if shape is None:
        found.unknown.append(
            f"time, memory and disk: the sizes of {job.subject} are not known before a worker has "
            "loaded it once, as its first job does"
        )
    elif job.evidence is None:
        _plan(found, shape, n_workers=n_workers, n_readers=n_readers)
    if found.outlook is None:
        spec = read_units(job.units)
        # What is not counted here is left out of the number.
        found.n_units = named_units(spec, facts) if _is_counted(spec) else None
        n = found.n_units
        found.n_labels = n if n is None or job.sides != "both" else 2 * n
        if n is None:
            found.unknown.append(f"how many units {job.units} are: a worker counts them")
    if job.evidence is not None:
        return _of_evidence(found, shape, n_workers=n_workers, n_readers=n_readers)
    return _shown(found, asked.budget.to_budget(), n_workers=n_workers, n_readers=n_readers)


def _of_evidence(
    found: _Found, shape: ModelShape | None, *, n_workers: int, n_readers: int
) -> EstimateOut:
    """Forward passes and their time; no labels are made and no LLM is asked."""
    found.n_labels = 0
    out = _shown(found, Budget(), n_workers=n_workers, n_readers=n_readers)
    kind = found.job.evidence.kind if found.job.evidence else ""
    if found.n_units is None:
        return out.model_copy(update={"text": f"{kind} of units that a worker counts"})
    machine = this_machine()
    cost = evidence_cost(found.job, found.n_units, shape, machine, n_readers=n_readers)
    text = (
        f"{kind} of {_counted(found.n_units, 'unit')}; at most about {cost.n_tokens:,} tokens in "
        "forward passes"
    )
    if cost.seconds is None:
        return out.model_copy(update={"text": text})
    seconds = round(cost.seconds, 1)
    changed = {
        "text": f"{text}, {time_text(cost.seconds)} of work",
        "machine": machine.name,
        "seconds": seconds,
        "stages": {"evidence": StageTimeOut(seconds=seconds, cpu_s=seconds * n_readers)},
    }
    return out.model_copy(update=changed)


def _plan(found: _Found, shape: ModelShape, *, n_workers: int, n_readers: int) -> None:
    try:
        outlook = job_outlook(
            found.job, shape, found.quote, n_workers=n_workers, n_readers=n_readers
        )
    except UntoldUnitsError as error:
        found.unknown.append(f"time, memory and disk: {error}")
        return
    found.outlook = outlook
    found.n_units, found.n_labels = outlook.work.n_units, outlook.work.n_labels


def _is_counted(spec: UnitSpec) -> bool:
    """Whether the specification itself says how many units there are."""
    if spec.all:
        return False
    kinds = (IndexRange, RandomItem)
    return spec.random is not None or all(isinstance(i.indices, kinds) for i in spec.items)


def _quote(job: JobSpec, config: ApiConfig) -> Quote:
    if job.llm == EMBEDDED:
        return _prices().quote(EMBEDDED, llm=EMBEDDED)
    provider = config.providers.get(job.llm)
    model = None if provider is None else provider.model_for(job.llm_model)
    if provider is None or model is None:
        text = f"which model {job.llm} runs is not known here, and so not what it costs"
        return Quote(None, text)
    quote = _prices().quote(model, llm=provider.base_url)
    # The address of an endpoint is shown to nobody.
    return quote if quote.price is not None else Quote(None, f"the price of {model} is unknown")


@lru_cache(maxsize=1)
def _prices() -> PriceTable:
    return read_prices()


def _shown(found: _Found, budget: Budget, *, n_workers: int, n_readers: int) -> EstimateOut:
    text = PlannedText.of(found.job.corpus, vocab=_ANY_VOCABULARY)
    llm = _llm_out(found)
    unknown = [*found.unknown]
    if found.quote is not None:
        unknown.append("how long the LLM takes to answer")
        if found.quote.price is None:
            unknown.append(f"dollars: {found.quote.text}")
    reach = None
    if found.quote is not None and budget.is_limited and found.n_labels:
        reach = budget_reach(found.job, budget, found.quote.price, found.n_labels, Spent())
    return EstimateOut(
        text=_sentence(found, llm),
        subject=found.job.subject,
        n_units=found.n_units,
        n_labels=found.n_labels,
        n_tokens=found.job.corpus.n_tokens,
        n_windows=WindowCounts(
            explain=text.n_windows[Split.EXPLAIN],
            validation=text.n_windows[Split.VALIDATION],
            held_out=text.n_windows[Split.HELD_OUT],
        ),
        n_workers=n_workers,
        n_readers=n_readers,
        **_planned(None if found.outlook is None else found.outlook.estimate),
        llm=llm,
        budget_reach=reach,
        unknown=unknown,
    )


def _planned(plan: JobEstimate | None) -> dict[str, Any]:
    if plan is None:
        return dict.fromkeys(_OF_PLAN)
    return {
        "machine": plan.machine,
        "seconds": round(plan.seconds, 1),
        "cpu_s": round(plan.cpu_s, 1),
        "stages": {
            stage.name: StageTimeOut(seconds=round(stage.seconds, 1), cpu_s=round(stage.cpu_s, 1))
            for stage in plan.stages
        },
        "reader_memory": dict(plan.reader_memory),
        "worker_memory": dict(plan.worker_memory),
        "artifacts": dict(plan.artifacts),
        "store": dict(plan.store),
    }


def _llm_out(found: _Found) -> LlmEstimate | None:
    ledger = found.llm
    if ledger is None or found.quote is None:
        return None
    total = ledger.total
    return LlmEstimate(
        requests=total.requests,
        prompt_tokens=total.prompt_tokens,
        completion_tokens=total.completion_tokens,
        usd=None if total.usd is None else float(total.usd),
        price=found.quote.text,
    )


def _sentence(found: _Found, llm: LlmEstimate | None) -> str:
    labels = "labels" if found.n_labels is None else _counted(found.n_labels, "label")
    parts = [f"{labels} from {_counted(found.job.corpus.n_tokens, 'token')} of text"]
    if found.outlook is not None:
        plan = found.outlook.estimate
        memory = max(sum(plan.reader_memory.values()), sum(plan.worker_memory.values()))
        disk = sum(plan.artifacts.values()) + sum(plan.store.values())
        without = "" if found.quote is None else ", replies of the LLM not counted"
        parts.append(f"about {time_text(plan.seconds)} of work{without}")
        parts.append(f"{size_text(memory)} of memory a worker, {size_text(disk)} of disk and Redis")
    if llm is not None:
        dollars = "at an unknown price" if llm.usd is None else f"${llm.usd:,.2f} at most"
        if llm.usd == 0:
            dollars = "free of charge"
        tokens = llm.prompt_tokens + llm.completion_tokens
        parts.append(
            f"{_counted(llm.requests, 'request')} to the LLM, {tokens:,} tokens, {dollars}"
        )
    elif found.quote is None:
        parts.append("no LLM is asked, so that it costs nothing")
    return "; ".join(parts)


def _counted(n: int, noun: str) -> str:
    return f"{n:,} {noun}{'' if n == 1 else 's'}"
