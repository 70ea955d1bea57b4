"""The board and the stores in Redis; everything that knows Redis is here."""

from autointerp.store.redis.board import RedisBoard
from autointerp.store.redis.labels import RedisStore, RedisStores
from autointerp.store.redis.limits import RedisLimits
from autointerp.store.redis.link import RedisLink

__all__ = ["RedisBoard", "RedisLimits", "RedisLink", "RedisStore", "RedisStores"]
