"""The connection to Redis: it waits for a server that is away, and says so when it gives up."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from inspect import signature
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import parse_qsl, urlsplit

import redis
from redis.backoff import NoBackoff
from redis.exceptions import (
    AuthenticationError,
    AuthorizationError,
    ConnectionError,
    InvalidResponse,
    OutOfMemoryError,
    RedisError,
    ResponseError,
    TimeoutError,
)
from redis.retry import Retry

from autointerp.core.addresses import check_redis_address, place_of
from autointerp.core.backoff import Backoff, RetryDeadline
from autointerp.core.errors import (
    AutointerpError,
    InputError,
    StorageError,
    UpstreamError,
    newer_version,
)
from autointerp.store.redis_faults import (
    brief,
    is_without_disk,
    memory_problem,
    refusal,
    will_pass,
    write_probe,
)

SCHEMA = 1
PREFIX = f"autointerp:{SCHEMA}:"
"""Every key of this schema begins so."""
PATIENCE_S = 120.0
_FIRST_S = 3.0
_PING_S = 2.0
_BACKOFF = Backoff(0.1, 2.0)
_SCHEMA_KEY = "autointerp:schema"
_PROBE_KEY = f"{PREFIX}probe"
_EXAMPLE = "redis://127.0.0.1:6379/0"
_FILES = frozenset({"ssl_ca_certs", "ssl_certfile", "ssl_keyfile"})
_TRUST = "name its authority by ssl_ca_certs=FILE in the address"
_OF_THE_POOL = frozenset({"max_connections", "timeout"})

T = TypeVar("T")


def open_client(url: str, *, answer_s: float, check_s: int = 0) -> redis.Redis:
    """A client that tries every command once; nothing is sent yet.

    Args:
        url: ``redis://``, ``rediss://`` or ``unix://``.
        answer_s: how long a server that can be reached may take for an answer.
        check_s: a connection that was idle for so long is tried before it is used; 0 for none.

    Raises:
        InputError: the URL is invalid.
    """
    try:
        check_redis_address(url, _EXAMPLE)
        client = redis.Redis.from_url(
            url,
            protocol=2,
            retry=Retry(NoBackoff(), 0),
            socket_timeout=answer_s,
            socket_connect_timeout=min(5.0, answer_s),
            health_check_interval=check_s,
        )
        _check_options(client, url)
        _let_readers_through(client.connection_pool)
    except ValueError as error:
        raise InputError(f"{place_of(url)} is not an address of Redis: {error}") from None
    return client


def _let_readers_through(pool: Any) -> None:
    """Has connections that were idle take a server without room on its disk for one that answers.

    It refuses the PING that tries them, and reads all the same.
    """
    kind = pool.connection_class

    def send_ping(connection: Any) -> None:
        try:
            kind._send_ping(connection)  # noqa: SLF001 - the one place where it is sent
        except RedisError as error:
            if not is_without_disk(error):
                raise

    pool.connection_class = type(kind.__name__, (kind,), {"_send_ping": send_ping})


def _check_options(client: redis.Redis, url: str) -> None:
    """Refuses options in an address that the client would stumble over when it connects.

    Raises:
        ValueError: a sentence that follows the address's name.
    """
    pool: Any = client.connection_pool
    accepted = _parameters(pool.connection_class)
    asked = dict(parse_qsl(urlsplit(url).query, keep_blank_values=True))
    unknown = [name for name in asked if name not in accepted | _OF_THE_POOL]
    if unknown:
        what = "an option" if len(unknown) == 1 else "options"
        how = "" if url.startswith("rediss://") else "; those of TLS need rediss://"
        raise ValueError(f"it has {what} not known to its client: {', '.join(unknown)}{how}")


def _parameters(kind: type) -> frozenset[str]:
    """The names that a class and those it extends take when they are made."""
    inits = (vars(cls).get("__init__") for cls in kind.__mro__)
    parameters = (p for init in inits if init for p in signature(init).parameters.values())
    return frozenset(p.name for p in parameters if p.kind is not p.VAR_KEYWORD and p.name != "self")


def check_certificate_files(url: str) -> None:
    """Refuses an address whose certificate files cannot be read, which would look like no server.

    Raises:
        InputError: it names the option.
    """
    given = dict(parse_qsl(urlsplit(url).query))
    for name in _FILES & given.keys():
        if not Path(given[name]).is_file():
            raise InputError(f"{place_of(url)}: {name} must name a file; there is none")
    if "ssl_ca_certs" in given:
        try:
            ssl.create_default_context(cafile=given["ssl_ca_certs"])
        except (OSError, ssl.SSLError):
            msg = f"{place_of(url)}: ssl_ca_certs names a file without certificates"
            raise InputError(msg) from None


def redis_trouble(url: str, *, answer_s: float) -> tuple[str, str | None] | None:
    """What is wrong with the server of a URL, without the URL, and what to do; None if nothing.

    What to do is None where it may be started, or another one named.
    """
    client = open_client(url, answer_s=answer_s)
    try:
        check_certificate_files(url)
        what, _, advice = (memory_problem(client) or "").partition("; ")
        if not what:
            write_probe(client, _PROBE_KEY)
    except InputError as error:
        return str(error).partition(": ")[2], "correct its path"
    except InvalidResponse:
        return "the server there is not Redis", None
    except (AuthenticationError, AuthorizationError):
        return "requires a password", "put the user name and the password into its address"
    except ResponseError as error:
        reason, todo = refusal(error)
        return f"it {reason}", todo
    except (RedisError, OSError) as error:
        return _silence(error)
    finally:
        client.close()
    return (what, advice) if what else None


def _silence(error: Exception) -> tuple[str, str | None]:
    cause = error.__cause__ or error.__context__ or error
    if isinstance(cause, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {cause.verify_message}", _TRUST
    return f"no answer ({type(cause).__name__})", None


class RedisConnection:
    """A client that many threads share.

    redis-py's own retries are off: they nest, a command's around those of its connection, so
    that 60 of them may take hours. Here one deadline holds for a command and its connection.

    Args:
        url: ``redis://``, ``rediss://`` or ``unix://``.
        patience_s: how long a command is tried again while the server cannot be reached.
        answer_s: how long a server that can be reached may take for an answer.

    Raises:
        InputError: the URL is invalid, or a newer autointerp wrote there.
        UpstreamError: it cannot be reached now.
    """

    def __init__(self, url: str, *, patience_s: float = PATIENCE_S, answer_s: float = 20.0) -> None:
        check_certificate_files(url)
        self.where = place_of(url)
        self._patience_s = patience_s
        self._redis = open_client(url, answer_s=answer_s, check_s=10)
        self._scripts: dict[str, Any] = {}
        self._has_worked = False
        self._refuse_newer()
        self._has_worked = True

    def run(self, command: Callable[[redis.Redis], T], *, patience_s: float | None = None) -> T:
        """What a command gives; it is sent again where the connection was lost.

        A server that takes no writes for a while, as in a failover, or has another password since
        the beginning, counts as away. A command may so run twice, and must have the effect of once.

        Raises:
            UpstreamError: the server stayed away, or refused.
            StorageError: the server is full, or cannot write its own file.
        """
        total_s = self._patience_s if patience_s is None else patience_s
        deadline = RetryDeadline(total_s, _BACKOFF)
        while True:
            try:
                return command(self._redis)
            except RedisError as error:
                if not (self._may_pass(error) and deadline.wait()):
                    raise self._trouble(error) from error
                # Another server may have taken over behind the same name.
                self._redis.connection_pool.disconnect(inuse_connections=False)

    def _may_pass(self, error: RedisError) -> bool:
        if isinstance(error, AuthenticationError | AuthorizationError):
            return self._has_worked
        return isinstance(error, ConnectionError | TimeoutError) or will_pass(error)

    def script(self, text: str, keys: list[str], args: list[Any]) -> Any:
        """The result of a Lua script, which the server runs as one step."""
        known = self._scripts.get(text)
        if known is None:
            known = self._scripts[text] = self._redis.register_script(text)
        return self.run(lambda _: known(keys=keys, args=args))

    def pipeline(self, fill: Callable[[Any], None], *, whole: bool = False) -> list[Any]:
        """The replies to several commands sent at once.

        `fill` adds the commands to the pipeline that it is given; with `whole` they are one
        transaction.
        """

        def send(client: redis.Redis) -> list[Any]:
            with client.pipeline(transaction=whole) as pipe:
                fill(pipe)
                replies: list[Any] = pipe.execute()
                return replies

        return self.run(send)

    def ping(self) -> None:
        """Returns if the server answers within two seconds, takes writes and keeps them.

        Raises:
            UpstreamError: it does not answer, or takes no writes.
            StorageError: it is full, or may throw away what it was given.
        """
        self.run(lambda client: write_probe(client, _PROBE_KEY), patience_s=_PING_S)
        problem = self.run(memory_problem, patience_s=_PING_S)
        if problem is not None:
            raise StorageError(f"Redis at {self.where}: {problem}")

    def close(self) -> None:
        """Closes the connections that are not in use."""
        self._redis.close()

    def _refuse_newer(self) -> None:
        def claim(client: redis.Redis) -> Any:
            client.set(_SCHEMA_KEY, SCHEMA, nx=True)
            return client.get(_SCHEMA_KEY)

        first_s = min(_FIRST_S, self._patience_s)
        try:
            result = int(self.run(claim, patience_s=first_s))
        except StorageError:
            # Full: what is there can be read all the same.
            result = int(self.run(lambda c: c.get(_SCHEMA_KEY), patience_s=first_s) or SCHEMA)
        if result > SCHEMA:
            raise newer_version(self.where, result, SCHEMA)

    def _trouble(self, error: RedisError) -> AutointerpError:
        is_login = isinstance(error, AuthenticationError | AuthorizationError)
        if isinstance(error, ConnectionError | TimeoutError) and not is_login:
            msg = (
                f"Redis at {self.where} cannot be reached ({brief(error)}); start it, or correct "
                "the address"
            )
            return UpstreamError(msg, retryable=True)
        what, todo = refusal(error)
        msg = f"Redis at {self.where} {what}" + (f"; {todo}" if todo else "")
        if isinstance(error, OutOfMemoryError):
            return StorageError(f"{msg}, then run again: what is finished is kept")
        if is_without_disk(error):
            return StorageError(msg)
        return UpstreamError(msg, retryable=self._may_pass(error))
