"""A job of a server: its state and counts, its progress, and what failed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.text import Text

from autointerp.cli.rendering.console import counted, print_json, say, visible
from autointerp.core.progress import Progress

if TYPE_CHECKING:
    from autointerp.client import Client, JobStatus

_MOST_LISTED = 20
_NUMBERS = ("labels", "failed", "usd")
_WIDE, _WHERE_WIDE = 110, ("usd", "submitted (UTC)")


def print_job(job: JobStatus, console: Console, *, as_json: bool) -> None:
    """Prints the job in a few lines, or as the server's JSON."""
    if as_json:
        print_json(dict(job.raw))
        return
    console.print(Text(_headline(job), "bold"))
    console.print(Text(_counts(job)))
    if job.stages:
        stages = (f"{name} {done:,}/{total:,}" for name, (done, total) in job.stages.items())
        console.print(Text(", ".join(stages)))
    if job.requests:
        console.print(Text(_cost(job)))
    without = job.raw.get("asked_without")
    if without:
        shown = ", ".join(map(str, without))
        console.print(Text(visible(f"the LLM was asked without: {shown}")))
    if job.left_s is not None and job.left_s > 0:
        rate = f"{job.rate_per_s:.3g} {_noun(job)}s a second"
        console.print(Text(f"{rate}, about {job.left_s:,.0f} s left"))


def print_jobs(jobs: Sequence[Mapping[str, Any]], console: Console) -> None:
    """Prints a line a job: what it is, how far it is, what it labels and with what."""
    if not jobs:
        console.print("no jobs")
        return
    rows = [_cells(job) for job in jobs]
    names = [name for name in rows[0] if console.width >= _WIDE or name not in _WHERE_WIDE]
    rows = [dict(zip(names, names, strict=True)), *rows]
    widths = {name: max(len(row[name]) for row in rows) for name in names}
    for row in rows:
        cells = (
            row[n].rjust(widths[n]) if n in _NUMBERS else row[n].ljust(widths[n]) for n in names
        )
        line = Text("  ".join(cells).rstrip(), "bold" if row["job"] == "job" else "")
        line.truncate(console.width, overflow="ellipsis")
        console.print(line, no_wrap=True)


def _cells(job: Mapping[str, Any]) -> dict[str, str]:
    named = (job["subject"], job["units"], job["corpus"], job["llm"])
    return {
        "job": job["id"],
        "state": job["state"],
        "labels": f"{job['done']:,}/{job['total']:,}",
        "failed": f"{job['failed']:,}",
        "usd": "" if job["usd"] is None else f"{job['usd']:.2f}",
        "submitted (UTC)": f"{job['created']:.16}".replace("T", " "),
        "of": ", ".join(visible(str(name)) for name in named if name is not None),
    }


def list_failed(client: Client, job: JobStatus) -> None:
    """Prints the first labels that failed on stderr."""
    n_failed = counted(job.counts["failed"], _noun(job))
    say(f"{n_failed} failed; `autointerp retry {job.id}` tries again")
    listed = 0
    for event in client.events(job.id, kinds=("label",)):
        if event.data.get("status") == "failed":
            listed += 1
            if listed > _MOST_LISTED:
                say("...")
                return
            reason = event.data.get("reason")
            say(f"{event.data.get('unit')}: {reason}" if reason else str(event.data.get("unit")))


class JobBars:
    """Bars for the stages of a job, moved to where the server says they are."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._shown: dict[str, tuple[int, int]] = {}

    def show(self, job: JobStatus) -> None:
        """Moves every bar."""
        for stage, (done, total) in job.stages.items():
            if stage not in {"plan", "label", "evidence"}:
                self._move(stage, done, total, "parts")
        if job.total:
            stage = "label" if job.raw.get("evidence") is None else "evidence"
            self._move(stage, job.counts["done"], job.total, f"{_noun(job)}s")

    def _move(self, stage: str, done: int, total: int, unit: str) -> None:
        shown, of = self._shown.get(stage, (0, 0))
        if of != total or done < shown:
            self._progress.start(stage, total, unit)
            shown = 0
        if done > shown:
            self._progress.advance(stage, done - shown)
        self._shown[stage] = (done, total)


def _noun(job: JobStatus) -> str:
    """What the job makes of each unit."""
    return "label" if job.raw.get("evidence") is None else "answer"


def _headline(job: JobStatus) -> str:
    text = f"{job.id}  {job.state}"
    return visible(f"{text}: {job.reason}" if job.reason else text)


def _counts(job: JobStatus) -> str:
    if not job.total:
        return "not planned yet"
    states = ("ok", "dead", "no_signal", "failed")
    parts = ", ".join(f"{job.counts[name]:,} {name}" for name in states if job.counts[name])
    done = f"{job.counts['done']:,} of {counted(job.total, _noun(job))}"
    return f"{done} ({parts})" if parts else done


def _cost(job: JobStatus) -> str:
    price = "at an unknown price" if job.usd is None else f"${job.usd:.4f}"
    return f"LLM: {job.requests:,} requests, {job.tokens:,} tokens, {price}"
