"""A chat model around another one: what a guard, a cache or a book-keeper does not change."""

from __future__ import annotations

from autointerp.llm.protocol import ChatModel, Features, TotalUsage


class WrappedModel:
    """Is what it wraps, but for `reply`, which its subclasses say."""

    def __init__(self, model: ChatModel) -> None:
        self._model = model

    @property
    def name(self) -> str:
        """Name of the wrapped model."""
        return self._model.name

    @property
    def features(self) -> Features:
        """What the wrapped model can do."""
        return self._model.features

    @property
    def total_usage(self) -> TotalUsage:
        """The wrapped model's."""
        return self._model.total_usage

    async def close(self) -> None:
        """Closes the wrapped model."""
        await self._model.close()
