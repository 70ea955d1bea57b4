"""Labelling jobs: collect, read records, explain, score, keep."""

from autointerp.jobs.label_job import LabelJob, LimitedLlm
from autointerp.jobs.run import run_labels
from autointerp.jobs.run_totals import RunReport

__all__ = ["LabelJob", "LimitedLlm", "RunReport", "run_labels"]
