"""What tokens cost: a table in a file, and what a job will cost by it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from autointerp.core.addresses import with_scheme
from autointerp.core.errors import InputError, first_problem
from autointerp.core.files import read_given
from autointerp.llm.chat_model import Usage
from autointerp.llm.cost_log import Ledger, Purpose, Spent
from autointerp.llm.service_addresses import is_loopback

_OURS = Path(__file__).with_name("prices.json")
_MILLION = 1_000_000
_EMBEDDED = "embedded"
# Endpoints name a fixed version of a model so. Any other ending is another model, which may cost
# ten times as much: gpt-5-pro, gpt-4o-realtime-preview.
_SNAPSHOT = re.compile(r"-\d{4}-\d{2}-\d{2}")
_HALF = Decimal("0.5")


@dataclass(frozen=True, slots=True)
class Price:
    """Dollars a million tokens."""

    prompt: Decimal
    cached_prompt: Decimal | None
    """For prompt tokens from the endpoint's prefix cache; None where they are not cheaper."""
    completion: Decimal

    def cost(self, usage: Usage) -> Decimal:
        """Dollars for one reply, to the last digit."""
        n_cached = min(usage.cached_tokens, usage.prompt_tokens)
        cached = self.prompt if self.cached_prompt is None else self.cached_prompt
        total = (
            (usage.prompt_tokens - n_cached) * self.prompt
            + n_cached * cached
            + usage.completion_tokens * self.completion
        )
        return total / _MILLION

    def batched(self) -> Price:
        """Half of it, as OpenAI's Batch API costs; cached tokens are taken as not cheaper."""
        return Price(self.prompt * _HALF, None, self.completion * _HALF)


FREE = Price(Decimal(0), None, Decimal(0))


@dataclass(frozen=True, slots=True)
class Quote:
    """A price with where it comes from, or why there is none."""

    price: Price | None
    """None where it is unknown, which is not free."""
    text: str
    """One sentence for people."""


@dataclass(frozen=True, slots=True)
class PlannedCalls:
    """Calls of one stage for one unit."""

    stage: str
    n_calls: int
    """For one unit."""
    prompt_tokens: int
    """Of one call."""
    completion_tokens: int
    """Of one call; hidden reasoning counts."""


def estimate_job(n_units: int, calls: Sequence[PlannedCalls], price: Price | None) -> Ledger:
    """Tokens and dollars of a job by stage; no discount for cached prompt tokens is expected.

    The calls are those of one unit with something to label. The price is None where it is
    unknown, `Price.batched` where the job runs in batches.
    """
    sums: dict[Purpose, Spent] = {}
    for planned in calls:
        n_calls = n_units * planned.n_calls
        usage = Usage(n_calls * planned.prompt_tokens, n_calls * planned.completion_tokens)
        spent = Spent(
            requests=n_calls,
            prompt_tokens=usage.prompt_tokens,
            completion_tokens=usage.completion_tokens,
            usd=None if price is None else price.cost(usage),
        )
        purpose = Purpose(planned.stage)
        sums[purpose] = sums.get(purpose, Spent()).plus(spent)
    return Ledger(sums)


def estimate_text(estimate: Ledger) -> str:
    """An estimate as one sentence, with what it assumes."""
    total = estimate.total
    dollars = "at an unknown price" if total.usd is None else f"about ${total.usd:.2f}"
    return (
        f"{total.requests:,} calls, {total.prompt_tokens:,} + {total.completion_tokens:,} tokens, "
        f"{dollars}, if each unit makes every call that it may make, replies are as long as "
        "planned, nothing comes from a cache and nothing is sent twice"
    )


class _PriceRow(BaseModel):
    model_config = ConfigDict(extra="forbid")

    prompt: Decimal = Field(ge=0, allow_inf_nan=False)
    cached_prompt: Decimal | None = Field(default=None, ge=0, allow_inf_nan=False)
    completion: Decimal = Field(ge=0, allow_inf_nan=False)
    as_of: date

    @model_validator(mode="after")
    def _cached_is_cheaper(self) -> Self:
        # A budget sets the price of uncached tokens aside.
        if self.cached_prompt is not None and self.cached_prompt > self.prompt:
            raise ValueError("cached prompt tokens cost more than others")
        return self


class _PriceFile(BaseModel):
    model_config = ConfigDict(extra="forbid")

    source: str
    hosts: tuple[str, ...] | None = None
    models: dict[str, _PriceRow]


@dataclass(frozen=True, slots=True)
class PriceTable:
    """Prices by model name, first table first."""

    _files: tuple[_PriceFile, ...]

    def quote(self, model: str, *, llm: str) -> Quote:
        """The price of a model at ``embedded`` or at an endpoint's address.

        A row holds for the model of its name and for the dated snapshots of it; a name that ends
        in ``*`` holds for all models that begin so; the longest name wins. A table with hosts holds
        for those only. What runs on this machine is free where no table has a price for it, as one
        may have for a proxy that hands requests on.
        """
        llm = with_scheme(llm)
        host = (urlsplit(llm).hostname or "") if "://" in llm else ""
        for file in self._files:
            name = _best(model, file.models) if file.hosts is None or host in file.hosts else None
            if name is not None and llm != _EMBEDDED:
                return _quoted(model, file.models[name], file.source)
        if llm == _EMBEDDED or is_loopback(host):
            return Quote(FREE, f"{model} runs on this machine and costs nothing")
        msg = (
            f"the price of {model} at {host or llm} is unknown, so that tokens can be counted "
            "and dollars cannot; give it in a file of prices"
        )
        return Quote(None, msg)


def read_prices(path: Path | None = None) -> PriceTable:
    """The table that comes with the package, behind the one in a file if one is given.

    Args:
        path: JSON of the same form: ``source``, ``models`` (dollars a million tokens as
            ``prompt``, ``cached_prompt``, ``completion``, and their date ``as_of``), and ``hosts``
            where they hold for some endpoints only.

    Raises:
        InputError: the file cannot be read or is of another form.
    """
    paths = (_OURS,) if path is None else (path, _OURS)
    return PriceTable(tuple(_read(each) for each in paths))


def _read(path: Path) -> _PriceFile:
    try:
        return _PriceFile.model_validate_json(read_given(path, what="the price table"))
    except ValidationError as error:
        problem = first_problem(error, whole="the file")
        msg = f"{path} is not a price table: {problem}; see {_OURS} for the form"
        raise InputError(msg) from None


def _best(model: str, rows: dict[str, _PriceRow]) -> str | None:
    if model in rows:
        return model
    fitting = [name for name in rows if _stands_for(name, model)]
    return max(fitting, key=len, default=None)


def _stands_for(name: str, model: str) -> bool:
    if name.endswith("*"):
        return model.startswith(name[:-1])
    return model.startswith(name) and _SNAPSHOT.fullmatch(model[len(name) :]) is not None


def _quoted(model: str, row: _PriceRow, source: str) -> Quote:
    price = Price(row.prompt, row.cached_prompt, row.completion)
    text = (
        f"{model} costs ${row.prompt} a million prompt tokens and ${row.completion} a million "
        f"completion tokens as of {row.as_of.isoformat()} ({source})"
    )
    return Quote(price, text)
