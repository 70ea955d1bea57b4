"""What came of a collection or a merge, for people and for machines."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from autointerp.cli.console import result_console
from autointerp.cli.numbers import counted

if TYPE_CHECKING:
    from autointerp.collecting import Collected


def print_collected(found: Collected) -> None:
    """Prints units, tokens, time, memory and where the summary lies."""
    hooks = counted(len(found.summary), "hook point")
    units, tokens = counted(found.n_units, "unit"), counted(found.n_tokens, "token")
    lines = [f"{units} of {hooks} over {tokens}{_part(found)}"]
    if found.need is not None:
        new = counted(found.n_new_tokens, "new token")
        lines.append(f"collected: {new} in {found.seconds:.1f} s, {_speed(found):,.0f} tokens/s")
        lines.append(f"memory: {found.need}")
    size = found.path.stat().st_size
    lines.append(f"summary: {found.path} ({size / 2**20:,.1f} MiB)")
    for line in lines:
        result_console().print(line, soft_wrap=True)


def collected_json(found: Collected) -> dict[str, object]:
    """The same as one JSON object; memory in bytes."""
    summary, need = found.summary, found.need
    return {
        "path": str(found.path),
        "n_bytes": found.path.stat().st_size,
        "n_units": found.n_units,
        "n_hooks": len(summary),
        "n_tokens": found.n_tokens,
        "n_new_tokens": found.n_new_tokens,
        "seconds": round(found.seconds, 3),
        "tokens_per_s": None if need is None else round(_speed(found), 1),
        "shards": [f"{i}/{n}" for i, n in sorted(summary.shards)],
        "whole": summary.whole,
        "memory": None if need is None else {**asdict(need), "total": need.total},
    }


def _speed(found: Collected) -> float:
    return found.n_new_tokens / found.seconds if found.seconds > 0 else 0.0


def _part(found: Collected) -> str:
    if found.summary.whole:
        return ""
    shards = ", ".join(f"{i}/{n}" for i, n in sorted(found.summary.shards))
    return f" (shard {shards} alone)"
