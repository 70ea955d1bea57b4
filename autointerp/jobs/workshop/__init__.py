"""Where workers do pieces of work: plan, collect, merge, read records, label, answer."""

from autointerp.jobs.workshop.parts import Parts, Times
from autointerp.jobs.workshop.workshop import Workshop

__all__ = ["Parts", "Times", "Workshop"]
