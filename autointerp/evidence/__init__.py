"""Evidence beside the label: what a unit writes, and what happens when it is held."""

from autointerp.evidence.output_weights import LogitEffect, SideEffects, logit_effects
from autointerp.evidence.steering import Steering, steered_texts, steering_strength
from autointerp.evidence.subject_probe import SubjectProbe

__all__ = [
    "LogitEffect",
    "SideEffects",
    "Steering",
    "SubjectProbe",
    "logit_effects",
    "steered_texts",
    "steering_strength",
]
