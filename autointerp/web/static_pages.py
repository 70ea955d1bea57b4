"""``export --format html``: the pages of a dictionary as files that open from disk."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from random import Random

import numpy as np

from autointerp.core.errors import InputError
from autointerp.core.explanations import Label, LabelStatus
from autointerp.core.ids import UnitId
from autointerp.core.unreadable import OnUnreadable, if_readable, refuse_unreadable
from autointerp.dictionary.export_formats import write_folder
from autointerp.dictionary.read import Dictionary
from autointerp.dictionary.rows import Row
from autointerp.store.codec import plain_json
from autointerp.store.label_records import LabelRecords
from autointerp.store.labels.label_rows import listed_row
from autointerp.store.search.columns import Columns, View
from autointerp.store.search.text_index import TextIndex
from autointerp.web.model_view import STATUSES, ModelView, layer_lines, median_of
from autointerp.web.page_links import Links, file_name
from autointerp.web.page_templates import ASSETS, asset, render
from autointerp.web.rescored_site import RescoredSite
from autointerp.web.unit_lists import STATUS_WORDS, glances, unit_lines, unit_paths
from autointerp.web.unit_profile import UnitProfile

HTML = "html"
"""Name of the export format."""
MARK = "assets/page.js"
"""A file that every such folder has."""
_ASSET = re.compile(r'/assets/([a-z_]+\.[a-z]+)"')
"""What the head of a page asks for."""
_MOST_ROWS = 2_000
"""Units that the page of a model lists: a list of all of a large one would be many megabytes."""


def export_pages(
    dictionary: Dictionary, out: Path | str, on_unreadable: OnUnreadable = refuse_unreadable
) -> Path:
    """The folder that was made: a page for every unit, one of the model, one of the start.

    Nothing in it needs a server.

    Raises:
        InputError: the dictionary has no labels, or something is at `out` already.
        StorageError: a file is damaged, or the disk refuses.
    """
    return _written(out, lambda: pages_of(dictionary, on_unreadable))


def export_rescored_pages(rescored: Path, out: Path | str) -> Path:
    """The folder that was made: a page of all rescored labels, and one a unit with both texts.

    Raises:
        InputError: `rescored` holds no report of rescored labels, or something is at `out` already.
        StorageError: a file is damaged, or the disk refuses.
    """
    site = RescoredSite(rescored)
    return _written(out, lambda: ((path, site.page(path) or "") for path in site.paths()))


def _written(out: Path | str, pages: Callable[[], Iterable[tuple[str, str]]]) -> Path:
    return write_folder(out, HTML, lambda folder: _write_pages(folder, pages()))


def _write_pages(folder: Path, pages: Iterable[tuple[str, str]]) -> None:
    needed = set[str]()
    for path, page in pages:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        # A token may be half a surrogate pair, which no encoding writes.
        (folder / path).write_text(page, "utf-8", "backslashreplace")
        needed.update(_ASSET.findall(page.partition("</head>")[0]))
    (folder / "assets").mkdir()
    for name in needed & ASSETS.keys():
        (folder / "assets" / name).write_bytes(asset(name))


def pages_of(
    dictionary: Dictionary,
    on_unreadable: OnUnreadable = refuse_unreadable,
    *,
    start: str | None = None,
) -> Iterator[tuple[str, str]]:
    """Each page by its path, which it leads to others from; `start` is another one's address.

    Raises:
        InputError: the dictionary has no labels.
        StorageError: a file is damaged.
    """
    rows = list(dictionary.rows())
    if not rows:
        raise InputError(f"{dictionary.folder} has no labels, so there are no pages to make")
    model = dictionary.manifest.subject
    if start is None:
        yield "index.html", _home(model, len(rows))
    known = _searchable(rows)
    where = f"models/{file_name(model)}"
    links = Links("../..", are_files=True, start=start)
    yield f"{where}/index.html", _model(model, rows, known[0], links)
    links = Links("../../../..", are_files=True, start=start)
    for unit, sides in _units(dictionary, on_unreadable):
        # The same dictionary gives the same pages.
        paths = unit_paths(*known, unit, links, Random(str(unit)))
        kept = dictionary.evidence(unit, on_unreadable)
        profile = UnitProfile.of(unit, sides, links, paths, kept)
        values = {"links": links, "view": profile, "words": STATUS_WORDS}
        path = f"{where}/units/{file_name(unit.hook)}/{unit.index}.html"
        yield path, render("unit.html", values)


def _home(model: str, n_labels: int) -> str:
    links = Links(".", are_files=True)
    models = [{"name": model, "n_labels": n_labels, "problem": None}]
    values = {"links": links, "models": models, "jobs": (), "is_served": False}
    return render("home.html", values)


def _model(model: str, rows: list[Row], known: View, links: Links) -> str:
    scores = np.array(
        [np.nan if row["score"] is None else row["score"] for row in rows], dtype=float
    )
    names = list(dict.fromkeys(str(row["hook"]) for row in rows))
    of = np.array([names.index(str(row["hook"])) for row in rows])
    kinds = np.array([STATUSES.index(LabelStatus(str(row["status"]))) for row in rows])
    senses = np.array([int(str(row.get("n_senses") or 0)) for row in rows])
    lines = layer_lines(names, of, STATUSES, kinds, scores, senses)
    ordered = [rows[i] for i in np.argsort(-np.nan_to_num(scores, nan=-2.0), kind="stable")]
    shown = unit_lines(ordered[:_MOST_ROWS], model, links)
    view = ModelView(
        *(model, links, len(rows), median_of(scores), lines, shown),
        glances=tuple(glances(known, model, links, Random(model))),
    )
    return render("model.html", {"links": links, "view": view})


def _searchable(rows: list[Row]) -> tuple[View, TextIndex]:
    """The labels and their words as a server has them in memory."""
    listed = [row for row in map(listed_row, map(plain_json, rows)) if row is not None]
    columns, words = Columns(), TextIndex()
    slots, _ = columns.put(listed)
    words.put(dict(zip(slots, (row.words for row in listed), strict=True)), {})
    return columns.view(), words


def _units(
    dictionary: Dictionary, on_unreadable: OnUnreadable
) -> Iterator[tuple[UnitId, list[tuple[Label, LabelRecords | None]]]]:
    found: list[tuple[Label, LabelRecords | None]] = []
    for label in dictionary.labels(on_unreadable):
        read = partial(dictionary.records_of, label)
        if found and found[0][0].unit != label.unit:
            yield found[0][0].unit, found
            found = []
        found.append((label, if_readable(read, on_unreadable)))
    if found:
        yield found[0][0].unit, found
