"""What a Redis that answers may refuse or lose, in sentences."""

from __future__ import annotations

import re
from typing import Any

import redis
from redis.exceptions import (
    AuthenticationError,
    AuthorizationError,
    MasterDownError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
)

_KEEPS = "noeviction"
_FULL = 0.98
"""Share of the memory from which on a server counts as full: clients come and go."""
# As jobs do: by a script, which not every user may run.
_PROBE = "return redis.call('SET', KEYS[1], 1, 'PX', 1000)"
_REFUSALS: tuple[tuple[tuple[type[RedisError], ...], str, str], ...] = (
    (
        (OutOfMemoryError,),
        "is full: its maxmemory is reached",
        "raise maxmemory or delete data",
    ),
    (
        (AuthenticationError, AuthorizationError),
        "refuses the user name or password",
        "correct its URL",
    ),
    (
        (ReadOnlyError, MasterDownError),
        "is a replica that takes no writes",
        "name its primary",
    ),
    ((NoPermissionError,), "", "let its user run every command on every key"),
)
"""Kinds of errors, what they mean, and what to do."""
# Those for which redis-py has no class.
_PASSING = re.compile(r"\b(NOREPLICAS|UNBLOCKED|BUSY|TRYAGAIN|CLUSTERDOWN)\b")


def memory_problem(client: redis.Redis) -> str | None:
    """What is wrong where the server is full or discards what it was given, and what to do.

    None where neither is so, and where it does not say: not every user may ask.
    """
    try:
        memory: Any = client.info("memory")
    except ResponseError:
        return None
    policy = memory.get("maxmemory_policy", _KEEPS)
    if policy != _KEEPS:
        return (
            f"its maxmemory-policy is {policy}, so jobs and labels are discarded when it is full; "
            f"set maxmemory-policy {_KEEPS}"
        )
    used, most = (int(memory.get(name, 0)) for name in ("used_memory", "maxmemory"))
    if used < _FULL * most or not most:
        return None
    return f"it is full: {used:,} of {most:,} bytes are used; raise maxmemory or delete data"


def write_probe(client: redis.Redis, key: str) -> None:
    """Writes a key that is gone after a second, in the way in which jobs are written.

    Raises:
        RedisError: the server does not take that.
    """
    client.eval(_PROBE, 1, key)


def refusal(error: RedisError) -> tuple[str, str | None]:
    """What a server that answers does with the command, and what to do; None if nothing is known.

    Both follow the name of the server.
    """
    if is_without_disk(error):
        return "cannot write to its disk", "free some space there"
    for kinds, what, todo in _REFUSALS:
        if isinstance(error, kinds):
            return what or f"refused a command: {brief(error)}", todo
    return f"refused a command: {brief(error)}", None


def will_pass(error: RedisError) -> bool:
    """Whether a server that answers refuses for a while only: it changes roles, or is busy."""
    passing = isinstance(error, ReadOnlyError | MasterDownError)
    return passing or (isinstance(error, ResponseError) and bool(_PASSING.search(str(error))))


def is_without_disk(error: RedisError) -> bool:
    """Whether the server takes no writes because it cannot store them."""
    return isinstance(error, ResponseError) and "MISCONF" in str(error)


def brief(error: Exception) -> str:
    """What an error says, in one line."""
    return " ".join(str(error).split())[:200].rstrip(".") or type(error).__name__
