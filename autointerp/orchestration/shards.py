"""Into how many shards a service's collection is cut."""

from __future__ import annotations

_SHARD_TOKENS, _MOST_SHARDS = 32_768, 32
# A shard's summary takes some kilobytes for a unit, whatever the text.
_SHARD_UNITS = 200_000


def shards_of(*, n_tokens: int, n_units: int) -> int:
    """Shards of a text for so many units; each keeps a state of all of them."""
    by_text = -(-n_tokens // _SHARD_TOKENS)
    return max(1, min(by_text, _MOST_SHARDS, _SHARD_UNITS // max(1, n_units)))
