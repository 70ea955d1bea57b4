"""What kept evidence was made from."""

from __future__ import annotations

from datetime import UTC, datetime

from autointerp.core import VERSION
from autointerp.core.kept_evidence import EvidenceSource
from autointerp.subjects import SubjectModel


def source_of(
    subject: SubjectModel, corpus: str | None, *, job: str | None = None
) -> EvidenceSource:
    """Of an answer that was measured just now, on windows of that corpus where it needs text."""
    return EvidenceSource(
        created=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        package_version=VERSION,
        subject_revision=subject.revision,
        dtype=subject.dtype_name,
        corpus=corpus,
        job=job,
    )
