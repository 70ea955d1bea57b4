"""The labels of a job as a table and as JSON."""

from __future__ import annotations

from operator import itemgetter
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from autointerp.cli.rendering.console import counted, number, plain_table, visible
from autointerp.cli.rendering.explanation_parts import (
    explanations_json,
)
from autointerp.cli.rendering.result_tables import by_place, null_score, result_tables
from autointerp.core.explanations import Label

if TYPE_CHECKING:
    from autointerp.jobs import RunReport
    from autointerp.jobs.run_totals import RunTotals
    from autointerp.llm import Ledger, Spent

MOST_ROWS = 200
"""Labels that are listed one by one."""


def print_outcome(outcome: RunReport, console: Console) -> None:
    """The table, of hook points where there are many labels, and below it what was counted."""
    if outcome.totals.n_labels > MOST_ROWS:
        console.print(_hook_table(outcome.totals))
    else:
        for part in result_tables(tuple(outcome.labels), width=console.width):
            console.print(part)
    console.print(Text(_summary(outcome)))


def _hook_table(totals: RunTotals) -> Table:
    table = plain_table(expand=False)
    table.add_column("hook point", overflow="fold")
    for name in ("labels", "ok", "median score"):
        table.add_column(name, justify="right", no_wrap=True)
    for hook, found in totals.by_hook.items():
        score = number(found.median_score)
        table.add_row(visible(hook), f"{found.n_labels:,}", f"{found.n_ok:,}", score)
    return table


def outcome_json(outcome: RunReport) -> dict[str, object]:
    """A finished run for ``--json``."""
    usage = outcome.usage
    # Whole labels are a hundred times as large, so one is held at a time.
    rows = [(by_place(label), _label_json(label)) for label in outcome.labels]
    return {
        "folder": str(outcome.folder),
        "n_by_status": {str(k): n for k, n in outcome.totals.n_by_status.items()},
        "n_reused": outcome.n_reused,
        "seconds_by_stage": dict(outcome.seconds_by_stage),
        "usage": {
            "requests": usage.requests,
            "prompt_tokens": usage.prompt_tokens,
            "completion_tokens": usage.completion_tokens,
            "cached_replies": usage.cached_replies,
        },
        "asked_without": list(outcome.asked_without),
        "notes": list(outcome.notes),
        "spent": None if outcome.ledger is None else _spent_json(outcome.ledger),
        "n_left": outcome.n_left,
        "n_by_rules": outcome.totals.n_by_rules,
        "llm_failure": outcome.llm_failure,
        "labels": [row for _, row in sorted(rows, key=itemgetter(0))],
    }


def _summary(outcome: RunReport) -> str:
    counts = ", ".join(f"{n} {status}" for status, n in outcome.totals.n_by_status.items() if n)
    stored = f", {outcome.n_reused} of them kept from before" if outcome.n_reused else ""
    times = ", ".join(f"{stage} {s:,.0f} s" for stage, s in outcome.seconds_by_stage.items())
    usage = outcome.usage
    asked = (
        f"; LLM: {usage.requests:,} requests, {usage.prompt_tokens:,} + "
        f"{usage.completion_tokens:,} tokens, {usage.cached_replies:,} replies from the cache"
    )
    spent = asked if usage.requests or usage.cached_replies else ""
    if outcome.ledger is not None and outcome.ledger.by_purpose:
        spent += f"; {_spent(outcome.ledger)}"
    n = counted(outcome.totals.n_labels, "label")
    return f"{n} ({counts}{stored}); {times}{spent}".rstrip("; ")


def _spent(ledger: Ledger) -> str:
    """What the job cost, earlier runs included."""
    stages = ", ".join(f"{s} {x.tokens:,}" for s, x in ledger.by_stage.items() if x.tokens)
    total = ledger.total
    dollars = "at an unknown price" if total.usd is None else f"${total.usd:.4f}"
    counted_so = f", {counted(total.assumed, 'call')} counted at the highest possible cost"
    return (
        f"the job so far: {total.tokens:,} tokens"
        f"{f' ({stages})' if stages else ''}, {dollars}{counted_so if total.assumed else ''}"
    )


def _spent_json(ledger: Ledger) -> dict[str, object]:
    return {
        **_amounts(ledger.total),
        "by_stage": {stage: _amounts(spent) for stage, spent in ledger.by_stage.items()},
    }


def _amounts(spent: Spent) -> dict[str, object]:
    """Dollars are a string, so that they stay exact, and null where a price is unknown."""
    return {
        "requests": spent.requests,
        "cached_replies": spent.cached_replies,
        "prompt_tokens": spent.prompt_tokens,
        "completion_tokens": spent.completion_tokens,
        "usd": None if spent.usd is None else str(spent.usd),
        "assumed": spent.assumed,
    }


def _label_json(label: Label) -> dict[str, object]:
    score = label.headline
    return {
        "unit": str(label.unit),
        "side": str(label.side),
        "status": str(label.status),
        "reason": label.reason,
        "refused": label.refused,
        "explanation": label.explanation.text if label.explanation else None,
        "explainer": label.explanation.explainer if label.explanation else None,
        "candidates": [
            {
                "explanation": candidate.explanation.text,
                "explainer": candidate.explanation.explainer,
                "validation_score": candidate.validation_score,
                "chosen": candidate.chosen,
            }
            for candidate in label.candidates
        ],
        "scorer": label.preferred,
        "score": score.value,
        "score_low": score.low,
        "score_high": score.high,
        "score_lookup": label.score("lookup").value,
        "score_null": null_score(label).value,
        **explanations_json(label),
        "density": label.stats.density,
        "failed_scorers": {
            result.scorer: result.failure for result in label.results if result.failure is not None
        },
    }
