"""Evidence beside the label: what a unit writes, and what happens when it is held."""

from autointerp.interventions.output_weights import LogitEffect, logit_effects
from autointerp.interventions.steering import Steering, steered_texts, steering_strength
from autointerp.interventions.subject_probe import SubjectProbe

__all__ = [
    "LogitEffect",
    "Steering",
    "SubjectProbe",
    "logit_effects",
    "steered_texts",
    "steering_strength",
]
