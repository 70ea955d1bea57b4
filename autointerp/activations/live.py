"""Live activations: what any units do on a text that somebody just typed, token by token."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from autointerp.core.errors import InputError
from autointerp.core.ids import UnitId
from autointerp.subjects import HookUnits, SubjectModel, parse_units


@dataclass(frozen=True, slots=True)
class TextActivations:
    """What the asked units do on one text. BOS is put before it and not shown."""

    text: str
    token_ids: tuple[int, ...]
    tokens: tuple[str, ...]
    """Each token as text, leading space kept."""
    units: tuple[UnitId, ...]
    """Hook points by layer, indices ascending."""
    values: NDArray[np.float32]
    """Raw activations, model units, shape (len(units), len(tokens))."""


def live_activations(
    subject: SubjectModel,
    texts: str | Sequence[str],
    *,
    units: str | Sequence[HookUnits],
    batch_texts: int = 32,
    seed: int = 0,
) -> list[TextActivations]:
    """Activations of the units on each text, in the order of the texts.

    One forward pass a batch of texts of similar length, ended behind the last hook point read.

    Args:
        subject: the model.
        texts: one text or several.
        units: as on the command line, or from `parse_units`.
        batch_texts: texts run together.
        seed: of units chosen at random.

    Raises:
        InputError: units that do not exist; a text without a token, or longer than the model's
            context (its number is named, 0-based).
    """
    given = [texts] if isinstance(texts, str) else list(texts)
    chosen = parse_units(units, subject, seed=seed) if isinstance(units, str) else tuple(units)
    token_ids = [_encoded(subject, text, number) for number, text in enumerate(given)]
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
        TextActivations(text, token_ids[i], subject.tokenizer.pieces(token_ids[i]), ids, result[i])
        for i, text in enumerate(given)
    ]


def _encoded(subject: SubjectModel, text: str, number: int) -> tuple[int, ...]:
    token_ids = tuple(subject.tokenizer.encode(text))
    if not token_ids:
        msg = f"text {number} has no tokens: {text[:40]!r}; write some words"
        raise InputError(msg)
    if len(token_ids) > subject.max_n_ctx:
        msg = (
            f"text {number} has {len(token_ids)} tokens, {subject.name} takes "
            f"{subject.max_n_ctx}; cut it into parts"
        )
        raise InputError(msg)
    return token_ids
