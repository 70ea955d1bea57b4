"""Scored natural-language explanations of every neuron of a language model.

Names are imported when they are first used, so that ``import autointerp`` stays quick and needs
no torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from autointerp.core import VERSION as __version__
from autointerp.core import lazy_names

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
    from autointerp.core.causal_evidence import CausalEvidence
    from autointerp.core.causal_request import CausalRequest
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
    from autointerp.core.feature_search import FeatureUnit, FindReport, ProbeReport
    from autointerp.core.ids import Side, UnitId
    from autointerp.core.study_report import StudyReport
    from autointerp.core.unit_matches import MatchReport, UnitMatch
    from autointerp.corpora import TokenCorpus, load_corpus
    from autointerp.dictionary import Dictionary, LabelledUnits, open_dictionary
    from autointerp.dictionary.rescored_labels import RescoredLabel, RescoreReport
    from autointerp.llm import OpenAICompatible, ScriptedModel
    from autointerp.statistics.simulation_metrics import SimulationScores, simulation_scores
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
    from autointerp.wiring.evidence_runs import causal_evidence
    from autointerp.wiring.file_runs import score_explanation
    from autointerp.wiring.find_runs import find
    from autointerp.wiring.match_runs import match_units
    from autointerp.wiring.memory_runs import label
    from autointerp.wiring.probe_runs import probe
    from autointerp.wiring.rescore_runs import rescore
    from autointerp.wiring.study_latents import study_latents
    from autointerp.wiring.study_layers import study_layers
    from autointerp.wiring.study_ranks import study_ranks
    from autointerp.wiring.study_seeds import study_seeds
    from autointerp.wiring.study_solu import study_solu

__getattr__ = lazy_names(
    __name__,
    {
        "activations": (
            "HookSummary LazySummary Summary TextActivations collect live_activations "
            "load_summary merge_summaries open_summary save_summary"
        ),
        "client": "Client",
        "core.causal_evidence": "CausalEvidence",
        "core.causal_request": "CausalRequest",
        "core.config": "CollectConfig CorpusConfig ExplainConfig JobSpec ScoreConfig SelectConfig",
        "core.errors": "AutointerpError InputError StorageError UpstreamError",
        "core.feature_search": "FeatureUnit FindReport ProbeReport",
        "core.ids": "Side UnitId",
        "core.explanations": "Label LabelStatus",
        "core.study_report": "StudyReport",
        "core.unit_matches": "MatchReport UnitMatch",
        "corpora": "TokenCorpus load_corpus",
        "dictionary": "Dictionary LabelledUnits open_dictionary",
        "dictionary.rescored_labels": "RescoreReport RescoredLabel",
        "llm": "OpenAICompatible ScriptedModel",
        "statistics.simulation_metrics": "SimulationScores simulation_scores",
        "subjects": (
            "HookUnits SubjectModel all_neurons load_directions load_sae load_subject "
            "parse_units random_directions wrap_subject"
        ),
        "wiring.evidence_runs": "causal_evidence",
        "wiring.file_runs": "score_explanation",
        "wiring.find_runs": "find",
        "wiring.match_runs": "match_units",
        "wiring.memory_runs": "label",
        "wiring.probe_runs": "probe",
        "wiring.rescore_runs": "rescore",
        "wiring.study_latents": "study_latents",
        "wiring.study_layers": "study_layers",
        "wiring.study_ranks": "study_ranks",
        "wiring.study_seeds": "study_seeds",
        "wiring.study_solu": "study_solu",
    },
)

__all__ = [
    "AutointerpError",
    "CausalEvidence",
    "CausalRequest",
    "Client",
    "CollectConfig",
    "CorpusConfig",
    "Dictionary",
    "ExplainConfig",
    "FeatureUnit",
    "FindReport",
    "HookSummary",
    "HookUnits",
    "InputError",
    "JobSpec",
    "Label",
    "LabelStatus",
    "LabelledUnits",
    "LazySummary",
    "MatchReport",
    "OpenAICompatible",
    "ProbeReport",
    "RescoreReport",
    "RescoredLabel",
    "ScoreConfig",
    "ScriptedModel",
    "SelectConfig",
    "Side",
    "SimulationScores",
    "StorageError",
    "StudyReport",
    "SubjectModel",
    "Summary",
    "TextActivations",
    "TokenCorpus",
    "UnitId",
    "UnitMatch",
    "UpstreamError",
    "__version__",
    "all_neurons",
    "causal_evidence",
    "collect",
    "find",
    "label",
    "live_activations",
    "load_corpus",
    "load_directions",
    "load_sae",
    "load_subject",
    "load_summary",
    "match_units",
    "merge_summaries",
    "open_dictionary",
    "open_summary",
    "parse_units",
    "probe",
    "random_directions",
    "rescore",
    "save_summary",
    "score_explanation",
    "simulation_scores",
    "study_latents",
    "study_layers",
    "study_ranks",
    "study_seeds",
    "study_solu",
    "wrap_subject",
]


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
