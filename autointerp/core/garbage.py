"""How often a program searches for garbage that refers to itself."""

from __future__ import annotations

import gc

_NEW_OBJECTS = 50_000


def search_for_garbage_less() -> None:
    """Once in 50,000 new objects, and not in 700, for the whole process.

    A label makes and lets go of tens of thousands of small ones, none of which waits for a search:
    explaining and scoring take a tenth less (benchmarks/label_cpu.py).
    """
    gc.set_threshold(_NEW_OBJECTS, 20, 50)
