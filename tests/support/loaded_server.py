"""Run as a script by `loaded_python`: loads the libraries, then divides for each program."""

from __future__ import annotations

import atexit
import ctypes
import gc
import importlib
import json
import os
import select
import signal
import socket
import sys
import threading
import types
from contextlib import suppress
from pathlib import Path
from typing import Any

from numba.core.registry import cpu_target

_LIBRARIES = (
    "autointerp.cli",
    "autointerp.wiring.runs",
    "autointerp.wiring.collection_runs",
    "workers.__main__",
    "workers.process",
    "transformer_lens.model_bridge",
    "transformers.models.llama.modeling_llama",
    "torch._dynamo",
    "rich.markdown",
    "cffi",
)
_PR_SET_PDEATHSIG = 1


def serve(connection: socket.socket) -> None:
    """Starts what it is asked for until nobody can ask any more, then ends what still runs."""
    running: dict[int, tuple[int, int]] = {}
    while True:
        for ready in select.select([connection, *running], [], [])[0]:
            if ready is not connection:
                pid, tell = running.pop(ready)
                os.close(ready)
                code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
                # Whoever started it may have gone.
                with suppress(BrokenPipeError):
                    os.write(tell, str(code).encode())
                os.close(tell)
                continue
            head, fds, _, _ = socket.recv_fds(connection, 8, 3)
            if not head:
                return
            asked = json.loads(_whole(connection, int.from_bytes(head, "big")))
            pid = os.fork()
            if not pid:
                connection.close()
                for pidfd, (_, tell) in running.items():
                    os.close(pidfd)
                    os.close(tell)
                os._exit(_run(asked, fds))
            for fd in fds[:2]:
                os.close(fd)
            running[os.pidfd_open(pid)] = (pid, fds[2])
            connection.sendall(pid.to_bytes(8, "big"))


def _whole(connection: socket.socket, n_bytes: int) -> bytes:
    read = b""
    while len(read) < n_bytes:
        part = connection.recv(n_bytes - len(read))
        if not part:
            raise EOFError("who asked for a program has ended")
        read += part
    return read


def _run(asked: dict[str, Any], fds: list[int]) -> int:
    """Runs a program in this process, as an interpreter does; its exit code."""
    os.setsid()
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    for fd, place in zip(fds, (1, 2), strict=False):
        os.dup2(fd, place)
    for fd in fds:
        os.close(fd)
    os.environ.clear()
    os.environ.update(asked["environment"])
    os.chdir(asked["folder"])
    sys.argv = ["-c", *asked["arguments"]]
    main = types.ModuleType("__main__")
    sys.modules["__main__"] = main
    code = 0
    try:
        exec(compile(asked["code"], "<string>", "exec"), main.__dict__)
    except SystemExit as asked_for:
        said = asked_for.code
        code = said if isinstance(said, int) else int(said is not None)
    except BaseException:  # noqa: BLE001 - told as an interpreter does
        sys.excepthook(*sys.exc_info())  # type: ignore[arg-type]
        code = 1
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    with suppress(OSError, ValueError):
        sys.stdout.flush()
        sys.stderr.flush()
    return code


if __name__ == "__main__":
    root = Path(__file__).parents[2]
    sys.path[0] = str(root)
    for name in _LIBRARIES:
        importlib.import_module(name)
    # What is compiled needs the types and functions that numba knows.
    cpu_target.typing_context.refresh()
    cpu_target.target_context.refresh()
    gc.collect()
    gc.freeze()
    serve(socket.socket(fileno=int(sys.argv[1])))
