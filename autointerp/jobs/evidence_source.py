"""What kept evidence was made from."""

from __future__ import annotations

from datetime import UTC, datetime

from autointerp.core import VERSION
from autointerp.core.explanations import Label
from autointerp.core.kept_evidence import EvidenceSource, label_digest
from autointerp.subjects import SubjectModel


def source_of(
    subject: SubjectModel,
    corpus: str | None,
    *,
    job: str | None = None,
    label: Label | None = None,
) -> EvidenceSource:
    """Of an answer that was measured just now, on windows of that corpus where it needs text.

    Of kinds that take texts from a label, with that label.
    """
    return EvidenceSource(
        created=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        package_version=VERSION,
        subject_revision=subject.revision,
        dtype=subject.dtype_name,
        corpus=corpus,
        job=job,
        label=None if label is None else label_digest(label),
    )
