"""From records to a label: explain, choose on validation windows, score on held-out ones.

No input or output of its own: everything comes in as values and goes out as a label. Explainers
see only explain records, the choice only validation records, scores only held-out ones.
"""

from autointerp.pipeline.job_variants import (
    JobVariants,
    check_explicit,
    check_job,
    check_n_units,
    check_packages,
    check_prompts,
    check_top_windows,
    rules_fill_up,
    with_stored_names,
    without_llm,
)
from autointerp.pipeline.llm_answers import LlmAnswers
from autointerp.pipeline.selection import expected_score, select_explanation
from autointerp.pipeline.unit_input import Selection, Tools, UnitInput
from autointerp.pipeline.unit_label import dead_label, label_unit

__all__ = [
    "JobVariants",
    "LlmAnswers",
    "Selection",
    "Tools",
    "UnitInput",
    "check_explicit",
    "check_job",
    "check_n_units",
    "check_packages",
    "check_prompts",
    "check_top_windows",
    "dead_label",
    "expected_score",
    "label_unit",
    "rules_fill_up",
    "select_explanation",
    "with_stored_names",
    "without_llm",
]
