"""Causal evidence for a terminal: each number with its interval and its place among controls."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from statistics import median

from rich.console import Console
from rich.table import Table
from rich.text import Text

from autointerp.cli.rendering.console import counted, plain_table, short, visible
from autointerp.cli.rendering.rank_tables import print_ranks
from autointerp.cli.rendering.site_tables import print_sites
from autointerp.core.causal_evidence import (
    Ablation,
    AttributedText,
    Attribution,
    CausalEvidence,
    ControlKind,
    EvidenceKind,
    LossChange,
    Patching,
    Standing,
    SteeredWriting,
)
from autointerp.core.ids import UnitId

_CONTROLS = {ControlKind.UNITS: "units", ControlKind.DIRECTIONS: "directions"}
_LEGENDS = {
    EvidenceKind.ABLATION: "change: nats a token more with the unit held, 95 % interval over "
    "documents, in thousandths. all: held-out text; exemplars: where it is strongest; predicted: "
    "held-out text where its label says that it is active.",
    EvidenceKind.PATCHING: "share: of the way from the counterfactual's difference of logits to "
    "the prompt's that the unit alone, as it is in the prompt, brings about.",
    EvidenceKind.ATTRIBUTION: "logit: activation times output weights, through the final norm as "
    "it is at that token, to the token that really follows, less the mean over the vocabulary; "
    "later layers are passed by. rank: share of the vocabulary that is raised less.",
    EvidenceKind.STEERING: "strength: added to the activation at every token; KL: of the next "
    "token from the model as it is, mean over the prompts.",
    EvidenceKind.SITES: "r: of the two sites' activations, 95 % interval over documents; shared: "
    "of the strongest windows at one site those among as many at the other.",
    EvidenceKind.RANK: "own, its: correlation of the unit, and of the best other on the better of "
    "its sides, with what the label predicts on held-out text. margin: own less that of the best "
    "other, which is chosen on half of the documents and compared on the other half.",
}
_STANDING = (
    "p: (1 + random units, or random directions, at least as large in size) / (1 + all of them)."
)
_P = 0.05
_AROUND = 6
_LONGEST_NAME = 12
_WIDE = 100


def print_causal(evidence: CausalEvidence, console: Console) -> None:
    """Prints what came out, for people."""
    _print_ablations(evidence.ablations, console)
    for patching in evidence.patchings[:1]:
        console.print(_prompts_of(patching))
    if evidence.patchings:
        console.print(_patching_table(evidence.patchings))
    for attribution in evidence.attributions:
        console.print(_attribution_heading(attribution))
        if attribution.texts:
            console.print(_attribution_table(attribution.texts))
        console.print()
    for writing in evidence.steerings:
        _print_writing(writing, console)
    for sites in evidence.sites:
        print_sites(sites, console)
    print_ranks(evidence.ranks, console)
    console.print()
    for line in _legend(evidence):
        console.print(Text(visible(line), "dim"))


def _print_ablations(ablations: Sequence[Ablation], console: Console) -> None:
    if not ablations:
        return
    for line in _ablation_sentences(ablations):
        console.print(Text(line))
    for part in _ablation_tables(ablations, wide=console.width >= _WIDE):
        console.print(part)


def _legend(evidence: CausalEvidence) -> Iterator[str]:
    yield _LEGENDS[evidence.kind]
    if evidence.kind in {EvidenceKind.ABLATION, EvidenceKind.PATCHING}:
        yield _STANDING
    yield from _reasons(evidence)
    yield f"{evidence.n_tokens_run:,} tokens in forward passes, {evidence.seconds:.0f} s"
    yield from evidence.notes


def _reasons(evidence: CausalEvidence) -> Iterator[str]:
    """Why numbers and controls are missing, each sentence once."""
    found: dict[str, None] = {}
    for change in (c for ablation in evidence.ablations for c in ablation.changes):
        if change.reason is not None:
            found[f"undefined, {change.text.value}: {change.reason}"] = None
        found |= dict.fromkeys(_missing(change.standings))
    for patching in evidence.patchings:
        found |= dict.fromkeys(_missing(patching.standings))
        if patching.reason is not None:
            found[f"undefined: {patching.reason}"] = None
    yield from found


def _missing(standings: Iterable[Standing]) -> Iterator[str]:
    for one in standings:
        if one.reason is not None:
            yield f"no random {_CONTROLS[one.control]}: {one.reason}"


def _ablation_sentences(ablations: Sequence[Ablation]) -> Iterator[str]:
    """What holds of many units, a line a hold and text."""
    if len(ablations) < 2:  # noqa: PLR2004 - of one the table says it
        return
    for number, first in enumerate(ablations[0].changes):
        changes = [a.changes[number] for a in ablations]
        known = [c for c in changes if c.value is not None]
        if not known:
            continue
        values = [c.value or 0.0 for c in known]
        parts = [f"median {_milli(median(values))}"]
        for control in ControlKind:
            all_of = [_standing(c.standings, control) for c in known]
            some = [s for s in all_of if s is not None and s.p is not None]
            if some:
                parts.append(_beyond(some, _CONTROLS[control]))
        yield f"{first.hold.value}, {first.text.value}: {', '.join(parts)}"
    yield ""


def _beyond(standings: Sequence[Standing], controls: str) -> str:
    """How many numbers are larger than those of controls, beside how many would be by chance."""
    n = sum((one.p or 1.0) <= _P for one in standings)
    # p has steps: the largest that is small enough is met by chance as often as it says.
    places = [1 + len(one.values) for one in standings]
    chance = sum(math.floor(_P * place + 1e-9) / place for place in places)
    others = median(value for one in standings for value in one.values)
    return (
        f"{n} of {len(standings)} beyond random {controls} (p at most {_P}; by chance "
        f"{chance:.1f}; their median {_milli(others)})"
    )


def _ablation_tables(ablations: Sequence[Ablation], *, wide: bool) -> Iterator[Table | Text]:
    """One table, or one a unit where their names are long."""
    names = [_names(ablation.units) for ablation in ablations]
    if max(map(len, names)) <= _LONGEST_NAME:
        yield _ablation_table(list(zip(names, ablations, strict=True)), wide=wide)
        return
    for name, ablation in zip(names, ablations, strict=True):
        yield Text(name, "bold", overflow="fold")
        yield _ablation_table([("", ablation)], wide=wide)


def _ablation_table(named: Sequence[tuple[str, Ablation]], *, wide: bool) -> Table:
    headed = any(name for name, _ in named)
    table = plain_table(*(["unit"] if headed else []))
    for name in ("held", "text"):
        table.add_column(name, no_wrap=True)
    loss = ("loss", "windows") if wide else ()
    for name in ("change", "interval", *loss, *(f"p, {kind}" for kind in _CONTROLS.values())):
        table.add_column(name, justify="right", overflow="fold")
    for name, ablation in named:
        for number, change in enumerate(ablation.changes):
            first = [("" if number else name)] if headed else []
            cells = _change_cells(change, wide=wide)
            table.add_row(*first, change.hold.value, change.text.value, *cells)
    return table


def _change_cells(change: LossChange, *, wide: bool) -> Iterator[Text]:
    yield Text("-", "dim") if change.value is None else Text(_milli(change.value))
    known = change.low is not None and change.high is not None
    yield Text(f"[{_milli(change.low or 0.0)}, {_milli(change.high or 0.0)}]" if known else "-")
    if wide:
        yield Text("-" if change.loss is None else f"{change.loss:.2f}")
        yield Text(f"{change.n_windows:,}")
    for control in ControlKind:
        yield _standing_cell(_standing(change.standings, control), wide=wide)


def _patching_table(patchings: Sequence[Patching]) -> Table:
    table = plain_table("unit")
    for name in ("share", "difference", *(f"p, {kind}" for kind in _CONTROLS.values())):
        table.add_column(name, justify="right", overflow="fold")
    for one in patchings:
        table.add_row(
            _names(one.units),
            Text("-" if one.share is None else f"{one.share:.1%}"),
            Text(short(one.patched_difference)),
            *(
                _standing_cell(_standing(one.standings, control), wide=True)
                for control in ControlKind
            ),
        )
    return table


def _prompts_of(one: Patching) -> Text:
    first, second = (visible(repr(answer)) for answer in one.answers)
    where = "at every token" if one.position is None else f"at token {one.position}"
    return Text(
        f"logit of {first} less that of {second}: {short(one.difference)} behind "
        f"{visible(repr(one.prompt))}, {short(one.counterfactual_difference)} behind "
        f"{visible(repr(one.counterfactual))}; units put back {where}"
    )


def _attribution_heading(one: Attribution) -> Text:
    if one.mean is None:
        return Text(f"{one.unit.short}: undefined, {one.reason}")
    said = f"{one.unit.short}: mean logit on its strongest texts {one.mean:+.3g}"
    if one.low is not None and one.high is not None:
        said += f" [{one.low:+.3g}, {one.high:+.3g}]"
    for standing in one.standings:
        if standing.p is not None:
            said += f", beside random directions p {standing.p:.2g}"
    return Text(said, "bold")


def _attribution_table(texts: Sequence[AttributedText]) -> Table:
    table = plain_table("", expand=True)
    table.add_column("text up to the unit", ratio=1, overflow="fold")
    table.add_column("next", overflow="fold")
    for name in ("activation", "logit", "rank"):
        table.add_column(name, justify="right", overflow="fold")
    for one in texts:
        before = "".join(one.tokens[max(0, one.position - _AROUND) : one.position + 1])
        table.add_row(
            "largest" if one.strongest else "lowest",
            Text(visible(before)),
            Text(visible(one.following)),
            short(one.activation),
            f"{one.logit:+.3g}",
            f"{one.share_below:.0%}",
        )
    return table


def _print_writing(one: SteeredWriting, console: Console) -> None:
    if one.strength is None:
        console.print(Text(f"{one.unit.short}: {visible(one.reason or '')}"))
        return
    said = f"{one.unit.short}: {one.strength:+.3g}, KL {one.kl or 0:.2f}"
    for standing in one.standings:
        if standing.values:
            others = median(standing.values)
            said += f"; random directions as long {others:.2f} (p {standing.p:.2g})"
    console.print(Text(said, "bold"))
    table = plain_table("prompt", expand=True)
    for name in ("pushed", "as it is", *(["random direction"] if one.control_texts else [])):
        table.add_column(name, ratio=1, overflow="fold")
    columns = [one.prompts, one.texts, one.unsteered]
    columns += [one.control_texts] if one.control_texts else []
    for row in zip(*columns, strict=True):
        table.add_row(*(Text(visible(cell)) for cell in row))
    console.print(table)


def _standing(standings: Sequence[Standing], control: ControlKind) -> Standing | None:
    return next((one for one in standings if one.control is control), None)


def _standing_cell(one: Standing | None, *, wide: bool) -> Text:
    if one is None or one.p is None:
        return Text("-", "dim")
    place = f" ({one.rank} of {1 + len(one.values)})" if wide else ""
    return Text(f"{one.p:.2g}{place}", "" if one.p > _P else "bold")


def _milli(value: float) -> str:
    return f"{1000 * value:+.3g}"


def _names(units: Sequence[UnitId]) -> str:
    if len(units) == 1:
        return visible(units[0].short)
    return f"{counted(len(units), 'unit')} from {visible(units[0].short)}"
