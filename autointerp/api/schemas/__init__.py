"""The types that travel, apart from those that are stored."""

from autointerp.api.schemas.common import ProblemOut, Wire
from autointerp.api.schemas.job_schemas import JobList, JobOut, JobRequest
from autointerp.api.schemas.label_schemas import LabelList, LabelRow, ListQuery
from autointerp.api.schemas.unit_schemas import (
    ActivationsOut,
    ActivationsRequest,
    ExplanationRequest,
    ExplanationScores,
    UnitPage,
    UnitSide,
)

__all__ = [
    "ActivationsOut",
    "ActivationsRequest",
    "ExplanationRequest",
    "ExplanationScores",
    "JobList",
    "JobOut",
    "JobRequest",
    "LabelList",
    "LabelRow",
    "ListQuery",
    "ProblemOut",
    "UnitPage",
    "UnitSide",
    "Wire",
]
