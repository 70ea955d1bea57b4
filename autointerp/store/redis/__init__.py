"""The board and the limits in Redis."""

from autointerp.store.redis.board import RedisBoard
from autointerp.store.redis.limits import RedisLimits

__all__ = ["RedisBoard", "RedisLimits"]
