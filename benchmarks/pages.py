"""CPU time of pages: of units, of a model with as many labels as SmolLM2-135M has, as files.

``python benchmarks/pages.py [FOLDER]`` reads a dictionary, the example where none is named. Its
rows stand for 46,080 labels on the page of the model. CPU time of this process, since wall time
of a busy machine says little; bytes as they travel without compression.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from random import Random
from statistics import median, quantiles

from autointerp.core.ids import UnitId
from autointerp.dictionary import open_dictionary, open_example
from autointerp.dictionary.read import Dictionary
from autointerp.store.codec import plain_json
from autointerp.store.label_records import label_records
from autointerp.store.labels import FolderLabelStore
from autointerp.store.labels.label_rows import listed_row
from autointerp.store.search.columns import Columns, Filters, View
from autointerp.store.search.text_index import TextIndex
from autointerp.web import Links, ModelView, UnitProfile, export_pages
from autointerp.web.model_view import layer_lines, median_of
from autointerp.web.page_templates import render
from autointerp.web.unit_lists import STATUS_WORDS, glances, unit_lines, unit_paths

N_LABELS, N_PAGES, N_ROWS = 46_080, 200, 50
LINKS = Links()


def cpu_ms(call: Callable[[], object]) -> tuple[float, object]:
    """CPU time of a call, and what it gives."""
    began = time.process_time()
    result = call()
    return 1000 * (time.process_time() - began), result


def searchable(dictionary: Dictionary) -> tuple[View, TextIndex]:
    """Copies of the rows under other indices, in memory as a server has them."""
    rows, columns, words = list(dictionary.rows()), Columns(), TextIndex()
    copies = [
        {
            **rows[place % len(rows)],
            "index": int(str(rows[place % len(rows)]["index"])) + 100_000 * n,
        }
        for n in range(-(-N_LABELS // len(rows)))
        for place in range(len(rows))
    ][:N_LABELS]
    listed = [row for row in (listed_row(plain_json(row)) for row in copies) if row is not None]
    slots, _ = columns.put(listed)
    words.put(dict(zip(slots, (row.words for row in listed), strict=True)), {})
    return columns.view(), words


def unit_page(store: FolderLabelStore, view: View, words: TextIndex, unit: UnitId) -> str:
    """A unit's page, from its stored label and records."""
    labels = store.get_sides(unit)
    sets = [store.get_sets(unit, label.side, label.origin) for label in labels]
    sides = [
        (label, None if own is None else label_records(label, own))
        for label, own in zip(labels, sets, strict=True)
    ]
    paths = unit_paths(view, words, unit, LINKS, Random(0))
    profile = UnitProfile.of(unit, sides, LINKS, paths)
    values = {"links": LINKS, "view": profile, "words": STATUS_WORDS, "llms": (), "kept": ()}
    return render("unit.html", values)


def model_page(view: View, model: str) -> str:
    """The first page of a model."""
    of, statuses, kinds, scores = view.statuses()
    lines = layer_lines(view.hooks, of, statuses, kinds, scores, view.senses())
    first = view.first(Filters(), "-score", N_ROWS, after=None).tolist()
    rows = unit_lines((json.loads(view.rows[slot]) for slot in first), model, LINKS)
    looks = tuple(glances(view, model, LINKS, Random(0)))
    shown = ModelView(
        model, LINKS, len(of), median_of(scores), lines, rows, glances=looks, more="/more"
    )
    return render("model.html", {"links": LINKS, "view": shown})


def told(name: str, times: list[float], pages: list[str]) -> None:
    """A line of what was measured; the first of each is left out, which imports and compiles."""
    p95 = quantiles(times[1:], n=20)[-1]
    largest = max(len(page.encode("utf-8", "backslashreplace")) for page in pages)
    print(f"{name}: median {median(times[1:]):.1f} ms, p95 {p95:.1f} ms of CPU, {largest:,} bytes")


def main(folder: str | None = None) -> None:
    """Prints a line a kind of page."""
    dictionary = open_dictionary(folder) if folder else open_example()
    store = FolderLabelStore(Path(dictionary.folder))
    view, words = searchable(dictionary)
    units = list(dict.fromkeys(label.unit for label in store.summaries()))
    chosen = Random(0).sample(units, min(N_PAGES, len(units)))
    made = [cpu_ms(partial(unit_page, store, view, words, unit)) for unit in chosen]
    told(f"{len(chosen)} pages of units", [t for t, _ in made], [str(page) for _, page in made])
    made = [cpu_ms(partial(model_page, view, chosen[0].subject)) for _ in range(21)]
    told(f"page of {view.n:,} labels", [t for t, _ in made], [str(page) for _, page in made])
    with tempfile.TemporaryDirectory() as temporary:
        spent, _ = cpu_ms(lambda: export_pages(dictionary, Path(temporary) / "pages"))
    print(f"files: {spent / len(units):.1f} ms of CPU a unit, of {len(units):,} units")


if __name__ == "__main__":
    main(*sys.argv[1:2])
