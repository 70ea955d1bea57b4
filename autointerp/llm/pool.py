"""Several equal chat models as one: each request goes to one that is free.

On CPUs, servers of one thread each do more than one server of several threads: llama.cpp's
threads wait for each other at every layer, so that two of them fall far below the speed of one
as soon as another program takes a CPU, while servers of their own merely share.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from dataclasses import fields, replace

from autointerp.core.errors import InputError
from autointerp.llm.embedded import EmbeddedOptions, start_embedded
from autointerp.llm.options import ClientDependencies
from autointerp.llm.protocol import ChatModel, ChatReply, ChatRequest, Features, TotalUsage

_MOST_SERVERS = 4


class ModelPool:
    """Answers one request a model at a time; requests wait for a free one."""

    def __init__(self, models: Sequence[ChatModel]) -> None:
        if not models:
            msg = "a pool needs at least one model, found none"
            raise InputError(msg)
        self._models = tuple(models)
        self._free: asyncio.Queue[ChatModel] | None = None

    @property
    def name(self) -> str:
        """The models' common name."""
        return self._models[0].name

    @property
    def features(self) -> Features:
        """The models' common features."""
        return self._models[0].features

    @property
    def total_usage(self) -> TotalUsage:
        """What all of them were asked."""
        totals = [model.total_usage for model in self._models]
        sums = {f.name: sum(getattr(t, f.name) for t in totals) for f in fields(TotalUsage)}
        return replace(TotalUsage(), **sums)

    async def reply(self, request: ChatRequest) -> ChatReply:
        """The answer of the first model that is free; see `ChatModel`."""
        if self._free is None:
            self._free = asyncio.Queue()
            for model in self._models:
                self._free.put_nowait(model)
        model = await self._free.get()
        try:
            return await model.reply(request)
        finally:
            self._free.put_nowait(model)

    async def close(self) -> None:
        """Closes every model."""
        results = await asyncio.gather(
            *(model.close() for model in self._models), return_exceptions=True
        )
        for result in results:
            if isinstance(result, BaseException):
                raise result


def start_embedded_pool(
    n_servers: int | None = None, *, dependencies: ClientDependencies | None = None
) -> ModelPool:
    """Embedded servers of one thread and one slot each, one a CPU and at most four.

    Raises:
        InputError: the package or the model is missing.
    """
    n = n_servers or min(_n_cpus(), _MOST_SERVERS)
    options = EmbeddedOptions(n_parallel=1, n_threads=1)
    return ModelPool([start_embedded(options=options, dependencies=dependencies) for _ in range(n)])


def _n_cpus() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
