"""Evidence beside the label: what a unit reads and writes, and what happens when it is held."""

from autointerp.evidence.free_evidence import FreeEvidence, ReadUnit
from autointerp.evidence.output_weights import LogitEffect, SideEffects, logit_effects
from autointerp.evidence.steering import Steering, steered_texts, steering_strength
from autointerp.evidence.subject_probe import SubjectProbe

__all__ = [
    "FreeEvidence",
    "LogitEffect",
    "ReadUnit",
    "SideEffects",
    "Steering",
    "SubjectProbe",
    "logit_effects",
    "steered_texts",
    "steering_strength",
]
