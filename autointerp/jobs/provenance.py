"""Where a job's labels come from, known in two parts: what was read, and who was asked."""

from __future__ import annotations

from dataclasses import replace

from autointerp.activations import Summary
from autointerp.core.config import JobSpec
from autointerp.core.explanations import Provenance
from autointerp.core.version import VERSION
from autointerp.corpora import TokenCorpus
from autointerp.llm import ChatModel
from autointerp.pipeline import Tools
from autointerp.subjects import SubjectModel


def provenance_of(
    spec: JobSpec, subject: SubjectModel, corpus: TokenCorpus, summary: Summary
) -> Provenance:
    """What was read and how; nobody was asked yet."""
    return Provenance(
        package_version=VERSION,
        subject=subject.name,
        subject_revision=subject.revision,
        dtype=subject.dtype_name,
        tokenizer=subject.tokenizer.name,
        corpus=corpus.id,
        corpus_hash=corpus.hash,
        n_tokens=corpus.n_tokens,
        n_ctx=corpus.n_ctx,
        seed=spec.seed,
        split_hash=corpus.split_hash,
        collect_hash=summary.identity.config.digest,
        explainer_model=None,
        scorer_model=None,
        prompts=(),
        encoders=summary.identity.encoders,
    )


def asked_of(read: Provenance, model: ChatModel | None, tools: Tools) -> Provenance:
    """The same with the LLM and the prompts that it was asked with."""
    name = model.name if model is not None else None
    return replace(read, explainer_model=name, scorer_model=name, prompts=tools.prompts)
