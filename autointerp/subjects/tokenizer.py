"""A Hugging Face tokenizer as the tokenizer that corpora and prompts need, loaded quietly."""

from __future__ import annotations

import hashlib
import io
import json
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr
from typing import Any

from autointerp.core.characters import spell_bytes
from autointerp.core.errors import InputError
from autointerp.subjects.token_bytes import REPLACEMENT, spell_part

_SURROGATE = re.compile("[\ud800-\udfff]")


class HfTokenizer:
    """Wraps a Hugging Face tokenizer; never adds special tokens on its own."""

    def __init__(
        self, tokenizer: Any, *, prepend_bos: bool = True, n_rows: int | None = None
    ) -> None:
        """Wraps the tokenizer.

        Args:
            tokenizer: a fast or slow Hugging Face tokenizer.
            prepend_bos: put BOS before every window where the tokenizer has one. The first
                position of a transformer is an attention sink with activations of its own;
                with BOS there, that position is BOS and is masked from every statistic.
            n_rows: ids that the model has an embedding for, from 0; a text that needs others is
                refused. None where there is no model.

        Raises:
            InputError: BOS itself is beyond the model's embedding.
        """
        self._tokenizer = tokenizer
        bos = getattr(tokenizer, "bos_token_id", None)
        self._bos_id: int | None = int(bos) if prepend_bos and bos is not None else None
        vocabulary = json.dumps(sorted(tokenizer.get_vocab().items()), ensure_ascii=True)
        digest = hashlib.sha256(vocabulary.encode()).hexdigest()[:16]
        self._name = f"{type(tokenizer).__name__}:{digest}:bos={self._bos_id}"
        self._pieces: dict[int, str] = {}
        self._n_rows = n_rows
        if n_rows is not None and self._bos_id is not None and self._bos_id >= n_rows:
            raise InputError(beyond_embedding(self.pieces, self._bos_id, n_rows))

    @property
    def name(self) -> str:
        """Class, digest of the vocabulary, and the BOS id that is prepended."""
        return self._name

    @property
    def bos_id(self) -> int | None:
        """Id put before every window, or None."""
        return self._bos_id

    def encode(self, text: str) -> list[int]:
        """Vocabulary ids of a text, without any special token added.

        Raises:
            InputError: the model has no embedding for one of them.
        """
        # Lone surrogates cannot be encoded as UTF-8, which fast tokenizers insist on.
        clean = text.encode("utf-8", "replace").decode("utf-8") if _SURROGATE.search(text) else text
        # A long text is cut into windows later, so the tokenizer's length advice is beside it.
        ids = self._tokenizer.encode(clean, add_special_tokens=False, verbose=False)
        if self._n_rows is not None and max(ids, default=0) >= self._n_rows:
            raise InputError(beyond_embedding(self.pieces, int(max(ids)), self._n_rows))
        return [int(i) for i in ids]

    def pieces(self, token_ids: Sequence[int]) -> tuple[str, ...]:
        """One string per token, leading space kept; see `core.text.TextTokenizer`."""
        try:
            return tuple(map(self._pieces.__getitem__, token_ids))
        except KeyError:
            for token_id in set(map(int, token_ids)) - self._pieces.keys():
                self._pieces[token_id] = self._decode(token_id)
            return tuple(map(self._pieces.__getitem__, token_ids))

    def _decode(self, token_id: int) -> str:
        # SentencePiece drops the leading space of a sequence's first token; after another
        # token it stays, so the token is decoded behind itself and the first copy cut off.
        one = str(self._tokenizer.decode([token_id], clean_up_tokenization_spaces=False))
        two = str(self._tokenizer.decode([token_id] * 2, clean_up_tokenization_spaces=False))
        if REPLACEMENT not in one and two.startswith(one) and len(two) > len(one):
            return spell_bytes(two[len(one) :].encode("utf-8", "surrogatepass"))
        if one and REPLACEMENT not in one:
            return spell_bytes(one.encode("utf-8", "surrogatepass"))
        return spell_part(self._tokenizer, token_id, one)


def beyond_embedding(
    pieces: Callable[[Sequence[int]], tuple[str, ...]], token_id: int, n_rows: int
) -> str:
    """What to say of a token that the tokenizer makes and the model has no embedding for."""
    return (
        f"the tokenizer makes id {token_id} ({pieces([token_id])[0]!r}), but the model's embedding "
        f"has {n_rows} rows, ids 0 to {n_rows - 1}; take the tokenizer that belongs to the model, "
        "or add rows with model.resize_token_embeddings"
    )


@contextmanager
def quiet_transformers() -> Iterator[None]:
    """Errors only, and no progress bars, until the block ends."""
    from transformers.utils import logging  # noqa: PLC0415 - slow to import

    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        # The GGUF reader's progress bar takes no setting; it writes to sys.stderr.
        with redirect_stderr(io.StringIO()):
            yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()
