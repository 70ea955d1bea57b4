"""The types that travel, apart from those that are stored: the base of all, and errors."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class Wire(BaseModel):
    """A frozen value; unknown keys are refused; built from stored values by attribute."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", from_attributes=True, allow_inf_nan=False
    )


class FieldProblem(Wire):
    """What is wrong with one part of a request."""

    where: str
    message: str


class ProblemOut(Wire):
    """An error, as RFC 9457 has it."""

    type: str = Field(examples=["urn:autointerp:problem:job_unknown"])
    title: str = Field(examples=["Not Found"])
    status: int = Field(examples=[404])
    code: str = Field(examples=["job_unknown"], description="Stable, for programs.")
    detail: str
    errors: list[FieldProblem] = []
