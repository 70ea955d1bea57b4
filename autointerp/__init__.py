"""Scored natural-language explanations of every neuron of a language model.

Names are imported when they are first used, so that ``import autointerp`` stays quick and needs
no torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from autointerp.core import VERSION as __version__

if TYPE_CHECKING:
    from autointerp.activations import (
        HookSummary,
        LazySummary,
        Summary,
        TextActivations,
        collect,
        live_activations,
        load_summary,
        merge_summaries,
        open_summary,
        save_summary,
    )
    from autointerp.client import Client
    from autointerp.core.config import (
        CollectConfig,
        CorpusConfig,
        ExplainConfig,
        JobSpec,
        ScoreConfig,
        SelectConfig,
    )
    from autointerp.core.errors import (
        AutointerpError,
        InputError,
        StorageError,
        UpstreamError,
    )
    from autointerp.core.explanations import Label, LabelStatus
    from autointerp.core.ids import Side, UnitId
    from autointerp.corpora import TokenCorpus, load_corpus
    from autointerp.dictionary import Dictionary, open_dictionary
    from autointerp.llm import OpenAICompatible, ScriptedModel
    from autointerp.statistics import SimulationScores, simulation_scores
    from autointerp.subjects import (
        HookUnits,
        SubjectModel,
        all_neurons,
        load_directions,
        load_sae,
        load_subject,
        parse_units,
        random_directions,
        wrap_subject,
    )
    from autointerp.wiring.runs import label

_HOMES = {
    "autointerp.activations": (
        "HookSummary",
        "LazySummary",
        "Summary",
        "TextActivations",
        "collect",
        "live_activations",
        "load_summary",
        "merge_summaries",
        "open_summary",
        "save_summary",
    ),
    "autointerp.client": ("Client",),
    "autointerp.core.config": (
        "CollectConfig",
        "CorpusConfig",
        "ExplainConfig",
        "JobSpec",
        "ScoreConfig",
        "SelectConfig",
    ),
    "autointerp.core.errors": ("AutointerpError", "InputError", "StorageError", "UpstreamError"),
    "autointerp.core.ids": ("Side", "UnitId"),
    "autointerp.core.explanations": ("Label", "LabelStatus"),
    "autointerp.corpora": ("TokenCorpus", "load_corpus"),
    "autointerp.dictionary": ("Dictionary", "open_dictionary"),
    "autointerp.llm": ("OpenAICompatible", "ScriptedModel"),
    "autointerp.statistics": ("SimulationScores", "simulation_scores"),
    "autointerp.subjects": (
        "HookUnits",
        "SubjectModel",
        "all_neurons",
        "load_directions",
        "load_sae",
        "load_subject",
        "parse_units",
        "random_directions",
        "wrap_subject",
    ),
    "autointerp.wiring.runs": ("label",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "AutointerpError",
    "Client",
    "CollectConfig",
    "CorpusConfig",
    "Dictionary",
    "ExplainConfig",
    "HookSummary",
    "HookUnits",
    "InputError",
    "JobSpec",
    "Label",
    "LabelStatus",
    "LazySummary",
    "OpenAICompatible",
    "ScoreConfig",
    "ScriptedModel",
    "SelectConfig",
    "Side",
    "SimulationScores",
    "StorageError",
    "SubjectModel",
    "Summary",
    "TextActivations",
    "TokenCorpus",
    "UnitId",
    "UpstreamError",
    "__version__",
    "all_neurons",
    "collect",
    "label",
    "live_activations",
    "load_corpus",
    "load_directions",
    "load_sae",
    "load_subject",
    "load_summary",
    "merge_summaries",
    "open_dictionary",
    "open_summary",
    "parse_units",
    "random_directions",
    "save_summary",
    "simulation_scores",
    "wrap_subject",
]


def __getattr__(name: str) -> object:
    home = _HOME_OF.get(name)
    if home is None:
        msg = f"module 'autointerp' has no attribute {name!r}"
        raise AttributeError(msg)
    return getattr(import_module(home), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
