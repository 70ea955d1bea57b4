"""The kinds of a dictionary's labels, layer by layer, medians of its evidence, and examples.

Reads the folder of a run or a dictionary; needs no model.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from autointerp.core.explanations import Label
from autointerp.core.one_line import shortened
from autointerp.core.unit_evidence import Quantity
from autointerp.core.unit_kinds import UnitKind, kinds_of
from autointerp.dictionary import open_dictionary

_QUANTITIES = {
    "gate·out": Quantity.GATE_OUTPUT_COSINE,
    "token": Quantity.TOKEN_SHARE,
    "window": Quantity.WINDOW_SHARE,
    "position": Quantity.POSITION_SHARE,
    "pair": Quantity.PAIR_SHARE,
    "repeated": Quantity.REPETITION,
    "next": Quantity.NEXT_TOKEN,
    "kurtosis": Quantity.KURTOSIS,
    "strongest": Quantity.STRONGEST,
    "larger": Quantity.LARGER_UNITS,
}
_SORTED_BY = {
    UnitKind.CURRENT_TOKEN: Quantity.TOKEN_SHARE,
    UnitKind.TOKEN_PAIR: Quantity.PAIR_SHARE,
    UnitKind.DETOKENIZATION: Quantity.PAIR_SHARE,
    UnitKind.NEXT_TOKEN: Quantity.NEXT_TOKEN,
    UnitKind.CONTEXT: Quantity.WINDOW_SHARE,
    UnitKind.POSITION: Quantity.POSITION_SHARE,
    UnitKind.REPEATED_TOKEN: Quantity.REPETITION,
    UnitKind.MEMORY_MANAGEMENT: Quantity.GATE_OUTPUT_COSINE,
}


@dataclass
class _Layer:
    """What was counted of one layer."""

    n: int = 0
    kinds: Counter[UnitKind] = field(default_factory=Counter)
    n_unknown: int = 0
    values: defaultdict[Quantity, list[float]] = field(default_factory=lambda: defaultdict(list))

    def add(self, label: Label, kinds: Sequence[UnitKind]) -> None:
        """Counts a label with evidence."""
        self.n += 1
        self.kinds.update(kinds)
        self.n_unknown += not kinds
        assert label.evidence is not None
        for quantity in _QUANTITIES.values():
            value = label.evidence.value(quantity)
            if value is not None:
                self.values[quantity].append(value)


def main() -> None:
    """Prints the tables in Markdown, then one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--examples", type=int, default=3, help="of each kind")
    arguments = parser.parse_args()
    layers: defaultdict[int, _Layer] = defaultdict(_Layer)
    best: defaultdict[UnitKind, list[tuple[float, str]]] = defaultdict(list)
    n_without = 0
    for label in open_dictionary(arguments.folder).labels():
        if label.evidence is None:
            n_without += 1
            continue
        kinds = [found.kind for found in kinds_of(label)]
        layers[label.unit.layer].add(label, kinds)
        for kind in kinds:
            best[kind].append((_strength(label, kind), _row(label)))
            best[kind].sort(reverse=True)
            del best[kind][arguments.examples :]
    for line in (*_kind_table(layers), "", *_median_table(layers), "", *_examples(best)):
        print(line)
    counts = {
        layer: {"n": one.n, "unknown": one.n_unknown, **one.kinds}
        for layer, one in sorted(layers.items())
    }
    print(json.dumps({"without_evidence": n_without, "layers": counts}))


def _strength(label: Label, kind: UnitKind) -> float:
    if kind is UnitKind.SUPPRESSOR:
        return -label.suppressed_values[0] - max(label.promoted_values[0], 0.0)
    assert label.evidence is not None
    return abs(label.evidence.value(_SORTED_BY[kind]) or 0.0)


def _row(label: Label) -> str:
    said = label.explanation.text if label.explanation is not None else "no explanation"
    return f"{label.unit.short} {label.side.value}: {shortened(said)}"


def _kind_table(layers: dict[int, _Layer]) -> Iterator[str]:
    whole = _Layer()
    for one in layers.values():
        whole.n += one.n
        whole.n_unknown += one.n_unknown
        whole.kinds += one.kinds
    yield "| layer | labels | " + " | ".join(kind.value for kind in UnitKind) + " | unknown |"
    yield "|---:" * (len(UnitKind) + 3) + "|"
    rows = [*((str(layer), one) for layer, one in sorted(layers.items())), ("all", whole)]
    for name, one in rows:
        shares = [one.kinds[kind] for kind in UnitKind] + [one.n_unknown]
        cells = " | ".join(f"{100 * n / one.n:.1f}" for n in shares)
        yield f"| {name} | {one.n:,} | {cells} |"


def _median_table(layers: dict[int, _Layer]) -> Iterator[str]:
    yield "| layer | " + " | ".join(_QUANTITIES) + " |"
    yield "|---:" * (len(_QUANTITIES) + 1) + "|"
    for layer, one in sorted(layers.items()):
        known = (one.values[quantity] for quantity in _QUANTITIES.values())
        cells = " | ".join(f"{median(values):.3g}" if values else "-" for values in known)
        yield f"| {layer} | {cells} |"


def _examples(best: dict[UnitKind, list[tuple[float, str]]]) -> Iterator[str]:
    for kind in UnitKind:
        for strength, row in best[kind]:
            yield f"- {kind.value} {strength:.3g}: {row}"


if __name__ == "__main__":
    main()
