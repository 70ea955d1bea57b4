"""The results of ``explain`` and ``score``, for people and for machines."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TypeVar

import typer
from rich.text import Text

from autointerp.cli.rendering.console import (
    ExitCode,
    counted,
    no_answer,
    number,
    plain_table,
    print_json,
    result_console,
    say,
    score_cell,
    visible,
)
from autointerp.cli.rendering.explanation_parts import text_with_senses
from autointerp.cli.rendering.result_tables import side_name
from autointerp.cli.rendering.unit_scores import candidate_text
from autointerp.core.explanations import Explanation, LabelStatus
from autointerp.core.files import write_atomic
from autointerp.dictionary.neuron_record_import.record_file import RecordFile
from autointerp.pipeline.imported_units import ExplainedFile, ScoredFile
from autointerp.wiring.file_runs import FileResults

_File = TypeVar("_File", ExplainedFile, ScoredFile)
_WIDE = 72


def print_explained(
    results: FileResults[ExplainedFile], *, out: Path | None, as_json: bool
) -> None:
    """Prints the candidates of every file.

    Raises:
        typer.Exit: with 1 where a file could not be used, its unit not explained or every question
            to the LLM failed.
    """
    failed = {str(e.file.path): e.failure for e in results.done if e.failure is not None}
    _print(results, failed, _explained_json, _print_candidates, out=out, as_json=as_json)


def print_scored(results: FileResults[ScoredFile], *, out: Path | None, as_json: bool) -> None:
    """Prints the scores of every file.

    Raises:
        typer.Exit: with 1 where a file could not be used or a scorer could judge nothing.
    """
    failed = {
        str(s.file.path): s.label.reason or ""
        for s in results.done
        if s.label.status is LabelStatus.FAILED
    }
    _print(results, failed, _scored_json, _print_scores, out=out, as_json=as_json)


def _print(
    results: FileResults[_File],
    failed: Mapping[str, str],
    to_json: Callable[[_File], dict[str, object]],
    show: Callable[[_File], None],
    *,
    out: Path | None,
    as_json: bool,
) -> None:
    failed = {str(path): reason for path, reason in results.refused.items()} | dict(failed)
    result = {
        "units": [to_json(one) for one in results.done],
        "llm": results.llm,
        "usage": asdict(results.usage),
        "asked_without": list(results.asked_without),
        "notes": list(results.notes),
        "failed": failed,
        "llm_failure": results.llm_failure,
    }
    if out is not None:
        text = json.dumps(result, indent=2, ensure_ascii=True, allow_nan=False) + "\n"
        write_atomic(out, text.encode())
    if as_json:
        print_json(result)
    else:
        for one in results.done:
            show(one)
    for note in results.notes:
        say(note)
    if failed:
        say(f"{counted(len(failed), 'file')} failed:")
        for path, reason in failed.items():
            say(f"  {reason}" if path in reason else f"  {path}: {reason}")
    if results.llm_failure is not None:
        say(no_answer(results.llm_failure))
    if failed or results.llm_failure is not None:
        raise typer.Exit(ExitCode.SOME_FAILED)


def _print_candidates(explained: ExplainedFile) -> None:
    console, chosen = result_console(), explained.selection
    console.print(_title(explained.file), soft_wrap=True)
    table = plain_table("", "validation", "explanation")
    for candidate in chosen.candidates:
        mark = ">" if candidate.chosen else ""
        table.add_row(mark, number(candidate.validation_score), candidate_text(candidate))
    if chosen.candidates:
        console.print(table)
    elif chosen.found_no_pattern:
        console.print(Text("the explainer found no single pattern"))
    elif not chosen.failures:
        console.print(Text("no explainer gave an explanation"))
    for failure in chosen.failures:
        console.print(Text(visible(failure), "dim"))


def _print_scores(scored: ScoredFile) -> None:
    console, label = result_console(), scored.label
    console.print(_title(scored.file), soft_wrap=True)
    if label.explanation is not None:
        text = text_with_senses(label.explanation)
        text.stylize_before("italic")
        console.print(text)
    if label.reason is not None:
        console.print(Text(f"{label.status}: {visible(label.reason)}"))
    wide = console.width >= _WIDE
    table = plain_table("scorer", "score", "value [95 %]" if wide else "value", "windows")
    for result in label.results:
        for score in result.scores:
            value = score_cell(result, score, wide=wide)
            row = (result.scorer, score.name, value, str(score.n_windows))
            table.add_row(*(Text(visible(cell)) for cell in row))
    if label.results:
        console.print(table)
    for note in _notes(scored):
        console.print(Text(visible(note), "dim"))


def _notes(scored: ScoredFile) -> list[str]:
    file = scored.file
    notes = list(file.notes)
    if file.no_population is not None:
        notes.append(f"population is undefined: {file.no_population}")
        notes.append(
            "the explanation may have been written by someone who read the held-out records"
        )
    return notes


def _title(file: RecordFile) -> Text:
    explain = file.sets.explain
    return Text(visible(f"{side_name(explain.unit, explain.side)}  {file.path}"), "bold")


def _explained_json(explained: ExplainedFile) -> dict[str, object]:
    chosen = explained.selection
    return {
        **_file_json(explained.file),
        "found_no_pattern": chosen.found_no_pattern,
        "candidates": [
            {
                **_explanation_json(candidate.explanation),
                "validation_score": candidate.validation_score,
                "reason": candidate.reason,
                "chosen": candidate.chosen,
            }
            for candidate in chosen.candidates
        ],
        "failures": list(chosen.failures),
    }


def _scored_json(scored: ScoredFile) -> dict[str, object]:
    label, best = scored.label, scored.headline
    explanation = _explanation_json(label.explanation) if label.explanation else {}
    return {
        **_file_json(scored.file),
        **explanation,
        "status": str(label.status),
        "reason": label.reason,
        "refused": label.refused,
        "scorer": label.preferred,
        "score_name": best.name,
        "score": best.value,
        "score_low": best.low,
        "score_high": best.high,
        "results": [
            {
                "scorer": result.scorer,
                "explanation": result.explanation,
                "n_asked": result.n_asked,
                "n_failed": result.n_failed,
                "failure": result.failure,
                "scores": [asdict(score) for score in result.scores],
                "notes": list(result.notes),
            }
            for result in label.results
        ],
        "notes": _notes(scored),
    }


def _file_json(file: RecordFile) -> dict[str, object]:
    sets = file.sets
    return {
        "file": str(file.path),
        "hook": sets.explain.unit.hook,
        "index": sets.explain.unit.index,
        "side": str(sets.explain.side),
        "n_explain": len(sets.explain.records),
        "n_validation": len(sets.validation.records),
        "n_heldout": len(sets.held_out.records),
        "no_population": file.no_population,
    }


def _explanation_json(explanation: Explanation) -> dict[str, object]:
    prompt = explanation.prompt
    return {
        "explanation": explanation.text,
        "senses": [asdict(sense) for sense in explanation.senses],
        "explainer": explanation.explainer,
        "model": explanation.model,
        "prompt": f"{prompt.name}/{prompt.version}" if prompt else None,
    }
