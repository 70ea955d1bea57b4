"""How many windows are recorded of every unit for people who look at it."""

from __future__ import annotations

N_SHOWN_TOP = 20
"""The strongest ones."""
N_SHOWN_RANDOM = 4
"""Random ones, the same for all units."""
N_SHOWN_OTHER = 4
"""Those on which the other side is strongest."""
