"""What labels say of the units that fire on a text: their largest activations, and their words."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from pydantic_core import from_json

from autointerp.core.ids import Side

RowKey = tuple[str, int, Side]
"""Hook point, index, side."""


class LabelMaximum(NamedTuple):
    """What is kept of a row."""

    maximum: float
    """The side's largest activation in the collection; above 0."""
    place: int
    """Of the row among those that were read."""


class LabelMaxima:
    """The labels of one model by unit, of the last rows that were asked about."""

    def __init__(self, rows: Sequence[bytes]) -> None:
        self.rows = rows
        self._known: dict[tuple[str, Side], dict[int, LabelMaximum]] = {}
        for place, text in enumerate(rows):
            row = from_json(text)
            maximum = row.get("max_activation")
            if maximum is not None and maximum > 0:
                side = (row["hook"], Side(row["polarity"]))
                self._known.setdefault(side, {})[row["index"]] = LabelMaximum(maximum, place)

    def of_layers(self, layers: Sequence[int] | None) -> list[dict[str, Any]]:
        """For a worker: index and maximum of every unit of these layers, by hook point and side."""
        return [
            {
                "hook": hook,
                "side": side.value,
                "indices": list(units),
                # Six digits: a request of a whole model stays small.
                "maxima": [float(f"{one.maximum:.6g}") for one in units.values()],
            }
            for (hook, side), units in self._known.items()
            if layers is None or int(hook.split(".", 2)[1]) in layers
        ]

    def row(self, hook: str, index: int, side: Side) -> Mapping[str, Any]:
        """The row of a unit's side; empty where it has none."""
        found = self._known.get((hook, side), {}).get(index)
        result: Mapping[str, Any] = {} if found is None else from_json(self.rows[found.place])
        return result


class LabelMaximaCache:
    """Those of each model, read again when its rows have changed; many threads may ask."""

    def __init__(self) -> None:
        self._of: dict[str, LabelMaxima] = {}
        self._lock = threading.Lock()

    def of(self, model: str, rows: Sequence[bytes]) -> LabelMaxima:
        """Of the rows as `LabelIndex.rows` gives them, the same object until one changes."""
        with self._lock:
            known = self._of.get(model)
            if known is None or known.rows is not rows:
                known = self._of[model] = LabelMaxima(rows)
            return known
