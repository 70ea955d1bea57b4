"""Hundreds of thousands of labels by rules, as large as real ones, put into stores in bulk.

They are the 40 of the package's example without what an LLM said, with other units, scores, words
and tokens. Values are compressed less than the package does it, which is quick and takes some per
cent more room.
"""

from __future__ import annotations

import json
import random
import sqlite3
import struct
import zlib
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import replace
from functools import partial
from itertools import islice
from multiprocessing import Pool
from pathlib import Path
from typing import Any, NamedTuple

from store_reads import MODEL, N_WORDS, WIDTH, draw_words, make_words

import autointerp
from autointerp.core.explanations import Label
from autointerp.dictionary import row_json
from autointerp.store import packing
from autointerp.store.known_text import KNOWN
from autointerp.store.labels import FolderLabelStore
from autointerp.store.labels.database import Connection
from autointerp.store.labels.label_database import change_of
from autointerp.store.labels.listed_blocks import N_ROWS, add_blocks
from autointerp.store.labels.redis_store import RedisLabelStore
from autointerp.store.packed_labels import pack_label
from autointerp.store.packing import unframe

EXAMPLE = Path(autointerp.__file__).parent / "examples" / MODEL
A_BATCH, A_PART = 1000, 4608
_KEPT = frozenset({"rules", "rules_null", "lookup"})


class StoredLabel(NamedTuple):
    """A label as stores keep it."""

    layer: int
    unit: int
    """0-based in its layer."""
    row: bytes
    packed: bytes

    @property
    def hook(self) -> str:
        """Its hook point."""
        return f"blocks.{self.layer}.mlp.hook_post"


def by_rules(label: Label) -> Label:
    """The label as it would be had no LLM been asked."""
    rules = label.rules
    assert rules is not None
    return replace(
        label,
        explanation=rules.explanation,
        candidates=tuple(
            replace(c, chosen=True) for c in label.candidates if c.explanation.is_mechanical
        ),
        results=tuple(result for result in label.results if result.scorer in _KEPT),
        preferred=rules.scorer,
        llm=None,
        sense_scores=(),
        receipts=(),
        needs=(),
    )


def many_labels(n: int, *, processes: int) -> Iterator[StoredLabel]:
    """So many, in reading order; made by that many processes."""
    ranges = [range(first, min(n, first + A_PART)) for first in range(0, n, A_PART)]
    with Pool(processes) as pool:
        for part in pool.imap(_labels_of, ranges):
            yield from part


def _labels_of(numbers: range) -> list[StoredLabel]:
    words = make_words(N_WORDS)
    known = [by_rules(one) for one in FolderLabelStore(EXAMPLE).labels() if one.rules is not None]
    rows = [json.loads(row_json(one)) for one in known]
    newest = packing.LABELS_VERSION
    parts = [unframe(pack_label(one), 4, where="it", newest=newest) for one in known]
    draw, made = random.Random(numbers.start), []
    for number in numbers:
        which, (layer, index) = number % len(known), divmod(number, WIDTH)
        unit = known[which].unit
        row = rows[which] | {
            "unit": f"{MODEL}/blocks.{layer}.mlp.hook_post/{index}",
            "layer": layer,
            "hook": f"blocks.{layer}.mlp.hook_post",
            "index": index,
            "score": round(draw.uniform(-0.2, 0.9), 6),
            "description": " ".join(draw_words(draw, words, 9)),
            "top_tokens": [f" {word}" for word in draw_words(draw, words, 10)],
        }
        first, *others = parts[which]
        own = f'"hook":"{unit.hook}","index":{unit.index}}}'.encode()
        new = f'"hook":"blocks.{layer}.mlp.hook_post","index":{index}}}'.encode()
        text = json.dumps(row, separators=(",", ":"), ensure_ascii=False)
        packed = _frame([first.replace(own, new, 1), *others])
        made.append(StoredLabel(layer, index, text.encode(), packed))
    return made


def fill_folder(folder: Path, labels: Iterable[StoredLabel]) -> None:
    """Puts them into an empty store in a folder."""
    store = FolderLabelStore(folder, row_json)
    store.put_label(next(FolderLabelStore(EXAMPLE).labels()))
    file = folder / "scores" / "labels.sqlite"
    with closing(sqlite3.connect(file, factory=Connection)) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("DELETE FROM labels")
        connection.executemany(
            "INSERT INTO labels (layer, hook, unit, side, row, label) VALUES (?, ?, ?, 0, ?, ?)",
            ((o.layer, o.hook, o.unit, zlib.compress(o.row, 1), o.packed) for o in labels),
        )
        # As puts one after the other would have done it meanwhile.
        for _ in range(change_of(connection) // N_ROWS):
            add_blocks(connection, change_of(connection) - 1)
        connection.commit()


def fill_redis(store: RedisLabelStore, folder: Path) -> None:
    """Puts those of a folder into an empty store in Redis, as its script would one by one."""
    first = next(FolderLabelStore(EXAMPLE).labels())
    store.put_label(first)
    labels, rows, changes, change = store._labels, store._rows, store._changes, store._change
    query = "SELECT change, hook, unit, row, label FROM labels ORDER BY change"
    link, last = store._connection, 0
    link.run(lambda client: client.delete(labels, rows, changes))
    with closing(sqlite3.connect(folder / "scores" / "labels.sqlite")) as connection:
        found = connection.execute(query)
        while batch := list(islice(found, A_BATCH)):
            fields = [f"{hook}/{unit}/positive" for _, hook, unit, _, _ in batch]
            packed = dict(zip(fields, (label for *_, label in batch), strict=True))
            shown = dict(zip(fields, (zlib.decompress(one[3]) for one in batch), strict=True))
            numbers = dict(zip(fields, (one[0] for one in batch), strict=True))
            link.run(partial(_hset, labels, packed))
            link.run(partial(_hset, rows, shown))
            link.run(partial(_zadd, changes, numbers))
            last = batch[-1][0]
    link.run(lambda client: client.set(change, last))
    # As puts one after the other would have done it meanwhile.
    for _ in range(last // N_ROWS):
        store._listing.add_blocks(last)


def _hset(key: str, values: dict[str, bytes], client: Any) -> None:
    client.hset(key, mapping=values)


def _zadd(key: str, values: dict[str, int], client: Any) -> None:
    client.zadd(key, values)


def _frame(parts: list[bytes]) -> bytes:
    """As `packing.frame`, quickly."""
    sizes = struct.pack(f"<B{len(parts)}I", len(parts), *map(len, parts))
    stream = zlib.compressobj(1, zdict=KNOWN[packing.LABELS_VERSION])
    body = stream.compress(sizes) + b"".join(map(stream.compress, parts)) + stream.flush()
    return b"AI" + bytes([packing.LABELS_VERSION]) + body
