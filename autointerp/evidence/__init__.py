"""Evidence beside the label: what a unit reads and writes, and what happens when it is held."""

from autointerp.evidence.ablation import Ablations, ablate
from autointerp.evidence.causal_answers import CausalTexts, evidence_of
from autointerp.evidence.document_intervals import Passage
from autointerp.evidence.free_evidence import FreeEvidence, ReadUnit
from autointerp.evidence.held_passes import HeldPasses
from autointerp.evidence.logit_attribution import attribute
from autointerp.evidence.output_weights import LogitEffect, SideEffects, logit_effects
from autointerp.evidence.patching import patch
from autointerp.evidence.steered_writing import steered_writing
from autointerp.evidence.steering import Steering, steered_texts, steering_strength
from autointerp.evidence.subject_probe import SubjectProbe

__all__ = [
    "Ablations",
    "CausalTexts",
    "FreeEvidence",
    "HeldPasses",
    "LogitEffect",
    "Passage",
    "ReadUnit",
    "SideEffects",
    "Steering",
    "SubjectProbe",
    "ablate",
    "attribute",
    "evidence_of",
    "logit_effects",
    "patch",
    "steered_texts",
    "steered_writing",
    "steering_strength",
]
