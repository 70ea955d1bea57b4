"""The embedded LLM: a llama.cpp server of our own on loopback.

It runs in a child process. In the process of the caller it would hold the interpreter's lock
while it loads, never return from stopping while a reply is being made, write grammar errors
straight to standard error, and take everything down where llama.cpp aborts.
"""

from __future__ import annotations

import importlib.util
import json
import secrets
import select
import subprocess
import sys
import tempfile
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Self

from typing_extensions import override

from autointerp.core.errors import InputError, UpstreamError
from autointerp.core.files import SMOLLM2_GGUF
from autointerp.core.processors import n_processors
from autointerp.llm.chat_model import Features
from autointerp.llm.openai_compatible import OpenAICompatible
from autointerp.llm.options import ClientDependencies, ClientOptions
from autointerp.llm.wrapped_model import ModelPool, WrappedModel

_SCRIPT = Path(__file__).with_name("_llama_server.py")
_STOP_TIMEOUT_S = 5.0
_REPLY_TIMEOUT_S = 600.0
_START_TIMEOUT_S = 120.0
_MOST_SERVERS = 4


@dataclass(frozen=True, slots=True)
class EmbeddedOptions:
    """How llama.cpp serves."""

    n_parallel: int = 2
    """Requests answered at once. With more than one, log-probabilities depend in their last
    digits on what else is being answered; so do texts, rarely, even at temperature 0."""
    n_ctx: int = 2048
    """Tokens that fit one request with its reply."""
    n_threads: int | None = None
    """None takes half of the CPUs that this process may use. llama.cpp's threads wait for each
    other at every layer: where another program takes one of their CPUs, two threads on two CPUs
    were measured 50 times slower than one."""
    prefix_cache: bool = True
    """Keep what was computed for a prompt's beginning. Faster for prompts that begin alike;
    without it and with ``n_parallel=1`` replies depend on nothing but the request."""

    def __post_init__(self) -> None:
        for name in ("n_parallel", "n_ctx", "n_threads"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise InputError(f"{name} of the embedded LLM must be at least 1, found {value}")


_OPTIONS = EmbeddedOptions()


class EmbeddedServer:
    """A running llama.cpp server; `stop` it or use it in a ``with`` statement."""

    def __init__(self, gguf: Path | None = None, *, options: EmbeddedOptions = _OPTIONS) -> None:
        """Starts the server and waits until it answers; None takes the packaged model.

        Raises:
            InputError: xllamacpp is not installed, or the file is missing or damaged.
            UpstreamError: the server did not come up in time.
        """
        _require_xllamacpp()
        self._gguf = gguf or SMOLLM2_GGUF.locate()
        self.model_name = self._gguf.stem
        _check_is_gguf(self._gguf)
        self._options = options
        # Loopback is shared with other users of the machine and with every page in a browser.
        self.api_key = secrets.token_urlsafe(24)
        with ExitStack() as undo, tempfile.TemporaryFile() as log:
            self._process = _spawn(log)
            undo.callback(self.stop)
            self.base_url = f"{self._configure(log)}/v1"
            undo.pop_all()
        self.pid = self._process.pid

    def connect(self, dependencies: ClientDependencies | None = None) -> OpenAICompatible:
        """A client for this server; closing it leaves the server running."""
        return OpenAICompatible(
            self.base_url,
            self.model_name,
            api_key=self.api_key,
            features=Features(grammar=True, small=True, n_ctx=self._options.n_ctx),
            dependencies=dependencies or ClientDependencies(),
            options=ClientOptions(
                max_in_flight=self._options.n_parallel,
                timeout_s=_REPLY_TIMEOUT_S,
                deadline_s=2 * _REPLY_TIMEOUT_S,
                attempts=2,
                # Nobody starts a server of ours again.
                circuit_after=None,
                negotiates=False,
            ),
        )

    def stop(self) -> None:
        """Ends the server at once, replies being made included; twice is fine."""
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with suppress(BrokenPipeError):
                    stream.close()
        try:
            self._process.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _configure(self, log: IO[bytes]) -> str:
        """The address where the child listens, once it has been sent its options."""
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        line = json.dumps(self._child_options()).encode() + b"\n"
        try:
            stdin.write(line)
            stdin.flush()
        except BrokenPipeError:
            raise self._did_not_load(log) from None
        ready, _, _ = select.select([stdout], [], [], _START_TIMEOUT_S)
        if not ready:
            raise UpstreamError(
                f"llama.cpp did not load {self._gguf} within {_START_TIMEOUT_S:g} s; "
                "use a smaller model or a faster disk",
                retryable=True,
            )
        ready_line = stdout.readline()
        if not ready_line:
            raise self._did_not_load(log)
        url: str = json.loads(ready_line)["url"]
        return url

    def _child_options(self) -> dict[str, object]:
        return {
            **asdict(self._options),
            "gguf": str(self._gguf.resolve()),
            "name": self.model_name,
            "api_key": self.api_key,
            "n_threads": self._options.n_threads or max(1, n_processors() // 2),
        }

    def _did_not_load(self, log: IO[bytes]) -> InputError:
        self.stop()
        log.seek(0)
        msg = (
            f"llama.cpp could not load {self._gguf} ({_cause(log.read())}); the file may be "
            "damaged or cut short: get it again, or name another GGUF file"
        )
        return InputError(msg)


class EmbeddedModel(WrappedModel):
    """A client together with the server that it is for: closing it stops the server."""

    def __init__(
        self, server: EmbeddedServer, dependencies: ClientDependencies | None = None
    ) -> None:
        super().__init__(server.connect(dependencies))
        self._server = server

    @property
    def base_url(self) -> str:
        """Address of the server, up to and including ``/v1``."""
        return self._server.base_url

    @override
    async def close(self) -> None:
        try:
            await super().close()
        finally:
            self._server.stop()


def start_embedded(
    gguf: Path | None = None,
    *,
    options: EmbeddedOptions = _OPTIONS,
    dependencies: ClientDependencies | None = None,
) -> EmbeddedModel:
    """A chat model on a llama.cpp server that lives until it is closed; see `EmbeddedServer`."""
    return EmbeddedModel(EmbeddedServer(gguf, options=options), dependencies)


def start_embedded_pool(
    n_servers: int | None = None, *, dependencies: ClientDependencies | None = None
) -> ModelPool:
    """Embedded servers of one thread and one slot each, one a CPU and at most four.

    On CPUs, servers of one thread each do more than one server of several threads: llama.cpp's
    threads wait for each other at every layer, so that two of them fall far below the speed of
    one as soon as another program takes a CPU, while servers of their own merely share.

    Raises:
        InputError: the package or the model is missing.
    """
    n = n_servers or min(n_processors(), _MOST_SERVERS)
    options = EmbeddedOptions(n_parallel=1, n_threads=1)
    return ModelPool([start_embedded(options=options, dependencies=dependencies) for _ in range(n)])


def _require_xllamacpp() -> None:
    try:
        installed = importlib.util.find_spec("xllamacpp") is not None
    except ValueError:
        installed = False
    if not installed:
        raise InputError(
            "the embedded LLM needs xllamacpp, which is not installed: run "
            '`pip install "autointerp[embedded]"`, or name an endpoint with --llm URL'
        )


def _check_is_gguf(path: Path) -> None:
    try:
        with path.open("rb") as file:
            magic = file.read(4)
    except OSError as error:
        msg = f"cannot read the model {path}: {error.strerror}; name a GGUF file"
        raise InputError(msg) from error
    if magic != b"GGUF":
        raise InputError(f"{path} is not a GGUF file: it begins with {magic!r}; name a GGUF file")


def _spawn(log: IO[bytes]) -> subprocess.Popen[bytes]:
    # In a process group of its own Ctrl-C in a terminal reaches only us, so that replies under way
    # can still be taken in; a session of its own would have a share of the cores beside ours.
    # -P keeps this folder's modules out of the child's way.
    return subprocess.Popen(
        [sys.executable, "-P", str(_SCRIPT)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=log,
        process_group=0,
    )


def _cause(log: bytes) -> str:
    """The line of llama.cpp's log that says most about a failed start."""
    lines = [line for line in log.decode("utf-8", "replace").splitlines() if line.strip()]
    for mark in ("invalid magic", "failed to read", "error loading model"):
        for line in lines:
            if mark in line:
                return line.rpartition(": ")[2].strip()
    return lines[-1].strip() if lines else "it ended without a message"
