"""OpenAI's Batch API as a chat model: half the price, replies within a day."""

from autointerp.llm.batch.batch_model import BatchModel, BatchOptions

__all__ = ["BatchModel", "BatchOptions"]
