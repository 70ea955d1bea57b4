"""The LLM that a job names, behind the reply cache and the budget."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from autointerp.core.addresses import (
    HIDDEN,
    base_address,
    shown_address,
    stored_address,
    with_scheme,
)
from autointerp.core.asynchrony import run_coroutine
from autointerp.core.config import EMBEDDED, NO_LLM, Budget, JobSpec
from autointerp.core.errors import InputError
from autointerp.core.files import SMOLLM2_GGUF
from autointerp.core.one_line import shortened
from autointerp.core.progress import Progress, SilentProgress
from autointerp.llm import (
    UPPER_ESTIMATE,
    BudgetedModel,
    CachedModel,
    ChatModel,
    ClientDependencies,
    ClientOptions,
    CostLog,
    OpenAICompatible,
    Quote,
    TokenCounter,
    TokenizerCounter,
    read_prices,
    start_embedded_pool,
)
from autointerp.llm.batch_model import BatchModel, BatchOptions
from autointerp.llm.kept_replies import EMBEDDED_IDENTITY, endpoint_identity
from autointerp.llm.service_addresses import read_address
from autointerp.scorers import ScorerDependencies
from autointerp.settings import Settings
from autointerp.subjects import gguf_tokenizer

COST_LOG_FILE = "spent.jsonl"
"""What a job has spent, in its folder."""
IN_FLIGHT = 8
"""Requests of one process on their way at once, where nobody says otherwise."""
_UNITS_AT_ONCE = 4
# A batch is sent when no further request comes: the more units at once, the fewer batches.
_UNITS_OF_A_BATCH = 64


@dataclass(frozen=True, slots=True)
class JobBudget:
    """What a job may spend, and where that is written down."""

    limits: Budget = field(default_factory=Budget)
    folder: Path | None = None
    """Of the cost log and the state of batches; None keeps both in memory."""

    @property
    def batch(self) -> bool:
        """Whether to use the Batch API."""
        return self.limits.batch

    def file(self, name: str) -> Path | None:
        """A file in the folder."""
        return None if self.folder is None else self.folder / name


def quote_of(job: JobSpec, budget: JobBudget) -> Quote:
    """What the job's model costs.

    Raises:
        InputError: the price table cannot be read.
    """
    quote = read_prices(budget.limits.prices).quote(job.llm_model or job.llm, llm=job.llm)
    if budget.batch and quote.price is not None:
        return Quote(quote.price.batched(), f"{quote.text}; half of it in a batch")
    return quote


def named_job(job: JobSpec, settings: Settings) -> JobSpec:
    """The job with the name of its model.

    Raises:
        InputError: neither a known LLM nor a URL; a URL without a model.
    """
    if job.llm in {EMBEDDED, NO_LLM}:
        return job
    job = job.model_copy(update={"llm": base_address(job.llm)})
    if not with_scheme(job.llm).startswith(("http://", "https://")):
        shown = shortened(shown_address(job.llm))
        raise InputError(f"llm {shown} is neither embedded, none nor a URL such as https://host/v1")
    read_address(with_scheme(job.llm))
    name = job.llm_model or settings.llm_model
    if not name:
        where = shown_address(job.llm)
        raise InputError(f"which model at {where}? Add --llm-model or set AUTOINTERP_LLM_MODEL")
    return job.model_copy(update={"llm": _whole_address(job.llm, settings), "llm_model": name})


def _whole_address(llm: str, settings: Settings) -> str:
    """The address with its password, where the job comes from a file, which does not hold it."""
    if HIDDEN not in llm:
        return llm
    known = settings.llm_base_url
    if known is None or stored_address(known) != llm:
        raise InputError(f"the password of {llm} is in no file; add --llm with the whole address")
    return known


def units_at_once(
    job: JobSpec, settings: Settings, options: ClientOptions | None, budget: JobBudget
) -> int:
    """Units to work on at the same time, so that what answers them is never idle."""
    if budget.batch:
        return _UNITS_OF_A_BATCH
    if job.llm in {EMBEDDED, NO_LLM}:
        return _UNITS_AT_ONCE
    return max(_UNITS_AT_ONCE, _in_flight(settings, options))


def _in_flight(settings: Settings, options: ClientOptions | None) -> int:
    return options.max_in_flight if options else settings.llm_max_in_flight or IN_FLIGHT


def open_llm(  # noqa: PLR0913 - a job, and how to go about it
    job: JobSpec,
    settings: Settings,
    *,
    options: ClientOptions | None = None,
    batch_options: BatchOptions | None = None,
    budget: JobBudget | None = None,
    progress: Progress | None = None,
    cost_log: CostLog | None = None,
    dependencies: ClientDependencies | None = None,
) -> ChatModel | None:
    """The job's LLM behind the reply cache; None for ``none``.

    Without a cost log, costs are recorded in a file in the budget's folder; without options, an
    endpoint's waits and limits come from the settings.

    Raises:
        InputError: neither a known name nor a URL; a URL without a model; a budget in dollars
            for a model without a price.
    """
    budget = budget or JobBudget()
    if job.llm == NO_LLM:
        return None
    cost_log = cost_log or CostLog(budget.file(COST_LOG_FILE), resumes=budget.batch)
    if job.llm == EMBEDDED and budget.batch:
        msg = "--batch needs an endpoint with a Batch API, and the embedded LLM has none"
        raise InputError(msg)
    named = named_job(job, settings)
    model: ChatModel
    if job.llm == EMBEDDED:
        model = start_embedded_pool(dependencies=dependencies)
        identity = EMBEDDED_IDENTITY
        in_flight = _UNITS_AT_ONCE
    else:
        on_event = (progress or SilentProgress()).note
        dependencies = dependencies or ClientDependencies(on_event=on_event)
        model = client = _client(named, settings, options, dependencies)
        if budget.batch:
            state, how = budget.file("batches.json"), batch_options or BatchOptions()
            model = _batched(named, client, settings, state=state, options=how, on_event=on_event)
        identity = endpoint_identity(job.llm, named.llm_model)
        in_flight = _in_flight(settings, options)
    paid = BudgetedModel(
        model,
        budget=budget.limits,
        price=quote_of(named, budget).price,
        cost_log=cost_log,
        # Twice as many, so that the client always has another one to send.
        at_once=None if budget.batch else 2 * in_flight,
    )
    replies = settings.cache_dir / "replies"
    return CachedModel(paid, replies, identity=identity, cost_log=cost_log)


def counter_of(job: JobSpec, settings: Settings) -> TokenCounter:
    """Counts tokens as the job's LLM does; an estimate from above for what others serve."""
    if job.llm != EMBEDDED:
        return UPPER_ESTIMATE
    return TokenizerCounter(lambda: gguf_tokenizer(SMOLLM2_GGUF.locate(), settings.cache_dir))


def try_echo(
    job: JobSpec,
    settings: Settings,
    *,
    options: ClientOptions | None = None,
    budget: JobBudget | None = None,
) -> None:
    """Requests one echo of one word from the job's LLM, before anything else is paid for.

    Raises:
        InputError: it is the embedded LLM, which has none.
        EchoUnsupportedError: the endpoint gives none.
        UpstreamError: it could not be used.
    """

    async def probe() -> None:
        model = open_llm(job, settings, options=options, budget=budget)
        if model is None:
            return
        try:
            await ScorerDependencies(model, job.score).echo.prompt_logprobs("echo")
        finally:
            await model.close()

    run_coroutine(probe())


def open_client(settings: Settings, options: ClientOptions) -> OpenAICompatible:
    """A client of the endpoint and model that the settings name; it finds out anew what they take.

    Raises:
        InputError: an address, a name, a key or a header that cannot be one.
    """
    key = settings.llm_api_key
    return OpenAICompatible(
        settings.llm_base_url or "",
        settings.llm_model or "",
        api_key=key.get_secret_value() if key is not None else None,
        options=replace(options, headers=settings.llm_headers.get_secret_value()),
    )


def _client(
    job: JobSpec,
    settings: Settings,
    options: ClientOptions | None,
    dependencies: ClientDependencies,
) -> OpenAICompatible:
    key, headers = settings.llm_api_key, settings.llm_headers.get_secret_value()
    return OpenAICompatible(
        job.llm,
        str(job.llm_model),
        api_key=key.get_secret_value() if key is not None else None,
        options=replace(options, headers=headers)
        if options
        else ClientOptions(
            max_in_flight=settings.llm_max_in_flight or IN_FLIGHT,
            requests_per_minute=settings.llm_rpm,
            tokens_per_minute=settings.llm_tpm,
            headers=headers,
        ),
        dependencies=dependencies,
        capabilities=settings.cache_dir / "capabilities",
    )


def _batched(
    job: JobSpec,
    client: OpenAICompatible,
    settings: Settings,
    *,
    state: Path | None,
    options: BatchOptions,
    on_event: Callable[[str], None],
) -> BatchModel:
    if state is None:
        raise InputError("--batch needs a folder for the state of its batches; name --out")
    key, headers = settings.llm_api_key, settings.llm_headers.get_secret_value()
    return BatchModel(
        job.llm,
        str(job.llm_model),
        state=state,
        api_key=key.get_secret_value() if key is not None else None,
        client=client,
        options=replace(options, client=replace(options.client, headers=headers)),
        on_event=on_event,
    )
