"""What is known of a unit beside its label, as text for a terminal."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from autointerp.cli.rendering.console import visible
from autointerp.core.causal_evidence import ACTED_ON
from autointerp.core.causal_words import in_words
from autointerp.core.evidence_words import (
    brief_name,
    chance_words,
    control_words,
    relation_title,
    title_of,
    value_words,
)
from autointerp.core.explanations import Label
from autointerp.core.kept_evidence import OF_ANOTHER_LABEL, KeptEvidence, newest_of_each_kind
from autointerp.core.unit_kinds import kind_title, kinds_of


def kept_parts(kept: tuple[KeptEvidence, ...], labels: Collection[str]) -> Iterator[RenderableType]:
    """What was found with the unit held, put back or pushed: a line of the newest of each kind."""
    if not kept:
        return
    pushed = any(one.request.kind in ACTED_ON for one in kept)
    title = "held, put back or pushed" if pushed else "found beside the label"
    yield Text(f"\n{title}", "bold underline")
    for one in newest_of_each_kind(kept):
        source = one.source
        where = "" if source.corpus is None else f", {source.corpus}"
        where += f", {OF_ANOTHER_LABEL}" if one.is_of_another_label(labels) else ""
        said = f"{one.request.kind}: {in_words(one.evidence)} "
        yield Text(visible(said)).append(visible(f"({source.created[:10]}{where})"), "dim")


def evidence_parts(label: Label) -> Iterator[RenderableType]:
    """Kinds, every number with what it is read against, and the units that lie near."""
    evidence = label.evidence
    if evidence is None:
        return
    yield Text("\nbeside the label", "bold underline")
    kinds = kinds_of(label)
    for one in kinds:
        yield Text(f"kind: {kind_title(one.kind)} ({one.because})")
    if not kinds:
        yield Text("kind: unknown")
    grid = Table.grid(padding=(0, 1))
    for style in ("dim", "", "dim"):
        grid.add_column(overflow="fold", style=style)
    for measure in evidence.measures:
        grid.add_row(title_of(measure.quantity), value_words(measure), control_words(measure))
    for near in evidence.near:
        names = (brief_name(name) for name in near.names(label.unit.hook))
        cosines = (unit.cosine for unit in near.units)
        units = ", ".join(f"{n} {c:+.2f}" for n, c in zip(names, cosines, strict=True))
        grid.add_row(relation_title(near.relation), units or "–", chance_words(near))
    yield grid
