"""The board and the limits in Redis."""

from autointerp.store.redis.board import RedisBoard
from autointerp.store.redis.limit_store import RedisLimitStore

__all__ = ["RedisBoard", "RedisLimitStore"]
