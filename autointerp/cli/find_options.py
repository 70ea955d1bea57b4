"""Options of the commands that look for a feature: what it is, and how it is read and probed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from autointerp.core.errors import InputError
from autointerp.core.one_line import shortened

N_TOKENS = 65_536
HELPS = {
    "corpus": "Text that --feature and --regex look in (default: the feature's own).",
    "tokens": f"Tokens to read (default: {N_TOKENS:,}).",
}
"""Of options that other commands have as well."""
FeatureName = Annotated[
    str | None,
    typer.Option(
        help="A ready feature: years, capitals, code-comment, corpus:python, "
        '"compound:social security" ...; an unknown one lists all.'
    ),
]
Regex = Annotated[
    str | None, typer.Option(help="A regular expression: tokens that overlap a match.")
]
Positive = Annotated[
    Path | None, typer.Option(help="Texts with the feature, one a line, or JSON lines.")
]
Negative = Annotated[Path | None, typer.Option(help="Texts without it.")]
Dataset = Annotated[
    Path | None,
    typer.Option(help='JSON lines: {"text", "label"}, {"text", "spans"} or {"tokens", "labels"}.'),
]
NCtx = Annotated[int, typer.Option(help="Tokens per window.", min=2, max=4096)]
ExactSeconds = Annotated[
    float, typer.Option(help="Seconds of each exact search of up to 4 units.", min=0)
]
Seed = Annotated[int, typer.Option(help="Seed of the documents and the tokens drawn.", min=0)]


def parsed_ks(text: str) -> tuple[int, ...]:
    """The sizes that are written with commas between; none for ``0``.

    Raises:
        InputError: something else than numbers.
    """
    try:
        sizes = tuple(int(part) for part in text.split(","))
    except ValueError as error:
        raise InputError(
            f"--k {shortened(text)} is not numbers of units; write for example --k 16,4,2,1"
        ) from error
    return () if sizes == (0,) else sizes
