"""Search by meaning: vectors of explanations, made by a labels worker, compared here.

Workers have the embedding model, which needs torch; this process keeps what they made, by text,
and multiplies. A vector is made when somebody first searches a model by meaning, some hundreds at
a time, and kept in a file that is safe to delete.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import threading
import time
import zipfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autointerp.api.problems import Problem
from autointerp.core.errors import StorageError, UpstreamError
from autointerp.core.files import read_file, replacing, set_aside
from autointerp.store.search.columns import View
from autointerp.store.search.label_index import LabelIndex, LabelQuery

Ask = Callable[[str, Mapping[str, object]], dict[str, Any] | None]
Vectors = NDArray[np.float32]

_BATCH, _MOST_S = 128, 20.0
_AGAIN_S = 5
_DIGEST = 16
_DAMAGE = (zipfile.BadZipFile, zlib.error, NotImplementedError, AttributeError)


@dataclass(frozen=True, slots=True)
class SemanticMatches:
    """Rows most like a text, the nearest first."""

    rows: tuple[bytes, ...]
    likeness: tuple[float, ...]
    """Of each: -1 to 1."""


@dataclass(slots=True)
class _Model:
    """What is known of one model's explanations."""

    path: Path
    busy: threading.Lock = field(default_factory=threading.Lock)
    loaded: bool = False
    by_text: dict[bytes, Vectors] = field(default_factory=dict)
    rows: list[bytes] = field(default_factory=list)
    """By slot, as they were when their texts were taken."""
    texts: list[str | None] = field(default_factory=list)
    complete: bool = False
    """Whether every text had its vector."""
    matrix: tuple[int, Vectors] = (0, np.zeros((0, 0), np.float32))
    """How many vectors there were, and those of all slots; zeros where there is no text."""


class SemanticSearch:
    """Vectors of every model's explanations.

    They are made by `ask`, which gives None where no worker answered in time.
    """

    def __init__(self, ask: Ask, folder: Path) -> None:
        self._ask = ask
        self._folder = folder
        self._lock = threading.Lock()
        self._models: dict[str, _Model] = {}

    def near(self, model: str, index: LabelIndex, query: LabelQuery, text: str) -> SemanticMatches:
        """The labels whose explanations mean most nearly what a text does.

        Of the query, only its filters and its limit count.

        Raises:
            Problem: 503 while vectors are still being made, 504 where no worker answers.
            InputError: the workers have no embedding model.
        """
        view = index.view
        with self._lock:
            name = hashlib.sha256(model.encode()).hexdigest()[:32]
            known = self._models.setdefault(model, _Model(self._folder / f"{name}.npz"))
        if not known.busy.acquire(blocking=False):
            raise _not_yet("another request has them made")
        try:
            matrix = self._matrix(known, view)
            allowed = np.array([bool(text) for text in known.texts[: view.n]])
        finally:
            known.busy.release()
        if not matrix.size:
            return SemanticMatches((), ())
        # Not while others are kept out: a worker may take seconds for it.
        vector = self._embed([text])[0]
        if vector.size != matrix.shape[1]:
            with known.busy:
                known.by_text.clear()
                known.complete = False
            raise _not_yet("the workers have another embedding model now")
        likeness = matrix @ vector
        mask = view.mask(query.filters)
        slots = np.flatnonzero(allowed if mask is None else allowed & mask)
        best = slots[np.argsort(-likeness[slots], kind="stable")[: query.limit]]
        return SemanticMatches(
            tuple(view.rows[slot] for slot in best),
            tuple(round(float(likeness[slot]), 4) for slot in best),
        )

    def _matrix(self, known: _Model, view: View) -> Vectors:
        if not known.loaded:
            known.by_text, known.loaded = _read(known.path), True
        changed = _take_up(known, view)
        known.complete &= not changed
        missing = list(
            dict.fromkeys(t for t in known.texts if t and _digest(t) not in known.by_text)
            if not known.complete
            else ()
        )
        if missing:
            self._make(known, missing)
        known.complete = True
        n, matrix = known.matrix
        if changed or n != len(known.by_text) or len(matrix) != view.n:
            width = next((v.size for v in known.by_text.values()), 0)
            zeros = np.zeros(width, np.float32)
            result = [known.by_text.get(_digest(t), zeros) if t else zeros for t in known.texts]
            matrix = np.stack(result) if result else np.zeros((0, width), np.float32)
            known.matrix = (len(known.by_text), matrix)
        return matrix[: view.n]

    def _make(self, known: _Model, missing: Sequence[str]) -> None:
        until = time.monotonic() + _MOST_S
        n_made = 0
        while n_made < len(missing) and time.monotonic() < until:
            batch = missing[n_made : n_made + _BATCH]
            for text, vector in zip(batch, self._embed(batch), strict=True):
                known.by_text[_digest(text)] = vector
            n_made += len(batch)
        _write(known.path, known.by_text)
        if n_made < len(missing):
            raise _not_yet(f"{len(missing) - n_made:,} are left")

    def _embed(self, texts: Sequence[str]) -> Vectors:
        reply = self._ask("embed", {"texts": list(texts)})
        if reply is None:
            detail = "no labels worker answered in time; ask again, or start more workers"
            raise Problem.wait("no_answer", detail, _AGAIN_S, status=504)
        try:
            plain = np.frombuffer(base64.b64decode(reply["vectors"]), "<f2").astype(np.float32)
            return plain.reshape(len(texts), int(reply["width"]))
        except (KeyError, ValueError, TypeError) as error:
            msg = "a worker of another version answered; run one version everywhere"
            raise UpstreamError(msg, retryable=False) from error


def _take_up(known: _Model, view: View) -> bool:
    """Texts of rows that are new or changed; whether there were any."""
    changed = False
    for slot in range(view.n):
        row = view.rows[slot]
        if slot < len(known.rows) and known.rows[slot] is row:
            continue
        changed, text = True, json.loads(row).get("description") or None
        if slot < len(known.rows):
            known.rows[slot], known.texts[slot] = row, text
        else:
            known.rows.append(row)
            known.texts.append(text)
    return changed


def _digest(text: str) -> bytes:
    return hashlib.blake2b(text.encode(), digest_size=_DIGEST).digest()


def _not_yet(why: str) -> Problem:
    detail = f"vectors of the explanations are being made: {why}; ask again"
    return Problem.wait("vectors_missing", detail, _AGAIN_S, status=503)


def _read(path: Path) -> dict[bytes, Vectors]:
    try:
        data = read_file(path)
        if data is None:
            return {}
        with np.load(io.BytesIO(data), allow_pickle=False) as result:
            keys, vectors = result["keys"], result["vectors"].astype(np.float32)
            return {key.tobytes(): vector for key, vector in zip(keys, vectors, strict=True)}
    except (StorageError, OSError, ValueError, LookupError, EOFError, TypeError, *_DAMAGE):
        return {}  # They are made anew.


def _write(path: Path, by_text: Mapping[bytes, Vectors]) -> None:
    keys = np.frombuffer(b"".join(by_text), np.uint8).reshape(-1, _DIGEST)
    try:
        set_aside(path)
        with replacing(path, durable=False) as temporary, temporary.open("wb") as file:
            np.savez(file, keys=keys, vectors=np.stack(list(by_text.values())).astype(np.float16))
    except (StorageError, OSError):
        return  # They are in memory; only the next start makes them again.
