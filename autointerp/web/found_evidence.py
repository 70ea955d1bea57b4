"""Causal evidence that was kept of a unit, as its page shows it: no worker is asked."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

from autointerp.core.causal_evidence import (
    ACTED_ON,
    Ablation,
    Attribution,
    ControlKind,
    EvidenceKind,
    Hold,
    LossChange,
    Patching,
    Standing,
    SteeredWriting,
)
from autointerp.core.causal_words import TEXT_WORDS, in_words
from autointerp.core.explanations import Label
from autointerp.core.kept_evidence import (
    OF_ANOTHER_LABEL,
    KeptEvidence,
    label_digest,
    newest_of_each_kind,
)
from autointerp.core.own_label_rank import OwnLabelRank
from autointerp.core.unit_sites import UnitSites

_TITLES = {
    EvidenceKind.ABLATION: "held still",
    EvidenceKind.PATCHING: "put back between two prompts",
    EvidenceKind.ATTRIBUTION: "what it adds to the tokens that follow",
    EvidenceKind.STEERING: "raised and lowered",
    EvidenceKind.SITES: "before, within and behind its activation function",
    EvidenceKind.RANK: "among the units of its layer, for its own label",
}
_HELD = {Hold.ZERO: "zero", Hold.MEAN: "its mean", Hold.RESAMPLED: "another text's"}
_AROUND = 6
Row = tuple[str, ...]
Pair = tuple[str, str]


@dataclass(frozen=True, slots=True)
class FoundTable:
    """Numbers of one answer."""

    caption: str
    heads: Row
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class FoundEvidence:
    """The newest answer of one kind."""

    title: str
    sentence: str
    made: str
    """When, on which text and by what, for a line below."""
    table: FoundTable | None = None
    written: tuple[tuple[str, tuple[Pair, ...]], ...] = ()
    """Of each prompt what is written behind it, each with its name."""
    notes: tuple[str, ...] = ()
    is_acted_on: bool = True
    """Whether the unit was held, put back or pushed for it, and not only read."""


def found_evidence(
    kept: tuple[KeptEvidence, ...], labels: Iterable[Label]
) -> tuple[FoundEvidence, ...]:
    """The newest of each kind, beside the labels of a page."""
    digests = {label_digest(label) for label in labels} if kept else set()
    return tuple(_shown(one, digests) for one in newest_of_each_kind(kept))


def rank_beside(kept: tuple[KeptEvidence, ...], label: Label) -> str:
    """The rank of the label's unit for this very label, a sentence; empty where none is kept."""
    digest = label_digest(label)
    for one in reversed(newest_of_each_kind(kept)):
        if one.request.kind is EvidenceKind.RANK and not one.is_of_other_than(digest):
            ranks = (rank for rank in one.evidence.ranks if rank.side is label.side)
            return next((f"{_upper(rank.sentence)}." for rank in ranks), "")
    return ""


def _upper(sentence: str) -> str:
    return f"{sentence[:1].upper()}{sentence[1:]}"


def _shown(kept: KeptEvidence, labels: Collection[str]) -> FoundEvidence:
    found = kept.evidence
    sentence = in_words(found)
    tables = [
        *map(_ablation_table, found.ablations),
        *map(_patching_table, found.patchings),
        *map(_attribution_table, found.attributions),
        *map(_sites_table, found.sites),
        *([_ranks_table(found.ranks)] if found.ranks else []),
    ]
    return FoundEvidence(
        _TITLES[kept.request.kind],
        f"{_upper(sentence)}.",
        _made(kept, labels),
        tables[0] if tables else None,
        tuple(_written(found.steerings)),
        found.notes,
        kept.request.kind in ACTED_ON,
    )


def _made(kept: KeptEvidence, labels: Collection[str]) -> str:
    source = kept.source
    parts = [source.created[:16].replace("T", " ") + " UTC", source.dtype]
    parts += [source.corpus] if source.corpus else []
    parts += [source.job] if source.job else []
    parts += [OF_ANOTHER_LABEL] if kept.is_of_another_label(labels) else []
    return ", ".join(parts)


def _ablation_table(ablation: Ablation) -> FoundTable:
    return FoundTable(
        "Change of the loss, thousandths of a nat a token, with its 95 % interval over documents",
        ("on", "held at", "change", *(_among(control) for control in ControlKind)),
        tuple(map(_loss_row, ablation.changes)),
    )


def _loss_row(change: LossChange) -> Row:
    on = TEXT_WORDS[change.text]
    if change.value is None:
        return on, _HELD[change.hold], f"none: {change.reason}", "–", "–"
    said = _signed(1000 * change.value)
    if change.low is not None and change.high is not None:
        said += f" ({_signed(1000 * change.low)} to {_signed(1000 * change.high)})"
    windows = f"{change.n_windows} window{'' if change.n_windows == 1 else 's'}"
    return f"{on}, {windows}", _HELD[change.hold], said, *_standings(change.standings)


def _patching_table(patching: Patching) -> FoundTable:
    first, second = patching.answers
    rows: tuple[Row, ...] = (
        ("behind the prompt", patching.prompt, f"{patching.difference:.3g}"),
        (
            "behind the counterfactual",
            patching.counterfactual,
            f"{patching.counterfactual_difference:.3g}",
        ),
        ("there, with the unit put back", "", f"{patching.patched_difference:.3g}"),
    )
    return FoundTable(
        f"Logit of “{first}” less that of “{second}”", ("where", "text", "logits"), rows
    )


def _attribution_table(attribution: Attribution) -> FoundTable:
    rows = tuple(
        (
            "".join(text.tokens[max(0, text.position - _AROUND) : text.position + 1]),
            text.following,
            f"{text.activation:.3g}",
            f"{text.logit:+.2g}",
        )
        for text in attribution.texts
    )
    heads = ("text up to there", "what follows", "activation", "logit")
    return FoundTable("What it adds to the logit of the token that really follows", heads, rows)


def _sites_table(sites: UnitSites) -> FoundTable:
    rows: list[Row] = []
    for pair in sites.pairs:
        names = " and ".join(hook.rpartition(".")[2] for hook in (pair.first, pair.second))
        r = "–" if pair.correlation is None else f"{pair.correlation:.2f}"
        if pair.low is not None and pair.high is not None:
            r += f" ({pair.low:.2f} to {pair.high:.2f})"
        rows.append((names, r, f"{pair.shared:.0%}", f"{pair.shared_by_chance:.0%}"))
    return FoundTable(
        f"The same neuron at two sites, on {sites.n_tokens:,} tokens",
        ("sites", "correlation", "strongest windows in common", "by chance"),
        tuple(rows),
    )


def _ranks_table(ranks: Sequence[OwnLabelRank]) -> FoundTable:
    rows = tuple(
        (
            one.side.value,
            "–" if one.rank is None else f"{one.rank:,} of {one.n_units:,}",
            *_closeness(one),
            _margin(one),
        )
        for one in ranks
    )
    n = max(one.n_windows for one in ranks)
    return FoundTable(
        f"Correlation of units with what the label says of {n:,} windows of held-out text",
        ("side", "rank", "its own", "best other", "margin"),
        rows,
    )


def _closeness(one: OwnLabelRank) -> Row:
    own = "–" if one.own is None else f"{one.own:.2f}"
    if one.other is None or one.best_other is None:
        return own, "–"
    return own, f"{one.other.short}, {one.best_other:.2f}"


def _margin(one: OwnLabelRank) -> str:
    if one.margin is None:
        return f"none: {one.reason}"
    ends = "" if one.low is None else f" ({one.low:+.2f} to {one.high:+.2f})"
    return f"{one.margin:+.2f}{ends} over {' and '.join(unit.short for unit in one.rivals)}"


def _written(steerings: Sequence[SteeredWriting]) -> Iterator[tuple[str, tuple[Pair, ...]]]:
    ways = [("raised" if (s.strength or 0) > 0 else "lowered", s) for s in steerings if s.texts]
    for place, prompt in enumerate(steerings[0].prompts if ways else ()):
        plain = [("as it is", s.unsteered[place]) for _, s in ways[:1] if s.unsteered]
        pushed = [(way, s.texts[place]) for way, s in ways]
        turned = [
            (f"a random direction, as far as {way}", s.control_texts[place])
            for way, s in ways
            if s.control_texts
        ]
        yield prompt, (*plain, *pushed, *turned)


def _standings(standings: Sequence[Standing]) -> Row:
    of = {one.control: one for one in standings}
    return tuple(_standing(of.get(control)) for control in ControlKind)


def _standing(one: Standing | None) -> str:
    if one is None:
        return "–"
    if one.rank is None or one.p is None:
        return one.reason or "–"
    return f"rank {one.rank} of {len(one.values) + 1}, p\u00a0=\u00a0{one.p:.2g}"


def _among(control: ControlKind) -> str:
    return f"among {control.value.replace('_', ' ')}"


def _signed(value: float) -> str:
    return f"{value:+.3g}"
