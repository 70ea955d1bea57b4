"""A dictionary as a server has it: the labels under a name, or those of one text or explainer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote, urlencode

import numpy as np

from autointerp.core.errors import InputError
from autointerp.core.explanations import Label
from autointerp.core.ids import HookPoint, Side, UnitId
from autointerp.core.one_line import shortened
from autointerp.store.search.columns import Filters, Slots, View

_PARTS = ("corpus", "explainer", "site")


@dataclass(frozen=True, slots=True)
class LabelSelection:
    """Written ``NAME``, or ``NAME?corpus=wiki&explainer=senses&site=mlp.hook_pre``."""

    name: str
    """Under which the labels are served: a model's, or a folder's."""
    corpus: str | None = None
    """Labels from this text, also those that newer ones took the place of."""
    explainer: str | None = None
    """Labels by this explainer, also those."""
    site: str | None = None
    """A hook point without its layer: units are then matched by layer and index."""

    @classmethod
    def parse(cls, text: str) -> LabelSelection:
        """What was written.

        Raises:
            InputError: it names nothing, or by other words.
        """
        name, _, query = text.partition("?")
        parts = parse_qsl(query, keep_blank_values=True)
        given = {key: value for key, value in parts if value}
        if not name or len(parts) != len(dict(parts)) or not given.keys() <= set(_PARTS):
            raise InputError(
                f"{shortened(text)} does not name a dictionary: write NAME, or "
                "NAME?corpus=C&explainer=E&site=mlp.hook_pre with any of the three"
            )
        return cls(unquote(name), **given)

    def __str__(self) -> str:
        name = self.name.replace("%", "%25").replace("?", "%3F")
        given = [(key, getattr(self, key)) for key in _PARTS if getattr(self, key) is not None]
        return f"{name}?{urlencode(given)}" if given else name

    @property
    def title(self) -> str:
        """The same for people."""
        words = {"corpus": "text ", "explainer": "by ", "site": "at "}
        parts = [words[key] + getattr(self, key) for key in _PARTS if getattr(self, key)]
        return ", ".join([self.name, *parts])

    def unit_like(self, unit: UnitId) -> UnitId:
        """Its unit of the same layer and index."""
        hook = unit.hook if self.site is None else f"blocks.{unit.layer}.{self.site}"
        return UnitId(self.name, HookPoint(hook).name, unit.index)

    def labels(self, labels: Iterable[Label]) -> dict[Side, Label]:
        """Of labels of a unit, the newest first, its own by side."""
        found: dict[Side, Label] = {}
        for label in labels:
            origin = label.origin
            if self.corpus in {None, origin.corpus} and self.explainer in {None, origin.explainer}:
                found.setdefault(label.side, label)
        return found

    def slots(self, view: View) -> Slots:
        """Of the labels in memory its own, one a side, the newest where there are several."""
        mask = view.mask(Filters(corpus=self.corpus, explainer=self.explainer))
        chosen = np.ones(view.n, np.bool_) if mask is None else mask[: view.n].copy()
        _, hooks, indices, sides, *_ = view.numbers[:, : view.n]
        if self.site is not None:
            own = [i for i, hook in enumerate(view.hooks) if site_of(hook) == self.site]
            chosen &= np.isin(hooks, own)
        slots = np.flatnonzero(chosen)
        # Of several of one side the first stays, which is the newest where that is among them.
        slots = slots[np.argsort(~view.is_newest[slots], kind="stable")]
        names = np.stack([hooks[slots], indices[slots], sides[slots]])
        first: Slots = slots[np.sort(np.unique(names, axis=1, return_index=True)[1])]
        return first


def site_of(hook: str) -> str:
    """A hook point without its layer: ``mlp.hook_post``."""
    return hook.split(".", 2)[2]


def selections_of(name: str, view: View | None) -> Iterator[LabelSelection]:
    """The labels under a name: the newest, and those of each text, explainer and kind of place.

    Of one that all labels have nothing is to choose.
    """
    yield LabelSelection(name)
    if view is None:
        return
    known = [view.origins[i] for i in np.unique(view.numbers[5][: view.n]).tolist()]
    corpora = sorted({corpus for corpus, _ in known if corpus})
    explainers = sorted({explainer for _, explainer in known if explainer})
    sites = sorted({site_of(hook) for hook in view.hooks})
    if len(corpora) > 1:
        yield from (LabelSelection(name, corpus=corpus) for corpus in corpora)
    if len(explainers) > 1:
        yield from (LabelSelection(name, explainer=explainer) for explainer in explainers)
    if len(corpora) > 1 and len(explainers) > 1:
        pairs = sorted({(c, e) for c, e in known if c and e})
        yield from (LabelSelection(name, *pair) for pair in pairs)
    if len(sites) > 1:
        yield from (LabelSelection(name, site=site) for site in sites)
