"""The part of a tokenizer that labelling needs: what tokens look like."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from autointerp.core.errors import AutointerpError


class Pieces:
    """A `TextTokenizer` that knows the tokens of a chunk by heart, and encodes nothing."""

    def __init__(self, name: str, pieces: Mapping[int, str]) -> None:
        self._name, self._pieces = name, pieces

    @property
    def name(self) -> str:
        """Name of the tokenizer that it stands for."""
        return self._name

    @property
    def bos_id(self) -> int | None:
        """None: nothing is run through a model with it."""
        return None

    def encode(self, text: str) -> list[int]:
        """Never asked by explainers or scorers.

        Raises:
            AutointerpError: always.
        """
        msg = f"{text[:40]!r} cannot be encoded here: a label worker has no tokenizer"
        raise AutointerpError(msg)

    def pieces(self, token_ids: Sequence[int]) -> tuple[str, ...]:
        """One string per token."""
        return tuple(self._pieces[token] for token in token_ids)
