"""A corpus that was looked at, for people and for machines."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

from autointerp.cli.rendering.console import plain_table
from autointerp.cli.rendering.look_lines import fact_table, share
from autointerp.core.config import CorpusConfig
from autointerp.corpora.corpus_look import BYTES_A_TOKEN, SourceLook
from autointerp.corpora.languages import METHOD

_MOST_LANGUAGES = 6


def print_corpus(
    looks: Sequence[SourceLook], text: CorpusConfig, subject: str | None, console: Console
) -> None:
    """Prints the facts and the splits of each source."""
    for look in looks:
        console.print(
            fact_table(
                {
                    "corpus": look.name,
                    "documents": _documents(look),
                    "passed over": f"{look.n_empty:,} without text, {look.n_copies:,} copies",
                    "tokens": _tokens(look, subject),
                    "languages": _languages(look),
                }
            )
        )
        console.print()
        of_it = "" if look.is_whole else " (of what was read)"
        table = plain_table(f"split{of_it}")
        for name in ("documents", f"windows of {text.n_ctx}", "tokens"):
            table.add_column(name, justify="right")
        for name, split in look.splits.items():
            counts = (split.n_documents, split.n_windows, split.n_tokens)
            table.add_row(name.replace("_", "-"), *(f"{n:,}" for n in counts))
        console.print(table)
        console.print()
    console.print(Text(f"languages: {METHOD}"))


def corpus_json(
    looks: Sequence[SourceLook], text: CorpusConfig, subject: str | None
) -> dict[str, object]:
    """The same for ``--json``."""
    return {
        "kind": "corpus",
        "n_ctx": text.n_ctx,
        "tokens_counted_by": subject or f"bytes / {BYTES_A_TOKEN:g}",
        "languages_by": METHOD,
        "sources": [
            {
                "name": look.name,
                "n_documents": look.n_documents,
                "n_read": look.n_read,
                "n_empty": look.n_empty,
                "n_copies": look.n_copies,
                "n_characters": look.n_characters,
                "n_tokens": look.n_tokens,
                "n_tokens_of_all": look.all_tokens,
                "splits": {
                    str(name): {
                        "n_documents": split.n_documents,
                        "n_windows": split.n_windows,
                        "n_tokens": split.n_tokens,
                    }
                    for name, split in look.splits.items()
                },
                "languages": {name: round(part, 4) for name, part in look.shares.items()},
            }
            for look in looks
        ],
    }


def _documents(look: SourceLook) -> str:
    if look.is_whole:
        return f"{look.n_read:,}"
    if look.n_documents is None:
        return f"{look.n_read:,} were read, and there are more"
    if look.n_read == look.n_documents:
        return f"{look.n_read:,}; of the last {look.of_last:.0%} was read"
    return f"{look.n_documents:,}; {share(look.n_read, look.n_documents)} were read"


def _tokens(look: SourceLook, subject: str | None) -> str:
    how = f"counted by the tokenizer of {subject}"
    if subject is None:
        how = f"estimated, {BYTES_A_TOKEN:g} bytes each; --subject NAME counts"
    if look.is_whole:
        return f"{look.n_tokens:,} ({how})"
    all_of_them = "" if look.all_tokens is None else f", so about {look.all_tokens:,} in all"
    return f"{look.n_tokens:,} in what was read{all_of_them} ({how})"


def _languages(look: SourceLook) -> str:
    shares = list(look.shares.items())
    named = [f"{name} {_percent(part)}" for name, part in shares[:_MOST_LANGUAGES]]
    more = len(shares) - _MOST_LANGUAGES
    return ", ".join(named) + (f" and {more} more" if more > 0 else "")


def _percent(part: float) -> str:
    return "below 1 %" if part < 0.005 else f"{100 * part:.0f} %"
