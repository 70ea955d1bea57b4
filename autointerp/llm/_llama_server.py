"""Serves one GGUF file with llama.cpp on loopback. Run as a script by `EmbeddedServer`.

Options come as one line of JSON on standard input; one line of JSON on standard output says
where the server listens. It ends when standard input closes, which also happens when the
parent dies in whatever way, or when the parent is another process than at the start.
"""

from __future__ import annotations

import json
import os
import select
import sys
from typing import Any

import xllamacpp

_POLL_S = 1.0
_PROMPT_CACHE_MIB = 512


def _parameters(options: dict[str, Any]) -> Any:
    params = xllamacpp.CommonParams()
    params.model.path = options["gguf"]
    params.model_alias = {options["name"]}
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.api_keys = [options["api_key"]]
    params.n_parallel = options["n_parallel"]
    params.n_ctx = options["n_ctx"] * options["n_parallel"]
    params.cpuparams.n_threads = options["n_threads"]
    params.cpuparams_batch.n_threads = options["n_threads"]
    params.cache_prompt = options["prefix_cache"]
    params.cache_ram_mib = _PROMPT_CACHE_MIB if options["prefix_cache"] else 0
    params.fit_params = False
    params.ui = False
    params.endpoint_slots = False
    params.endpoint_props = False
    params.verbosity = 1
    return params


def _wait_for_end(parent: int) -> None:
    while os.getppid() == parent:
        readable, _, _ = select.select([0], [], [], _POLL_S)
        if readable and not os.read(0, 1):
            return


def main() -> None:
    """Serves until standard input closes."""
    parent = os.getppid()
    options = json.loads(sys.stdin.buffer.readline())
    reply = os.dup(1)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    # The name keeps the server alive: without it the server would stop.
    server = xllamacpp.Server(_parameters(options))
    # From here on llama.cpp logs nothing that replies do not contain as well.
    os.dup2(nowhere, 2)
    os.write(reply, json.dumps({"url": server.listening_address}).encode() + b"\n")
    os.close(reply)
    _wait_for_end(parent)
    # Not sys.exit: stopping the server object waits for replies that nobody will read.
    os._exit(0)


if __name__ == "__main__":
    main()
