"""The plan of a job, for people and for machines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from autointerp.cli.rendering.console import counted, plain_table, visible
from autointerp.core.sizes import size_text, time_text

if TYPE_CHECKING:
    from autointerp.orchestration.job_estimate import JobEstimate
    from autointerp.orchestration.job_outlook import JobOutlook


def print_plan(outlook: JobOutlook, console: Console) -> None:
    """Prints what is done, and a table each of time and of bytes."""
    for line in _head(outlook):
        console.print(Text(visible(line)))
    console.print()
    console.print(_time_table(outlook.estimate))
    console.print()
    console.print(_size_table(outlook.estimate, "memory", _MEMORY))
    console.print()
    console.print(_size_table(outlook.estimate, "disk", _DISK))
    for line in _foot(outlook):
        console.print()
        console.print(Text(visible(line)))


def plan_json(outlook: JobOutlook) -> dict[str, object]:
    """A plan for ``--json``; sizes are bytes."""
    work, estimate, llm = outlook.work, outlook.estimate, outlook.llm
    return {
        "subject": work.shape.name,
        "machine": estimate.machine,
        "n_units": work.n_units,
        "n_labels": work.n_labels,
        "n_tokens": work.text.n_tokens,
        "n_workers": work.n_workers,
        "n_readers": work.n_readers,
        "seconds": round(estimate.seconds, 1),
        "cpu_s": round(estimate.cpu_s, 1),
        "stages": {
            stage.name: {"seconds": round(stage.seconds, 1), "cpu_s": round(stage.cpu_s, 1)}
            for stage in estimate.stages
        },
        **{name: dict(parts) | {"total": sum(parts.values())} for name, parts in _sizes(estimate)},
        "llm": llm
        and {
            "requests": llm.total.requests,
            "prompt_tokens": llm.total.prompt_tokens,
            "completion_tokens": llm.total.completion_tokens,
            "usd": None if llm.total.usd is None else float(llm.total.usd),
            "price": outlook.price,
        },
    }


_MEMORY = {
    "run_memory": "label, one process",
    "reader_memory": "reading process",
    "worker_memory": "labelling process",
}
_DISK = {"folder": "a run's folder", "artifacts": "a service's artifacts", "store": "its Redis"}


def _sizes(estimate: JobEstimate) -> Iterator[tuple[str, Mapping[str, int]]]:
    for name in (*_MEMORY, *_DISK):
        yield name, getattr(estimate, name)


def _head(outlook: JobOutlook) -> Iterator[str]:
    work = outlook.work
    labels, tokens = counted(work.n_labels, "label"), counted(work.text.n_tokens, "token")
    yield f"{work.shape.name}: {labels} of {counted(work.n_units, 'unit')}, {tokens} of text"
    yield (
        f"processes: {work.n_workers:,} labelling, {work.n_readers:,} reading; times of "
        f"{outlook.estimate.machine}"
    )


def _time_table(estimate: JobEstimate) -> Table:
    table = plain_table("time")
    table.add_column("clock", justify="right")
    table.add_column("CPU", justify="right")
    for stage in estimate.stages:
        table.add_row(stage.name, time_text(stage.seconds), time_text(stage.cpu_s))
    table.add_row(Text("all", "bold"), time_text(estimate.seconds), time_text(estimate.cpu_s))
    return table


def _size_table(estimate: JobEstimate, what: str, columns: Mapping[str, str]) -> Table:
    table = plain_table(what)
    for title in columns.values():
        table.add_column(title, justify="right")
    sizes = [getattr(estimate, name) for name in columns]
    for part in dict.fromkeys(part for parts in sizes for part in parts):
        table.add_row(part, *(size_text(parts[part]) if part in parts else "" for parts in sizes))
    table.add_row(Text("all", "bold"), *(size_text(sum(parts.values())) for parts in sizes))
    return table


def _foot(outlook: JobOutlook) -> Iterator[str]:
    if outlook.llm is not None:
        total = outlook.llm.total
        dollars = "dollars unknown" if total.usd is None else f"${total.usd:,.2f}"
        yield (
            f"LLM: {total.requests:,} calls, {total.prompt_tokens:,} + "
            f"{total.completion_tokens:,} tokens, {dollars}; the time of its replies is not counted"
        )
        yield outlook.price or ""
    yield "No accelerator was measured, so no plan for one is given."
