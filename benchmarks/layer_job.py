"""A job of a whole layer over REST: seconds to the first label and to the end, and CPU by program.

Starts ``serve --embedded`` in a folder of its own and submits one job without an LLM. CPU is what
each program of the service spent from then to the job's end.
"""

from __future__ import annotations

import argparse
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx
from _parts import header

from autointerp.serving.supervisor import settings_for

_TICKS = os.sysconf("SC_CLK_TCK")
_POLL_S = 0.2


def programs_of(parent: int) -> dict[str, float]:
    """CPU seconds of each program below a process, by what it is."""
    seconds: dict[str, float] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
            command = (stat.parent / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if int(fields[1]) != parent:
            continue
        name = next((w for w in (b"activations", b"labels", b"valkey") if _has(w, command)), b"api")
        spent = sum(map(int, fields[11:15])) / _TICKS
        seconds[name.decode()] = seconds.get(name.decode(), 0.0) + spent
    return seconds


def _has(word: bytes, command: list[bytes]) -> bool:
    return any(word == part or (word == b"valkey" and word in part) for part in command)


def followed(client: httpx.Client, job_id: str) -> tuple[dict[str, Any], float, float]:
    """The ended job, and the moments of its first label and of its end."""
    first = 0.0
    while True:
        job = client.get(f"/v1/jobs/{job_id}").raise_for_status().json()
        now = time.perf_counter()
        if not first and job["counts"]["done"]:
            first = now
            print("the first label is there", flush=True)
        if job["state"] not in {"queued", "running"}:
            return job, first, now
        time.sleep(_POLL_S)


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--units", default="layer:5")
    parser.add_argument("--tokens", type=int, default=8_192)
    asked = parser.parse_args()
    body = {"units": asked.units, "llm": "none", "corpus": {"n_tokens": asked.tokens}}
    with tempfile.TemporaryDirectory() as name, socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        command = [sys.executable, "-m", "autointerp.cli", "serve", "--embedded"]
        command += ["--data", name, "--port", str(port)]
        environment = settings_for(os.environ, cache_dir=Path(name) / "cache")
        server = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
                _measure(client, server.pid, body)
            n_bytes = sum(f.stat().st_size for f in Path(name).rglob("*") if f.is_file())
            print(f"left in its folder: {n_bytes / 2**20:.0f} MiB")
        finally:
            server.send_signal(signal.SIGINT)
            server.wait()


def _measure(client: httpx.Client, pid: int, body: dict[str, Any]) -> None:
    while not _is_ready(client):
        time.sleep(_POLL_S)
    before, started = programs_of(pid), time.perf_counter()
    job_id = client.post("/v1/jobs", json=body).raise_for_status().json()["id"]
    job, first, ended = followed(client, job_id)
    spent = {n: s - before.get(n, 0.0) for n, s in programs_of(pid).items()}
    print(header(), "\n")
    print(f"{job['state']}: {job['counts']} {job['stages']}")
    print(f"first label {first - started:.1f} s, all {ended - started:.1f} s")
    print("CPU s:", ", ".join(f"{n} {s:.1f}" for n, s in sorted(spent.items())), end="; ")
    print(f"all {sum(spent.values()):.1f}")


def _is_ready(client: httpx.Client) -> bool:
    try:
        return bool(client.get("/readyz").json()["ready"])
    except (httpx.HTTPError, ValueError, KeyError):
        return False


if __name__ == "__main__":
    main()
