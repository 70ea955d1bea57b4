"""Labelling jobs: collect, read records, explain, score, keep."""

from autointerp.jobs.run import LabelJob, RunReport, run_labels

__all__ = ["LabelJob", "RunReport", "run_labels"]
