"""The body of an answer with its entity tag."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TaggedBody:
    """Bytes and the tag that `If-None-Match` may name."""

    data: bytes
    etag: str

    @classmethod
    def of(cls, data: bytes) -> TaggedBody:
        """Tagged by the digest of its bytes."""
        return cls(data, f'"{hashlib.sha256(data).hexdigest()[:32]}"')
