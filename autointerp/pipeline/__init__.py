"""From records to a label: explain, choose on validation windows, score on held-out ones.

No input or output of its own: everything comes in as values and goes out as a label. Explainers
see only explain records, the choice only validation records, scores only held-out ones.
"""

from autointerp.pipeline.case import Case, Chosen, Tools
from autointerp.pipeline.choosing import choose_explanation, expected_score
from autointerp.pipeline.job_variants import (
    JobVariants,
    check_job,
    check_n_units,
    check_packages,
    with_stored_names,
)
from autointerp.pipeline.labelling import dead_label, label_case

__all__ = [
    "Case",
    "Chosen",
    "JobVariants",
    "Tools",
    "check_job",
    "check_n_units",
    "check_packages",
    "choose_explanation",
    "dead_label",
    "expected_score",
    "label_case",
    "with_stored_names",
]
