"""Subject models: loading, wrapping, hook points, and which units are meant."""

import autointerp.subjects.bars  # noqa: F401 - before what imports it
from autointerp.subjects.directions import Directions, load_directions, random_directions
from autointerp.subjects.encoders import Encoder
from autointerp.subjects.gguf import gguf_tokenizer
from autointerp.subjects.gpus import read_gpus
from autointerp.subjects.hook_units import (
    HookUnits,
    all_neurons,
    neuron_layers,
    parse_units,
    select_units,
)
from autointerp.subjects.model import SubjectModel
from autointerp.subjects.reading_notes import reading_notes
from autointerp.subjects.sae import SparseEncoder, load_sae
from autointerp.subjects.sae_release import open_sae
from autointerp.subjects.subject_loading import load_subject
from autointerp.subjects.subject_places import KNOWN_SUBJECTS
from autointerp.subjects.wrapping import wrap_subject

__all__ = [
    "KNOWN_SUBJECTS",
    "Directions",
    "Encoder",
    "HookUnits",
    "SparseEncoder",
    "SubjectModel",
    "all_neurons",
    "gguf_tokenizer",
    "load_directions",
    "load_sae",
    "load_subject",
    "neuron_layers",
    "open_sae",
    "parse_units",
    "random_directions",
    "read_gpus",
    "reading_notes",
    "select_units",
    "wrap_subject",
]
