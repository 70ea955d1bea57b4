"""Evidence beside the label: what a unit writes, and what happens when it is held."""

from autointerp.evidence.logit_effects import LogitEffect, logit_effects
from autointerp.evidence.probe import SubjectProbe
from autointerp.evidence.steering import Steering, steered_texts, steering_strength

__all__ = [
    "LogitEffect",
    "Steering",
    "SubjectProbe",
    "logit_effects",
    "steered_texts",
    "steering_strength",
]
