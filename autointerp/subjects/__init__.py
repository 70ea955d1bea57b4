"""Subject models: loading, wrapping, hook points, and which units are meant."""

from autointerp.subjects.loading import KNOWN_SUBJECTS, load_subject, wrap_subject
from autointerp.subjects.model import SubjectModel
from autointerp.subjects.units import HookUnits, all_neurons, parse_units, select_units

__all__ = [
    "KNOWN_SUBJECTS",
    "HookUnits",
    "SubjectModel",
    "all_neurons",
    "load_subject",
    "parse_units",
    "select_units",
    "wrap_subject",
]
