"""The runs of a study of seeds: the same units under every combination of what may differ."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from autointerp.core.errors import InputError
from autointerp.core.one_line import joined, shortened
from autointerp.core.unit_spec import FileItem, IndexRange, RandomItem, parse_unit_spec
from autointerp.statistics.studies.label_agreement import RunLabels
from autointerp.subjects import SubjectModel, parse_units

_UNSAFE = re.compile(r"[^\w.-]+")
_LONG = 40


@dataclass(frozen=True, slots=True)
class RunKey:
    """What one run is made with."""

    corpus: str
    seed: int
    explainer: str | None
    """None for what fits the LLM."""

    def differs(self, other: RunKey) -> tuple[str, ...]:
        """What differs between two runs, of corpus, seed and explainer."""
        names = ("corpus", "seed", "explainer")
        return tuple(name for name in names if getattr(self, name) != getattr(other, name))

    @property
    def words(self) -> str:
        """``wiki, seed 0, token_lookup``."""
        parts = (self.corpus, f"seed {self.seed}", self.explainer)
        return ", ".join(part for part in parts if part is not None)


@dataclass(frozen=True, slots=True)
class SeedGrid:
    """All combinations, corpora first and explainers last."""

    corpora: tuple[str, ...]
    seeds: tuple[int, ...]
    explainers: tuple[str | None, ...]

    @classmethod
    def of(
        cls, corpora: Sequence[str], seeds: Sequence[int], explainers: Sequence[str] | None
    ) -> SeedGrid:
        """The grid.

        Raises:
            InputError: fewer than two seeds, a seed below zero, or something that is named twice.
        """
        for name, given in (("corpora", corpora), ("seeds", seeds), ("explainers", explainers)):
            twice = [str(one) for one in given or () if list(given or ()).count(one) > 1]
            if twice:
                raise InputError(f"--{name} names {shortened(twice[0])} twice; name each once")
        if len(seeds) < 2:
            found = joined([str(one) for one in seeds]) or "none"
            raise InputError(
                f"what changes with the seed shows in two runs at least; found seeds: {found}; "
                "give for example --seeds 0,1,2"
            )
        if min(seeds) < 0:
            raise InputError(f"a seed is a whole number from 0 on, found {min(seeds)}")
        if not corpora:
            raise InputError("--corpora names no text; give for example --corpora wiki,python")
        return cls(tuple(corpora), tuple(seeds), tuple(explainers) if explainers else (None,))

    @property
    def keys(self) -> tuple[RunKey, ...]:
        """Every run, in the order in which they are made."""
        return tuple(
            RunKey(*one) for one in itertools.product(self.corpora, self.seeds, self.explainers)
        )

    def folder(self, key: RunKey) -> str:
        """The name of a run's folder."""
        corpus = _UNSAFE.sub("_", key.corpus)[-_LONG:].strip("_.")
        parts = [f"{self.corpora.index(key.corpus)}-{corpus}", f"seed-{key.seed}"]
        return "-".join([*parts, *([key.explainer] if key.explainer else [])])


def fixed_units(spec: str, subject: SubjectModel, *, seed: int) -> str:
    """The same units for runs of any seed: those that a random choice names are spelled out.

    Raises:
        InputError: as `parse_units`.
    """
    parsed = parse_unit_spec(spec)
    if parsed.random is not None:
        return _spelled(spec, subject, seed)
    if not any(_is_random(item) for item in parsed.items):
        return spec
    items: list[str] = []
    for item in parsed.items:
        if isinstance(item, FileItem) and _is_random(item):
            (group,) = parse_units(str(item), subject, seed=seed)
            items += [str(replace(item, indices=IndexRange(i, i))) for i in group.indices]
        else:
            items.append(str(item))
    return ",".join(items)


def _is_random(item: object) -> bool:
    return isinstance(item, FileItem) and isinstance(item.indices, RandomItem)


def _spelled(spec: str, subject: SubjectModel, seed: int) -> str:
    groups = parse_units(spec, subject, seed=seed)
    return ",".join(f"{group.hook}:{index}" for group in groups for index in group.indices)


def run_labels_of(rows: Mapping[str, Mapping[str, Any]], units: Sequence[str]) -> RunLabels:
    """What a run says of units, by its rows; what it has no label of is undefined."""
    found = [rows.get(unit) for unit in units]
    return RunLabels(
        texts=tuple(None if row is None else row["description"] for row in found),
        kinds=tuple(None if row is None else tuple(row["kinds"] or ()) for row in found),
        scores=tuple(None if row is None else row["score"] for row in found),
    )
