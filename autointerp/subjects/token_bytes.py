"""How a token that holds part of a character is written.

Such a token cannot be decoded alone. What its bytes are is read from how its vocabulary spells
it, and believed only where the tokenizer decodes those bytes as it decodes the token.
"""

from __future__ import annotations

import re
from typing import Any

from tokenizers import pre_tokenizers

from autointerp.core.characters import spell_bytes

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
_FALLBACK = re.compile(r"<0x([0-9A-Fa-f]{2})>")


def _byte_level_alphabet() -> dict[str, int]:
    # GPT-2's: printable bytes of Latin-1 stand for themselves, the others follow from U+0100 on.
    alphabet = set(pre_tokenizers.ByteLevel.alphabet())
    printable = {chr(b): b for b in range(256) if chr(b) in alphabet}
    others = [b for b in range(256) if chr(b) not in printable]
    return printable | {chr(256 + place): b for place, b in enumerate(others)}


_BYTE_LEVEL = _byte_level_alphabet()


def spell_part(tokenizer: Any, token_id: int, decoded: str) -> str:
    """The text of a token that decodes alone to nothing or to U+FFFD.

    Its bytes where they are known, else what the vocabulary calls it; U+FFFD only where that
    character is the token's text.
    """
    name = tokenizer.convert_ids_to_tokens(token_id)
    for raw in _readings(name):
        if decoded in (raw.decode("utf-8", "replace"), raw.decode("utf-8", "ignore")):
            return spell_bytes(raw)
    if REPLACEMENT in decoded and isinstance(name, str) and REPLACEMENT in name:
        return decoded
    return name if isinstance(name, str) and name else f"<token {token_id}>"


def _readings(name: object) -> list[bytes]:
    if isinstance(name, bytes):
        return [name]
    if not isinstance(name, str) or not name:
        return []
    if match := _FALLBACK.fullmatch(name):
        return [bytes([int(match[1], 16)])]
    # A byte-level vocabulary, and ones whose tokens are characters of the bytes' numbers.
    readings = []
    if all(c in _BYTE_LEVEL for c in name):
        readings.append(bytes(_BYTE_LEVEL[c] for c in name))
    if all(ord(c) < 256 for c in name):
        readings.append(name.encode("latin-1"))
    return readings
