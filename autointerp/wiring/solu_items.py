"""Units of one or more models as items that are judged without knowing what they are of."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from autointerp.activations import CollectPlan, collect
from autointerp.activations.activation_reading import Activations, read_windows
from autointerp.activations.summary import HookSummary
from autointerp.core.blind_study import Firing, ItemKey, StudyItem
from autointerp.core.characters import character_runs, whole_characters
from autointerp.core.config import CollectConfig
from autointerp.core.errors import InputError
from autointerp.core.ids import Side, UnitId
from autointerp.core.one_line import joined
from autointerp.core.progress import Progress
from autointerp.core.seeds import derive_seed
from autointerp.core.text import Split
from autointerp.corpora import TokenCorpus
from autointerp.subjects import HookUnits, SubjectModel, all_neurons

SITES = ("pre", "mid", "post")
_CONTEXT = 16
"""Tokens shown on either side of the strongest one."""
_N_EVERYWHERE = 2000
"""Tokens drawn from the text held out, by which a rule that holds everywhere is told."""
_FEWEST = 5
"""Firings without which there is nothing to judge."""


@dataclass(frozen=True, slots=True)
class Arm:
    """One of the groups that are compared."""

    name: str
    subject: SubjectModel
    site: str
    """``pre``, ``mid`` or ``post``."""


@dataclass(frozen=True, slots=True)
class ArmItems:
    """The items of one arm, with what rules are learned from."""

    keys: tuple[ItemKey, ...]
    items: tuple[StudyItem, ...]
    learned: Mapping[str, tuple[Firing, ...]]
    """Strongest firings in explain documents, by item."""
    everywhere: tuple[Firing, ...] = field(repr=False)
    """Tokens drawn from the text held out."""
    n_silent: int
    """Units drawn that fire too seldom to be judged."""


def arms_of(subjects: Sequence[SubjectModel], sites: Sequence[str]) -> tuple[Arm, ...]:
    """The arms: every model at every site that it has.

    Without sites a model is read where its neurons are by default: a SoLU model at ``mid``, before
    its extra LayerNorm, another at ``post``.

    Raises:
        InputError: no model has one of the sites, or there are no two different arms.
    """
    unknown = [site for site in sites if site not in SITES]
    if unknown:
        raise InputError(f"there is no site {unknown[0]!r}; sites are {joined(SITES)}")
    nowhere = [site for site in sites if not any(_has(subject, site) for subject in subjects)]
    if nowhere:
        models = joined([subject.name for subject in subjects])
        raise InputError(f"{models} cannot be read at {nowhere[0]}; leave it out of --sites")
    arms: list[Arm] = []
    for subject in subjects:
        there = [site for site in SITES if _has(subject, site)]
        own = [s for s in sites if s in there] or [subject.neuron_kind.removeprefix("hook_")]
        arms += [Arm(f"{subject.name} {site}", subject, site) for site in dict.fromkeys(own)]
    names = [arm.name for arm in arms]
    if len(set(names)) < len(names) or len(names) < 2:
        raise InputError(
            f"there are no two groups to compare: {joined(names)}; name two models whose folders "
            "have different names, or several --sites of one that has them"
        )
    return tuple(arms)


def _has(subject: SubjectModel, site: str) -> bool:
    return subject.width_or_none(f"blocks.0.mlp.hook_{site}") is not None


def items_of(  # noqa: PLR0913 - what is drawn, of what, and on which text
    arm: Arm,
    corpus: TokenCorpus,
    *,
    n_units: int,
    n_firings: int,
    seed: int,
    progress: Progress,
) -> ArmItems:
    """Items of units that are drawn from all layers alike.

    A model's units are the same at each of its sites.
    """
    drawn = _drawn_units(arm, n_units, seed)
    config = CollectConfig(top_k=n_firings)
    summary = collect(
        arm.subject,
        corpus,
        units=drawn,
        config=config,
        plan=CollectPlan(token_means=False),
        progress=progress,
    )
    found: dict[tuple[str, int], tuple[Side, dict[Split, list[int]]]] = {}
    n_silent = 0
    for group in drawn:
        halves = {split: summary.split(group.hook, split) for split in _USED}
        for place, index in enumerate(group.indices):
            side = _stronger(arm, group.hook, halves[Split.EXPLAIN], place)
            windows = {s: _active(half, side, place) for s, half in halves.items()}
            if min(map(len, windows.values())) < _FEWEST:
                n_silent += 1
                continue
            found[group.hook, index] = side, windows
    requests = {key: [w for some in own.values() for w in some] for key, (_, own) in found.items()}
    values = read_windows(arm.subject, corpus, requests, progress=progress) if requests else {}
    keys, items, learned = [], [], {}
    for (hook, index), (side, windows) in found.items():
        unit = UnitId(arm.subject.name, hook, index)
        name = _opaque(seed, arm, unit)
        shown = {
            split: tuple(_firings(arm, corpus, values, (hook, index), side, own))
            for split, own in windows.items()
        }
        layer = int(hook.split(".")[1])
        keys.append(ItemKey(name, arm.name, unit, side, layer))
        items.append(StudyItem(name, shown[Split.HELD_OUT]))
        learned[name] = shown[Split.EXPLAIN]
    everywhere = tuple(_tokens_everywhere(arm, corpus, seed))
    return ArmItems(tuple(keys), tuple(items), learned, everywhere, n_silent)


_USED = (Split.EXPLAIN, Split.HELD_OUT)


def _drawn_units(arm: Arm, n: int, seed: int) -> tuple[HookUnits, ...]:
    layers = all_neurons(arm.subject, kind=f"hook_{arm.site}")
    counts = [n // len(layers) + (place < n % len(layers)) for place in range(len(layers))]
    drawn = []
    for group, wanted in zip(layers, counts, strict=True):
        layer = group.hook.split(".")[1]
        rng = random.Random(derive_seed(seed, "units", arm.subject.name, layer))
        own = sorted(rng.sample(group.indices, min(wanted, len(group.indices))))
        if own:
            drawn.append(HookUnits(group.hook, tuple(own)))
    return tuple(drawn)


def _stronger(arm: Arm, hook: str, half: HookSummary, place: int) -> Side:
    if not arm.subject.two_sided(hook):
        return Side.POSITIVE
    ends = half.maximum[place], -half.minimum[place]
    return Side.POSITIVE if ends[0] >= ends[1] else Side.NEGATIVE


def _active(half: HookSummary, side: Side, place: int) -> list[int]:
    windows, peaks = half.ranked(0 if side is Side.POSITIVE else 1, place)
    return [int(window) for window, peak in zip(windows, peaks, strict=True) if peak > 0]


def _opaque(seed: int, arm: Arm, unit: UnitId) -> str:
    return f"{derive_seed(seed, 'item', arm.name, str(unit)) & 0xFFFFFFFFFFFF:012x}"


def _firings(  # noqa: PLR0913 - a unit, what it did, and where
    arm: Arm,
    corpus: TokenCorpus,
    values: Activations,
    key: tuple[str, int],
    side: Side,
    windows: Sequence[int],
) -> Iterator[Firing]:
    lines = {w: values[*key, w] * (1 if side is Side.POSITIVE else -1) for w in windows}
    strongest = max(float(line.max()) for line in lines.values())
    for window, line in lines.items():
        peak = int(line.argmax())
        levels = np.clip(np.floor(10 * np.maximum(line, 0) / strongest), 0, 10).astype(int)
        yield _around(arm, corpus, window, peak, levels.tolist())


def _around(arm: Arm, corpus: TokenCorpus, window: int, peak: int, levels: Sequence[int]) -> Firing:
    return firing_around(arm.subject.tokenizer.pieces(corpus[window].token_ids), levels, peak)


def firing_around(pieces: Sequence[str], levels: Sequence[int], peak: int) -> Firing:
    """What is shown around the token at the 0-based place `peak` of a window.

    Tokens that are parts of one character are shown as one, with their greatest level.
    """
    tokens, shown = whole_characters(pieces, levels)
    place = next(i for i, run in enumerate(character_runs(pieces)) if peak in run)
    first, last = max(0, place - _CONTEXT), place + _CONTEXT + 1
    return Firing(tokens[first:last], tuple(map(int, shown[first:last])), place - first)


def _tokens_everywhere(arm: Arm, corpus: TokenCorpus, seed: int) -> Iterator[Firing]:
    rng = random.Random(derive_seed(seed, "everywhere"))
    held_out = corpus.window_ids(Split.HELD_OUT)
    for window in rng.choices(held_out, k=_N_EVERYWHERE):
        n = len(corpus[window].token_ids)
        yield _around(arm, corpus, window, rng.randrange(n), [0] * n)


def shuffled(arms: Sequence[ArmItems], seed: int) -> list[StudyItem]:
    """The items of all arms in one order that tells nothing of them."""
    items = sorted((item for arm in arms for item in arm.items), key=lambda item: item.id)
    random.Random(derive_seed(seed, "order")).shuffle(items)
    return items
