"""Several equal chat models as one: each request goes to one that is free."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import fields

from typing_extensions import override

from autointerp.core.errors import InputError
from autointerp.llm.chat_model import ChatModel, ChatReply, ChatRequest, Features, TotalUsage


class ModelPool(ChatModel):
    """Gives each model one request at a time; requests wait for a free one."""

    def __init__(self, models: Sequence[ChatModel]) -> None:
        if not models:
            msg = "a pool needs at least one model, found none"
            raise InputError(msg)
        self._models = tuple(models)
        self._free: asyncio.Queue[ChatModel] | None = None

    @property
    @override
    def name(self) -> str:
        return self._models[0].name

    @property
    @override
    def features(self) -> Features:
        return self._models[0].features

    @property
    @override
    def total_usage(self) -> TotalUsage:
        totals = [model.total_usage for model in self._models]
        return TotalUsage(*(sum(getattr(t, f.name) for t in totals) for f in fields(TotalUsage)))

    @override
    async def reply(self, request: ChatRequest) -> ChatReply:
        """The reply of the first model that is free."""
        if self._free is None:
            self._free = asyncio.Queue()
            for model in self._models:
                self._free.put_nowait(model)
        model = await self._free.get()
        try:
            return await model.reply(request)
        finally:
            self._free.put_nowait(model)

    @override
    async def close(self) -> None:
        results = await asyncio.gather(
            *(model.close() for model in self._models), return_exceptions=True
        )
        for result in results:
            if isinstance(result, BaseException):
                raise result
