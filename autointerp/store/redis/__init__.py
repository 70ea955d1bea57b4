"""The limits in Redis."""

from autointerp.store.redis.limit_store import RedisLimitStore

__all__ = ["RedisLimitStore"]
