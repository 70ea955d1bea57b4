"""Causal evidence in one sentence, as lists and events show it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

from autointerp.core.causal_evidence import (
    Ablation,
    Attribution,
    CausalEvidence,
    Patching,
    Standing,
    SteeredWriting,
    TextKind,
)
from autointerp.core.own_label_rank import OwnLabelRank
from autointerp.core.unit_sites import UnitSites

TEXT_WORDS = {
    TextKind.ALL: "held-out text",
    TextKind.EXEMPLARS: "its exemplars",
    TextKind.PREDICTED: "text where its label says that it is active",
}
_UNTOLD = "nothing can be told"


def in_words(found: CausalEvidence) -> str:
    """What was found, of the first unit or set."""
    if found.steerings:
        return _steered(found.steerings)
    if found.ranks:
        return _ranked(found.ranks)
    sentences = chain(
        map(_lost, found.ablations),
        map(_carried, found.patchings),
        map(_added, found.attributions),
        map(_at_sites, found.sites),
    )
    return next(sentences, _UNTOLD)


def _lost(ablation: Ablation) -> str:
    told = [(abs(c.value), c.value, c) for c in ablation.changes if c.value is not None]
    if not told:
        return next((c.reason for c in ablation.changes if c.reason), None) or _UNTOLD
    size, value, change = max(told, key=lambda one: one[0])
    way = "lower" if value < 0 else "higher"
    among = _among(change.standings)
    return (
        f"without it the loss is {size:.3g} nats a token {way} on {TEXT_WORDS[change.text]}{among}"
    )


def _carried(patching: Patching) -> str:
    if patching.share is None:
        return patching.reason or _UNTOLD
    among = _among(patching.standings)
    return f"it carries {patching.share:.0%} of the difference between the prompts{among}"


def _added(attribution: Attribution) -> str:
    if attribution.mean is None:
        return attribution.reason or _UNTOLD
    among = _among(attribution.standings)
    return f"it adds {attribution.mean:.3g} to the logit of the token that follows{among}"


def _steered(steerings: Sequence[SteeredWriting]) -> str:
    able = [one for one in steerings if one.strength is not None]
    if not able:
        return steerings[0].reason or _UNTOLD
    ways = ("raised" if (one.strength or 0) > 0 else "lowered" for one in able)
    return f"steered: {' and '.join(ways)}, next token moved by {able[0].kl:.2g} nats"


def _at_sites(sites: UnitSites) -> str:
    told = [pair for pair in sites.pairs if pair.correlation is not None]
    if not told:
        return _UNTOLD
    least = min(told, key=lambda pair: abs(pair.correlation or 0.0))
    first, second = (hook.rpartition(".")[2] for hook in (least.first, least.second))
    return f"between {first} and {second} its activations correlate by {least.correlation:.2f}"


def _ranked(ranks: Sequence[OwnLabelRank]) -> str:
    """Of one unit, whose sides both may have a label."""
    own = [rank for rank in ranks if rank.unit == ranks[0].unit]
    return "; ".join(f"{rank.side.value} side: {rank.sentence}" for rank in own)


def _among(standings: Sequence[Standing]) -> str:
    for one in standings:
        if one.p is not None:
            return f", p {one.p:.2g} among {one.control.value.replace('_', ' ')}"
    return ""
