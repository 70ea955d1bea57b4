"""Seeds. Nothing in autointerp touches a global random state."""

from __future__ import annotations

import hashlib


def derive_seed(run_seed: int, *names: str | int) -> int:
    """A seed in [0, 2**63) that depends on the run's seed and on every name, in order."""
    text = "\x1f".join([str(run_seed), *(str(name) for name in names)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1
