"""``autointerp collect`` and ``merge``: summaries of units, without labels."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from autointerp.cli.command_options import (
    AsJson,
    CollectOptions,
    PrintConfig,
    Resume,
)
from autointerp.cli.job_options import collect_job_of
from autointerp.cli.job_settings import print_config_of
from autointerp.cli.option_groups import with_options
from autointerp.cli.rendering.console import (
    ExitCode,
    counted,
    print_json,
    result_console,
    say,
    say_loading,
)
from autointerp.cli.rendering.progress_bars import shown_progress
from autointerp.core.config import CollectJob
from autointerp.core.errors import InputError

if TYPE_CHECKING:
    from autointerp.wiring.collection_runs import Collected

_Out = Annotated[Path | None, typer.Option(help="Folder of the summary; must be given.")]
_SaveEvery = Annotated[
    float, typer.Option(help="Seconds between two saves of what is done; 0 for every batch.", min=0)
]
_TokenTables = Annotated[
    bool | None,
    typer.Option(
        "--token-tables/--no-token-tables",
        help="Keep what label --collected needs; by default where it takes less than 2 GiB.",
        show_default=False,
    ),
]
_Folders = Annotated[list[Path], typer.Argument(metavar="DIR", help="Folders that collect made.")]
_MergedOut = Annotated[Path, typer.Option(help="Folder of the merged summary.")]
_Partial = Annotated[bool, typer.Option("--partial", help="Merge although shards are missing.")]


def register(app: typer.Typer) -> None:
    """Adds the commands."""

    @app.command(epilog="Example: autointerp collect smollm2-135m --units layer:5 --out made")
    @with_options
    def collect(
        *,
        options: CollectOptions,
        out: _Out = None,
        save_every: _SaveEvery = 30.0,
        token_tables: _TokenTables = None,
        resume: Resume = False,
        print_config: PrintConfig = False,
        as_json: AsJson = False,
    ) -> None:
        """Collects statistics, top windows and samples of units."""
        job = collect_job_of(options)
        if print_config:
            print_config_of(job)
            return
        if out is None:
            raise InputError("where should the summary go? Add --out, for example --out made")
        collected = _collect(
            job, out, resume=resume, save_every_s=save_every, token_tables=token_tables
        )
        _print(collected, as_json=as_json)

    @app.command(epilog="Example: autointerp merge part1 part2 --out made")
    def merge(
        folders: _Folders, out: _MergedOut, partial: _Partial = False, as_json: AsJson = False
    ) -> None:
        """Merges shards in any order into what one pass would have given."""
        say_loading()
        from autointerp.wiring.collection_runs import merge_folders  # noqa: PLC0415 - brings torch

        _print(merge_folders(folders, out=out, partial=partial), as_json=as_json)


def _collect(
    job: CollectJob, out: Path, *, resume: bool, save_every_s: float, token_tables: bool | None
) -> Collected:
    say_loading()
    # Imported when the command runs: they bring torch, which takes seconds.
    from autointerp.settings import read_settings  # noqa: PLC0415
    from autointerp.wiring.collection_runs import run_collection  # noqa: PLC0415

    try:
        with shown_progress() as progress:
            return run_collection(
                job,
                out=out,
                resume=resume,
                settings=read_settings(),
                progress=progress,
                save_every_s=save_every_s,
                token_tables=token_tables,
            )
    except KeyboardInterrupt:
        say(f"interrupted; what was last saved in {out} is kept; continue with --resume")
        raise typer.Exit(ExitCode.INTERRUPTED) from None


def _print(collected: Collected, *, as_json: bool) -> None:
    if as_json:
        print_json(_as_json(collected))
        return
    for line in _lines(collected):
        result_console().print(line, soft_wrap=True)


def _lines(collected: Collected) -> list[str]:
    """Units, tokens, time, memory and where the summary is."""
    hooks = counted(len(collected.summary), "hook point")
    units, tokens = counted(collected.n_units, "unit"), counted(collected.n_tokens, "token")
    lines = [f"{units} of {hooks} over {tokens}{_shards(collected)}"]
    if collected.need is not None:
        new = counted(collected.n_new_tokens, "new token")
        speed = f"{_speed(collected):,.0f} tokens/s"
        lines.append(f"collected: {new} in {collected.seconds:.1f} s, {speed}")
        lines.append(f"memory: {collected.need}")
    size = collected.path.stat().st_size
    return [*lines, f"summary: {collected.path} ({size / 2**20:,.1f} MiB)"]


def _as_json(collected: Collected) -> dict[str, object]:
    """A collected summary for ``--json``; memory in bytes."""
    summary, need = collected.summary, collected.need
    return {
        "path": str(collected.path),
        "n_bytes": collected.path.stat().st_size,
        "n_units": collected.n_units,
        "n_hooks": len(summary),
        "n_tokens": collected.n_tokens,
        "n_new_tokens": collected.n_new_tokens,
        "seconds": round(collected.seconds, 3),
        "tokens_per_s": None if need is None else round(_speed(collected), 1),
        "shards": [f"{i}/{n}" for i, n in sorted(summary.shards)],
        "whole": summary.whole,
        "memory": None if need is None else {**asdict(need), "total": need.total},
    }


def _speed(collected: Collected) -> float:
    return collected.n_new_tokens / collected.seconds if collected.seconds > 0 else 0.0


def _shards(collected: Collected) -> str:
    if collected.summary.whole:
        return ""
    shards = ", ".join(f"{i}/{n}" for i, n in sorted(collected.summary.shards))
    return f" (shard {shards} alone)"
