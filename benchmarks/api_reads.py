"""What readers of the API wait for, and what an answer costs the server: labels and dictionaries.

The server is ``autointerp serve`` in a process of its own on a Valkey started for it, with the
same labels in a folder of JSON files and in Valkey; the readers are another process. Readers
without a pause ask again as soon as they were answered, so that as many requests as readers are
always open and what they wait for is what those requests cost; readers at a rate ask at fixed
moments, whether the last answer came or not. CPU times are the server's alone.
"""

from __future__ import annotations

import argparse
import os
import secrets
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import httpx
from _http_reader import LABELS, Asked, read
from _parts import free_port
from store_reads import (
    MODEL,
    N_WORDS,
    filled_folder,
    filled_server,
    make_words,
    unit_of,
)

from autointerp.core.ids import Side
from autointerp.core.records import (
    ActivationRecord,
    ExplainSet,
    HeldOutSet,
    Stratum,
    UnitSets,
    ValidationSet,
)
from autointerp.serving import Valkey
from autointerp.serving.supervisor import api_program, settings_for, start
from autointerp.store.labels import FolderLabelStore, LabelStore

N_KEYS, N_WITH_RECORDS, N_TOKENS = 10, 100, 64
THINK_S = 0.5
WHAT = ("one label", "page of 50", "words", "with records")
FORMATS = ("parquet", "jsonl", "neuronpedia")
FIRST = {
    "health": "/healthz",
    "one unit": f"/v1/models/{MODEL}/units/blocks.0.mlp.hook_post/1",
    "page": f"{LABELS}?limit=50",
    "words": f"{LABELS}?q=a",
    "HTML page of the model": f"/models/{MODEL}",
}
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Server:
    """A server that answers."""

    pid: int
    port: int
    keys: tuple[str, ...]

    @property
    def cpu_s(self) -> float:
        """What all its threads have used."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    @property
    def memory_mb(self) -> float:
        """Resident."""
        text = Path(f"/proc/{self.pid}/status").read_text()
        return int(text.partition("VmRSS:")[2].split()[0]) / 1024


def put_records(store: LabelStore) -> None:
    """Records of a size as real ones have, for the first units."""
    strata = (Stratum("top", 40, 40, 1.0, 4.0),)
    for number in range(N_WITH_RECORDS):
        unit, side = unit_of(number), Side.POSITIVE
        records = tuple(
            ActivationRecord(
                window,
                f"document-{window}",
                0,
                tuple(range(window, window + N_TOKENS)),
                tuple(f" w{window + place}" for place in range(N_TOKENS)),
                tuple(0.001 * (window + place) for place in range(N_TOKENS)),
                "top",
                1.0,
            )
            for window in range(40)
        )
        store.put_sets(
            UnitSets(
                ExplainSet(unit, side, records[:18], 4.0),
                ValidationSet(unit, side, records[:24], strata, 4.0),
                HeldOutSet(unit, side, records, strata, 4.0),
            )
        )


@contextmanager
def serving(
    folder: Path, redis: str, store: str, *, anew: bool = True, priority: int = 0
) -> Iterator[Server]:
    """The API in a process of its own, which has made no dictionary yet; anew it has no index.

    Its session has a priority where Linux shares cores by session: below 0 it comes first, as root.
    """
    shutil.rmtree(folder / "cache" / ("" if anew else "downloads"), ignore_errors=True)
    port = free_port()
    keys = tuple(secrets.token_hex(16) for _ in range(N_KEYS))
    environment = settings_for(
        os.environ,
        redis_url=redis,
        store=store,
        artifacts=folder / "artifacts",
        cache_dir=folder / "cache",
        api_keys=",".join(keys),
    )
    program = api_program(host="127.0.0.1", port=port)
    process = start(program, environment=environment, logs=folder / "logs")
    if priority:
        Path(f"/proc/{process.pid}/autogroup").write_text(str(priority))
    try:
        yield _ready(Server(process.pid, port, keys), process)
    finally:
        process.terminate()
        process.wait(20)


def _ready(server: Server, process: subprocess.Popen[bytes]) -> Server:
    began = time.perf_counter()

    def first_answer(path: str) -> float:
        while True:
            try:
                answer = httpx.get(
                    f"http://127.0.0.1:{server.port}{path}",
                    headers={"x-api-key": server.keys[0]},
                    timeout=300,
                )
                # Pages say that labels are still being read.
                if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE:
                    answer.raise_for_status()
                    return time.perf_counter() - began
            except httpx.TransportError:
                if process.poll() is not None:
                    raise
            time.sleep(0.05)

    with ThreadPoolExecutor(len(FIRST)) as pool:
        took = dict(zip(FIRST, pool.map(first_answer, FIRST.values()), strict=True))
    said = ", ".join(f"{name} {seconds:.1f}" for name, seconds in took.items())
    print(f"  answered first, seconds after the start: {said}", end="; ")
    print(f"CPU {server.cpu_s:.1f} s, {server.memory_mb:.0f} MB, load {os.getloadavg()[0]:.1f}")
    return server


def report_reads(server: Server, asked: Asked, questions: Sequence[str]) -> None:
    """Prints a line a question, and one of all of them at a rate."""
    for what in questions:
        many = replace(asked, what=what, rate=None)
        before = server.cpu_s
        alone = read(replace(many, readers=1, seconds=asked.seconds / 2))
        cost = 1000 * (server.cpu_s - before) / alone.n
        before = server.cpu_s
        seen = read(many)
        loaded = 1000 * (server.cpu_s - before) / seen.n
        calm = read(replace(many, think_s=THINK_S))
        print(
            f"  {what:12} 1 reader p50 {alone.p50:6.2f} p99 {alone.p99:6.2f} ms, CPU {cost:.2f} ms"
            f"   {asked.readers} readers p50 {seen.p50:6.1f} p99 {seen.p99:6.1f} ms, "
            f"CPU {loaded:.2f} ms, {seen.per_s:,.0f}/s; with a pause of {THINK_S} s p50 "
            f"{calm.p50:.1f} p99 {calm.p99:.1f} ms, {calm.per_s:,.0f}/s, "
            f"{alone.errors + seen.errors + calm.errors} errors"
        )


def report_rate(server: Server, asked: Asked) -> None:
    """Prints what the three questions in turn at a steady rate met with."""
    before = server.cpu_s
    seen = read(asked)
    cost = 1000 * (server.cpu_s - before) / seen.n
    print(
        f"  {asked.rate:.0f}/s for {asked.seconds:.0f} s  p50 {seen.p50:.2f} p99 {seen.p99:.2f} "
        f"slowest {seen.slowest:.1f} ms, CPU {cost:.2f} ms, {seen.errors} errors of {seen.n:,}"
    )


def report_dictionary(server: Server, formats: Sequence[str]) -> None:
    """Prints when the first byte of each format came, when all, and the memory it took."""
    for fmt in formats:
        url = f"http://127.0.0.1:{server.port}/v1/models/{MODEL}/dictionary?format={fmt}"
        headers = {"x-api-key": server.keys[0]}
        before, cpu, began = server.memory_mb, server.cpu_s, time.perf_counter()
        size, first_s, peak = 0, 0.0, before
        with httpx.stream("GET", url, headers=headers, timeout=120) as answer:
            answer.raise_for_status()
            for part in answer.iter_raw():
                first_s = first_s or time.perf_counter() - began
                size += len(part)
                peak = max(peak, server.memory_mb)
        took = time.perf_counter() - began
        print(
            f"  {fmt:12} first byte {1000 * first_s:5.0f} ms, whole {took:5.2f} s, "
            f"CPU {server.cpu_s - cpu:5.2f} s, memory + {peak - before:4.0f} MB, "
            f"{size / 1e6:6.1f} MB"
        )


def main() -> None:
    """Prints both stores side by side."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--labels", type=int, default=46_080)
    parser.add_argument("--readers", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--rate", type=float, default=200.0)
    parser.add_argument("--rate-seconds", type=float, default=60.0)
    parser.add_argument("--only", choices=("json", "redis"))
    parser.add_argument("--what", nargs="*", choices=WHAT, default=WHAT)
    parser.add_argument("--formats", nargs="*", choices=FORMATS, default=FORMATS)
    parser.add_argument("--keep", type=Path, help="Folder with the labels, filled where it is not.")
    options = parser.parse_args()
    words = make_words(N_WORDS)
    with tempfile.TemporaryDirectory() as place:
        folder = options.keep or Path(place)
        with Valkey(folder / "valkey") as valkey:
            stores = {"json": f"json:{folder / 'labels'}", "redis": valkey.url}
            if not (folder / "labels").exists():
                fill(folder, valkey, options.labels, words)
            for name in (options.only,) if options.only else stores:
                print(f"{name}, load {os.getloadavg()[0]:.1f} before")
                with serving(folder / name, valkey.url, stores[name]) as server:
                    asked = Asked(
                        port=server.port,
                        keys=server.keys,
                        what="mixed",
                        n_labels=options.labels,
                        readers=options.readers,
                        seconds=options.seconds,
                        rate=None,
                    )
                    report_reads(server, asked, options.what)
                    report_rate(
                        server, replace(asked, rate=options.rate, seconds=options.rate_seconds)
                    )
                    report_dictionary(server, options.formats)


def fill(folder: Path, valkey: Valkey, n: int, words: list[str]) -> None:
    """The same labels in both stores."""
    files: FolderLabelStore = filled_folder(folder / "labels" / MODEL, n, words)
    put_records(files)
    put_records(filled_server(valkey, folder / "redis" / "artifacts", n, words))


if __name__ == "__main__":
    main()
