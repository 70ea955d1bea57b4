"""Activations read on purpose: of units on chosen windows, and on texts that somebody typed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from autointerp.core.characters import join_tokens
from autointerp.core.errors import InputError
from autointerp.core.ids import UnitId
from autointerp.core.one_line import quoted
from autointerp.core.progress import Progress, SilentProgress
from autointerp.corpora import TokenCorpus
from autointerp.subjects import HookUnits, SubjectModel, parse_units

UnitKey = tuple[str, int]
"""(hook point, unit index)."""

Activations = Mapping[tuple[str, int, int], NDArray[np.float32]]
"""(hook point, unit index, window id) -> activations of the real tokens, shape (n_tokens,)."""


def read_windows(
    subject: SubjectModel,
    corpus: TokenCorpus,
    requests: Mapping[UnitKey, Sequence[int] | NDArray[np.int32]],
    *,
    batch_windows: int = 32,
    progress: Progress | None = None,
) -> Activations:
    """Activations of each asked unit on each window asked for it.

    Every window is run once, whoever asks for it, in batches by ascending id; within a batch
    the pass ends behind the last hook point that one of its windows needs. The values agree
    with those seen in collection to rounding: a batch of other windows may change last bits.
    """
    progress = progress or SilentProgress()
    wanted = windows_wanted(requests)
    result: dict[tuple[str, int, int], NDArray[np.float32]] = {}
    progress.start("records", len(wanted), "windows")
    for chunk in window_batches(wanted, batch_windows):
        _read_batch(subject, corpus, chunk, wanted, result)
        progress.advance("records", len(chunk))
    return result


def windows_wanted(
    requests: Mapping[UnitKey, Sequence[int] | NDArray[np.int32]],
) -> dict[int, list[UnitKey]]:
    """Who asks for each window."""
    wanted: dict[int, list[UnitKey]] = {}
    for unit, windows in requests.items():
        for window in dict.fromkeys(map(int, windows)):
            wanted.setdefault(window, []).append(unit)
    return wanted


def window_batches(
    wanted: Mapping[int, Sequence[UnitKey]], batch_windows: int
) -> Iterator[list[int]]:
    """Window ids in batches: those that are read to the same depth share one and stop early."""
    ids = sorted(wanted, key=lambda window: (max(_layer(unit) for unit in wanted[window]), window))
    for first in range(0, len(ids), batch_windows):
        yield ids[first : first + batch_windows]


def _layer(unit: UnitKey) -> int:
    return int(unit[0].split(".", 2)[1])


def _read_batch(
    subject: SubjectModel,
    corpus: TokenCorpus,
    chunk: Sequence[int],
    wanted: Mapping[int, Sequence[UnitKey]],
    rows_read: dict[tuple[str, int, int], NDArray[np.float32]],
) -> None:
    tokens, lengths = window_tokens(corpus, chunk)
    asked = pairs_by_hook(chunk, wanted)

    def receive(hook: str, activations: Tensor) -> None:
        for row, index, line in lines_of(activations, asked[hook], lengths):
            rows_read[hook, index, chunk[row]] = line

    subject.read(tokens, list(asked), receive)


def window_tokens(corpus: TokenCorpus, chunk: Sequence[int]) -> tuple[Tensor, NDArray[np.int32]]:
    """Tokens of some windows, no longer than the longest of them, and their lengths."""
    tokens, lengths = corpus.batch(chunk)
    return torch.from_numpy(tokens[:, : lengths.max()].astype(np.int64)), lengths


def pairs_by_hook(
    chunk: Sequence[int], wanted: Mapping[int, Sequence[UnitKey]]
) -> dict[str, list[tuple[int, int]]]:
    """(row, unit index) by hook point of what is asked of the windows of a batch."""
    result: dict[str, list[tuple[int, int]]] = {}
    for row, window in enumerate(chunk):
        for hook, index in wanted.get(window, ()):
            result.setdefault(hook, []).append((row, index))
    return result


def lines_of(
    activations: Tensor, pairs: Sequence[tuple[int, int]], lengths: NDArray[np.int32]
) -> Iterator[tuple[int, int, NDArray[np.float32]]]:
    """(row, unit index, activations of the real tokens) of each pair, copied at once."""
    if not pairs:
        return
    rows = torch.tensor([row for row, _ in pairs], device=activations.device)
    units = torch.tensor([index for _, index in pairs], device=activations.device)
    values = activations[rows, :, units].to(torch.float32).cpu().numpy()
    for (row, index), line in zip(pairs, values, strict=True):
        yield row, index, line[: int(lengths[row])].copy()


@dataclass(frozen=True, slots=True)
class TextActivations:
    """What the asked units do on one text. BOS is put before it and not shown."""

    text: str
    """Of token ids that were given, what they spell."""
    token_ids: tuple[int, ...]
    tokens: tuple[str, ...]
    """Each token as text, leading space kept."""
    units: tuple[UnitId, ...]
    """Hook points by layer, indices ascending."""
    values: NDArray[np.float32]
    """Raw activations, model units, shape (len(units), len(tokens))."""

    def __repr__(self) -> str:
        units, tokens = len(self.units), len(self.tokens)
        return f"TextActivations({quoted(self.text)}, {units} units, {tokens} tokens)"


def live_activations(
    subject: SubjectModel,
    texts: str | Sequence[str | Sequence[int]],
    *,
    units: str | Sequence[HookUnits],
    batch_texts: int = 32,
    seed: int = 0,
) -> list[TextActivations]:
    """Activations of the units on each text, in the order of the texts.

    A text may be token ids in place of a string, which are read as they are. One forward pass a
    batch of texts of similar length, ended behind the last hook point read. Units are given as on
    the command line, with the seed of those chosen at random, or as from `parse_units`.

    Raises:
        InputError: units that do not exist; a text without a token, longer than the model's
            context, or of tokens that the model does not have (its number is named, 0-based).
    """
    given = [texts] if isinstance(texts, str) else list(texts)
    chosen = parse_units(units, subject, seed=seed) if isinstance(units, str) else tuple(units)
    token_ids = [token_ids_of(subject, text, number) for number, text in enumerate(given)]
    by_hook = {group.hook: group.indices for group in chosen}
    result: dict[int, NDArray[np.float32]] = {}
    order = sorted(range(len(given)), key=lambda i: (len(token_ids[i]), i))
    for first in range(0, len(order), batch_texts):
        batch = order[first : first + batch_texts]
        values = subject.read_rows([token_ids[i] for i in batch], by_hook)
        result |= {
            number: values[row, :, : len(token_ids[number])].copy()
            for row, number in enumerate(batch)
        }
    ids = tuple(UnitId(subject.name, u.hook, index) for u in chosen for index in u.indices)
    return [
        _text_activations(subject, text, token_ids[i], ids, result[i])
        for i, text in enumerate(given)
    ]


def _text_activations(
    subject: SubjectModel,
    text: str | Sequence[int],
    token_ids: tuple[int, ...],
    units: tuple[UnitId, ...],
    values: NDArray[np.float32],
) -> TextActivations:
    tokens = subject.tokenizer.pieces(token_ids)
    written = text if isinstance(text, str) else join_tokens(tokens)
    return TextActivations(written, token_ids, tokens, units, values)


def token_ids_of(
    subject: SubjectModel, text: str | Sequence[int], number: int = 0
) -> tuple[int, ...]:
    """The tokens of a text, or those that were given, checked to be some that the model can read.

    Raises:
        InputError: there are none or too many, or the model has no such token; errors name the
            number of the text.
    """
    if isinstance(text, int):
        raise InputError("token ids are given in rows, one a text: write [[504, 2387]]")
    token_ids = tuple(subject.tokenizer.encode(text)) if isinstance(text, str) else tuple(text)
    if not token_ids:
        shown = f": {text[:40]!r}; write some words" if isinstance(text, str) else "; name some"
        raise InputError(f"text {number} has no tokens{shown}")
    if len(token_ids) > subject.max_n_ctx:
        raise InputError(
            f"text {number} has {len(token_ids)} tokens, {subject.name} takes "
            f"{subject.max_n_ctx}; cut it into parts"
        )
    beyond = [one for one in token_ids if not 0 <= one < subject.n_rows]
    if beyond:
        raise InputError(
            f"text {number} has the token {str(beyond[0])[:20]}; those of {subject.name} are "
            f"0 to {subject.n_rows - 1}"
        )
    return token_ids
