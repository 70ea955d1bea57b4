"""Which scores can be trusted: checks of metrics, and scores of what cannot be right."""

from autointerp.sanity.known_units import KnownUnit, ReadOptions, UnitsRead, read_units
from autointerp.sanity.metric_checks import HEADLINE, LEAST_SHARE, MetricCheck, check_metrics
from autointerp.sanity.metric_values import METRICS, PUBLISHED, metric_values
from autointerp.sanity.nulls import NullRow, Separation, judge_separation, null_rows

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
