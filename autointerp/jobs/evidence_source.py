"""What kept evidence was made from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

from autointerp.core import VERSION
from autointerp.core.explanations import Label
from autointerp.core.kept_evidence import EvidenceSource, label_digest, labels_digest
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
    return replace(
        source_now(subject.revision, subject.dtype_name),
        corpus=corpus,
        job=job,
        label=None if label is None else label_digest(label),
    )


def source_of_labels(
    subject: SubjectModel, labels: Sequence[Label], *, job: str | None = None
) -> EvidenceSource:
    """Of an answer about the labels of several sides of a unit, at least one, on their text."""
    source = source_of(subject, labels[0].provenance.corpus, job=job)
    return replace(source, label=labels_digest(labels))


def source_now(subject_revision: str, dtype: str) -> EvidenceSource:
    """Of an answer that was measured just now with weights of that digest, without text."""
    return EvidenceSource(
        created=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        package_version=VERSION,
        subject_revision=subject_revision,
        dtype=dtype,
    )
