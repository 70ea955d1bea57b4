"""The LLM that a job names, behind the reply cache and the budget."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from autointerp.core.config import JobSpec, Money
from autointerp.core.errors import InputError
from autointerp.core.packaged import SMOLLM2_GGUF
from autointerp.core.progress import Progress, SilentProgress
from autointerp.llm import (
    Accounts,
    BatchModel,
    Budget,
    BudgetedModel,
    CachedModel,
    ChatModel,
    ClientOptions,
    CountedModel,
    OpenAICompatible,
    Quote,
    read_prices,
    start_embedded_pool,
)
from autointerp.settings import Settings

__all__ = ["EMBEDDED", "NO_LLM", "Purse", "open_llm", "quote_of"]

EMBEDDED = "embedded"
NO_LLM = "none"


@dataclass(frozen=True, slots=True)
class Purse:
    """What a job may spend, and where that is written down."""

    money: Money = field(default_factory=Money)
    folder: Path | None = None
    """Where the books and the state of batches lie; None keeps them in memory."""

    @property
    def budget(self) -> Budget:
        """The limits."""
        return Budget(self.money.usd, self.money.tokens)

    @property
    def batch(self) -> bool:
        """Whether to ask through the Batch API."""
        return self.money.batch

    def file(self, name: str) -> Path | None:
        """A file in the folder."""
        return None if self.folder is None else self.folder / name


def quote_of(job: JobSpec, purse: Purse) -> Quote:
    """What the job's model costs.

    Raises:
        InputError: the price table cannot be read.
    """
    quote = read_prices(purse.money.prices).quote(job.llm_model or job.llm, llm=job.llm)
    if purse.batch and quote.price is not None:
        return Quote(quote.price.batched(), f"{quote.said}; half of it in a batch")
    return quote


def open_llm(
    job: JobSpec,
    settings: Settings,
    *,
    options: ClientOptions | None = None,
    purse: Purse | None = None,
    progress: Progress | None = None,
) -> ChatModel | None:
    """The job's LLM behind the reply cache; None for ``none``.

    Args:
        job: names the LLM.
        settings: cache folder, key, and the model where the job names none.
        options: waits and limits of an endpoint; from the settings where None.
        purse: what may be spent; without limit where None.
        progress: told about batches.

    Raises:
        InputError: neither a known name nor a URL; a URL without a model; a budget in dollars
            for a model without a price.
    """
    purse = purse or Purse()
    if job.llm == NO_LLM:
        return None
    if job.llm == EMBEDDED:
        if purse.batch:
            msg = "--batch needs an endpoint with a Batch API, and the embedded LLM has none"
            raise InputError(msg)
        identity = f"embedded:{SMOLLM2_GGUF.package}=={SMOLLM2_GGUF.version}"
        return _counted(start_embedded_pool(), identity, job, settings, purse)
    if not job.llm.startswith(("http://", "https://")):
        msg = f"llm {job.llm!r} is neither embedded, none nor a URL such as https://host/v1"
        raise InputError(msg)
    name = job.llm_model or settings.llm_model
    if not name:
        msg = f"which model at {job.llm}? Add --llm-model or set AUTOINTERP_LLM_MODEL"
        raise InputError(msg)
    named = job.model_copy(update={"llm_model": name})
    client = _client(named, settings, options)
    model: ChatModel = client
    if purse.batch:
        model = _batched(named, client, settings, purse, progress or SilentProgress())
    return _counted(model, f"{job.llm}:{name}", named, settings, purse)


def _counted(
    model: ChatModel, identity: str, job: JobSpec, settings: Settings, purse: Purse
) -> ChatModel:
    accounts = Accounts(purse.file("spent.jsonl"), picks_up=purse.batch)
    paid = BudgetedModel(
        model, budget=purse.budget, price=quote_of(job, purse).price, accounts=accounts
    )
    return CountedModel(
        CachedModel(paid, settings.cache_dir / "replies", identity=identity), accounts
    )


def _client(job: JobSpec, settings: Settings, options: ClientOptions | None) -> OpenAICompatible:
    key = settings.llm_api_key
    return OpenAICompatible(
        job.llm,
        str(job.llm_model),
        api_key=key.get_secret_value() if key is not None else None,
        options=options
        or ClientOptions(
            max_in_flight=settings.llm_max_in_flight or 8,
            requests_per_minute=settings.llm_rpm,
            tokens_per_minute=settings.llm_tpm,
        ),
        capabilities=settings.cache_dir / "capabilities",
    )


def _batched(
    job: JobSpec,
    client: OpenAICompatible,
    settings: Settings,
    purse: Purse,
    progress: Progress,
) -> BatchModel:
    key, state = settings.llm_api_key, purse.file("batches.json")
    if state is None:
        msg = "--batch needs a folder for the state of its batches; name --out"
        raise InputError(msg)
    return BatchModel(
        job.llm,
        str(job.llm_model),
        state=state,
        api_key=key.get_secret_value() if key is not None else None,
        features=client.features,
        dropped={"max_tokens", *client.dropped_parameters},
        told=progress.note,
    )
