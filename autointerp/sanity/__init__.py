"""Which scores can be trusted: checks of metrics, and scores of what cannot be right."""

from autointerp.sanity.gate import HEADLINE, LEAST_SHARE, MetricCheck, check_metrics
from autointerp.sanity.judged import Separation, judge_separation
from autointerp.sanity.metrics import METRICS, PUBLISHED, metric_values
from autointerp.sanity.nulls import NullRow, null_rows
from autointerp.sanity.reading import KnownUnit, ReadOptions, UnitsRead, read_units

__all__ = [
    "HEADLINE",
    "LEAST_SHARE",
    "METRICS",
    "PUBLISHED",
    "KnownUnit",
    "MetricCheck",
    "NullRow",
    "ReadOptions",
    "Separation",
    "UnitsRead",
    "check_metrics",
    "judge_separation",
    "metric_values",
    "null_rows",
    "read_units",
]
