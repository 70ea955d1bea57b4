"""Why readers wait beside a job: the CPU, the interpreter lock, the event loop, or themselves.

The service is that of ``reads_beside_job.py``. While readers ask, every 10 ms: how long each
thread has run and has waited for a CPU (``schedstat``), in what the API's event loop sleeps
(``wchan``), and what it executes. Each slow answer, one of the slowest hundredth, is the sum of
what the event loop's thread did in the meantime. Other processes compute too: in a session each
(own), in one session (one), in the API's session (api); ``own, API first`` gives the API's
session priority, for which one must be root.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import subprocess
import sys
import tempfile
import threading
import time
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import _http_reader
import _sampled_api
import httpx
from _http_reader import Asked, Seen
from _parts import free_port
from _service import save_model, spec_of
from api_reads import put_records
from reads_beside_job import FEW_TOKENS, N_KEYS, N_LAYERS, WIDTH, running
from store_reads import MODEL, N_WORDS, filled_folder, make_words

from autointerp.core.job_state import Stage
from autointerp.serving.supervisor import ServiceProgram

SPIN = _sampled_api.SPIN
LOADS = ("none", "own", "own, API first", "one", "api")


@dataclass(frozen=True, slots=True)
class Moment:
    """What was seen of all threads at one time."""

    t: float
    ran: dict[str, int]
    """Nanoseconds since the start, by who: ``loop``, ``threads`` (of the API), and so on."""
    waited: dict[str, int]
    """Nanoseconds ready to run without a CPU."""
    sleeps_in: str
    """Of the event loop's thread; empty where it runs or is ready to."""


def pids_of(port: int) -> dict[str, list[int]]:
    """Processes by role; the API is that of a port."""
    roles: dict[str, list[int]] = {"api": [], "workers": [], "valkey": []}
    for pid in map(int, _children(os.getpid())):
        command = Path(f"/proc/{pid}/cmdline").read_text(errors="replace")
        if "_sampled_api" in command:
            roles["api"] += [pid] if str(port) in command else []
        else:
            roles["valkey" if "valkey" in command else "workers"].append(pid)
    return roles


def _children(pid: int) -> list[str]:
    result = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        result += (task / "children").read_text().split()
    return result


class Threads:
    """The counters of all threads of some processes, whose files stay open: looking is cheap."""

    def __init__(self, pids: dict[str, list[int]]) -> None:
        self._files: dict[str, list[int]] = {}
        self._counters: defaultdict[int, bytes] = defaultdict(lambda: b"0 0 0")
        for role, members in pids.items():
            for pid in members:
                for tid in os.listdir(f"/proc/{pid}/task"):
                    who = ("loop" if int(tid) == pid else "threads") if role == "api" else role
                    path = f"/proc/{pid}/task/{tid}/schedstat"
                    self._files.setdefault(who, []).append(os.open(path, os.O_RDONLY))
        loop = pids["api"][0]
        self._state, self._wchan = (
            os.open(f"/proc/{loop}/{name}", os.O_RDONLY) for name in ("stat", "wchan")
        )

    def close(self) -> None:
        """Closes the files."""
        for file in (self._state, self._wchan, *sum(self._files.values(), [])):
            os.close(file)

    def look(self) -> Moment:
        """The counters of now."""
        ran, waited, now = Counter[str](), Counter[str](), time.perf_counter()
        for who, files in self._files.items():
            for file in files:
                with suppress(ProcessLookupError):  # The thread has ended: what it had counts.
                    self._counters[file] = os.pread(file, 100, 0)
                ran_ns, waited_ns, _ = self._counters[file].split()
                ran[who] += int(ran_ns)
                waited[who] += int(waited_ns)
        runs = os.pread(self._state, 1000, 0).rpartition(b") ")[2].startswith(b"R")
        sleeps_in = "" if runs else os.pread(self._wchan, 100, 0).decode()
        return Moment(now, dict(ran), dict(waited), "" if sleeps_in == "0" else sleeps_in)


def watched(asked: Asked, pids: dict[str, list[int]]) -> tuple[Seen, list[Moment]]:
    """What the readers saw, and all threads meanwhile."""
    moments: list[Moment] = []
    process = subprocess.Popen(
        [sys.executable, _http_reader.__file__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    ended = threading.Event()

    def watch() -> None:
        threads = Threads(pids | {"readers": [process.pid]})
        while not ended.wait(0.01):
            moments.append(threads.look())
        threads.close()

    thread = threading.Thread(target=watch)
    thread.start()
    out, _ = process.communicate(json.dumps(asdict(asked)))
    ended.set()
    thread.join()
    return Seen(**json.loads(out)), moments


def shares(answers: Sequence[tuple[float, float]], moments: Sequence[Moment]) -> dict[str, float]:
    """Mean milliseconds of those answers, by what the event loop and others did meanwhile."""
    times, sums = [moment.t for moment in moments], defaultdict[str, float](float)
    for start, ms in answers:
        # The nearest moments at or around both ends; counters in between are interpolated.
        end = start + ms / 1000
        for who in ("loop", "threads", "workers", "valkey", "readers"):
            for name in ("ran", "waited"):
                spent = _at(moments, times, end, name, who) - _at(moments, times, start, name, who)
                sums[f"{who} {name}"] += spent / 1e6
        slept = ms - sums_of(moments, times, start, end)
        first, last = bisect_left(times, start), bisect_left(times, end)
        inside = [m.sleeps_in for m in moments[max(0, first - 1) : last + 1] if m.sleeps_in]
        for place, n in Counter(inside).items():
            sums[f"loop sleeps in {place}"] += max(0.0, slept) * n / len(inside)
        sums["ms"] += ms
    return {name: value / max(1, len(answers)) for name, value in sums.items()}


def sums_of(moments: Sequence[Moment], times: Sequence[float], start: float, end: float) -> float:
    """Milliseconds in which the event loop's thread ran or was ready to."""
    return (
        sum(
            _at(moments, times, end, name, "loop") - _at(moments, times, start, name, "loop")
            for name in ("ran", "waited")
        )
        / 1e6
    )


def _at(moments: Sequence[Moment], times: Sequence[float], t: float, name: str, who: str) -> float:
    place = min(max(1, bisect_left(times, t)), len(times) - 1)
    before, after = moments[place - 1], moments[place]
    low, high = getattr(before, name).get(who, 0), getattr(after, name).get(who, 0)
    part = (t - before.t) / (after.t - before.t)
    return float(low + min(max(part, 0.0), 1.0) * (high - low))


def executed(samples: Path, answers: Sequence[tuple[float, float]]) -> Counter[str]:
    """What the event loop executed during those answers, by function of ours."""
    spans = [(start, start + ms / 1000) for start, ms in answers]
    found = Counter[str]()
    for line in samples.read_text().splitlines():
        t, stack = json.loads(line)
        if any(start <= t <= end for start, end in spans):
            found[_told(stack)] += 1
    return found


def _told(stack: list[str]) -> str:
    known = ("unit_page", "get_sets", "get_label", "get_sides", "labels_of", "page", "loaded_page")
    for name in stack:
        if name.rpartition(".")[2] in known:
            return name
    return "select" if stack and stack[0] in {"selectors.select", "runners.run"} else stack[0]


def hurry(pids: Sequence[int], nice: int) -> None:
    """Gives sessions a priority, where that is allowed."""
    for pid in pids:
        with suppress(OSError):
            Path(f"/proc/{pid}/autogroup").write_text(str(nice))


@contextmanager
def loaded(how: str, n: int, services: Sequence[Service]) -> Iterator[None]:
    """Others compute until the block ends."""
    spinning: list[subprocess.Popen[bytes]] = []
    apis = [pid for service in services for pid in service.pids["api"]]
    if how.startswith("own"):
        spinning = [subprocess.Popen(SPIN, start_new_session=True) for _ in range(n)]
    elif how == "one":
        one = "; ".join(["(while :; do :; done) &"] * n).replace("&;", "&")
        spinning = [subprocess.Popen(["sh", "-c", f"{one} wait"], start_new_session=True)]
    elif how == "api":
        services[0].busy.write_text(str(n))
    if how == "own, API first":
        hurry(apis, -10)
    try:
        time.sleep(1.0)
        yield
    finally:
        if how == "own, API first":
            hurry(apis, 0)
        services[0].busy.write_text("0")
        for process in spinning:
            os.killpg(process.pid, 9)
            process.wait()
        time.sleep(0.2)


def report(what: str, service: Service, asked: Asked) -> None:
    """Prints what the readers waited for."""
    asked = replace(asked, port=service.port)
    seen, moments = watched(asked, service.pids)
    whole = shares([(seen.began, 1000 * asked.seconds)], moments)
    cpu_ms = (whole["loop ran"] + whole["threads ran"]) / max(1, seen.n)
    print(
        f"  {what:34} {asked.readers} readers p50 {seen.p50:6.1f} p99 {seen.p99:6.1f} slowest "
        f"{seen.slowest:6.0f} ms, {seen.per_s:4.0f}/s, {seen.errors} errors, "
        f"CPU {cpu_ms:.2f} ms an answer, load {os.getloadavg()[0]:.1f}",
        flush=True,
    )
    took = shares(seen.slow, moments)
    percent = {k: 100 * v / whole["ms"] for k, v in whole.items() if k != "ms"}
    for of, values in (("slow, ms", took), ("all, %", percent)):
        told = (f"{name} {value:.0f}" for name, value in sorted(values.items()) if value >= 0.5)
        print(f"      {of}: {', '.join(told)}")
    code = executed(service.samples, seen.slow)
    n = max(1, code.total())
    top = ", ".join(f"{name} {100 * k / n:.0f} %" for name, k in code.most_common(8))
    print(f"      executed in slow ones: {top}", flush=True)


@dataclass(frozen=True, slots=True)
class Service:
    """An API, beside others on the same store and workers."""

    name: str
    kept: int
    """Bytes of unit pages."""
    port: int
    folder: Path

    @property
    def samples(self) -> Path:
        """What its event loop executed."""
        return self.folder / f"samples-{self.port}"

    @property
    def busy(self) -> Path:
        """How many others compute in its session."""
        return self.folder / f"busy-{self.port}"

    @property
    def pids(self) -> dict[str, list[int]]:
        """Its process and those of the others."""
        return pids_of(self.port)

    @property
    def program(self) -> ServiceProgram:
        """As the supervisor starts it."""
        ours = (_sampled_api.__file__, str(self.kept), str(self.samples), str(self.busy))
        serve = ("serve", "--host", "127.0.0.1", "--port", str(self.port))
        return ServiceProgram(f"api-{self.port}", (*ours, *serve), 2)


def main() -> None:
    """Prints each load, with one job."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--labels", type=int, default=4_000)
    parser.add_argument("--readers", type=int, nargs="*", default=(20, 50))
    parser.add_argument("--seconds", type=float, default=6.0)
    parser.add_argument("--busy", type=int, default=10)
    parser.add_argument("--loads", nargs="*", choices=LOADS, default=LOADS)
    parser.add_argument("--stages", nargs="*", choices=("collect", "label"), default=("label",))
    parser.add_argument("--tokens", type=int, default=2_000_000)
    parser.add_argument("--units", default="all")
    parser.add_argument("--llm", choices=("none", "embedded"), default="none")
    parser.add_argument("--nice", type=int, default=5)
    parser.add_argument("--kept-mb", type=int, nargs="*", default=(64,), help="An API each.")
    parser.add_argument("--turns", type=int, default=1)
    options = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        model = save_model(folder / "random", n_layers=N_LAYERS, width=WIDTH)
        put_records(filled_folder(folder / "labels" / MODEL, options.labels, make_words(N_WORDS)))
        keys = tuple(secrets.token_hex(16) for _ in range(N_KEYS))
        apis = [Service(f"{mb} MB", mb << 20, free_port(), folder) for mb in options.kept_mb]
        asked = Asked(apis[0].port, keys, "all", options.labels, 20, options.seconds, None)
        programs = [api.program for api in apis]

        def report_all(what: str) -> None:
            for turn in range(options.turns):
                for api in apis[:: -1 if turn % 2 else 1]:
                    for n in options.readers:
                        report(f"{what}, pages {api.name}", api, replace(asked, readers=n))

        with running(folder, model, asked, nice=options.nice, apis=programs) as service:
            for api in apis:
                with httpx.Client(transport=httpx.HTTPTransport(retries=20)) as client:
                    client.get(f"http://127.0.0.1:{api.port}/healthz").raise_for_status()
            workers = apis[0].pids["workers"]
            report_all("no job")
            for stage in map(Stage, options.stages):
                n_tokens = options.tokens if stage is Stage.COLLECT else FEW_TOKENS
                spec = spec_of(options.units, n_tokens=n_tokens, llm=options.llm)
                hurry(workers, -10)
                job_id = service.submit(spec.model_copy(update={"subject": MODEL}))
                service.wait_until_held(job_id, stage)
                hurry(workers, options.nice)
                print(f"  {stage.value} begun after {time.monotonic() - began:.0f} s", flush=True)
                for how in options.loads:
                    with loaded(how, options.busy, apis):
                        report_all(f"{stage.value}, busy {how}")
                service.cancel(job_id)


if __name__ == "__main__":
    main()
