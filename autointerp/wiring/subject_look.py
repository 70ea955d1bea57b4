"""What a subject model is and needs, told from its configuration and the heads of its files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from autointerp.core.config import NO_LLM, CorpusConfig, JobSpec
from autointerp.core.errors import InputError
from autointerp.core.model_shape import ModelShape, known_shape
from autointerp.core.one_line import numbers
from autointerp.core.text import TextTokenizer
from autointerp.orchestration.counted_units import counted_units
from autointerp.orchestration.job_estimate import ITEM_BYTES, JobEstimate, estimate_work
from autointerp.orchestration.job_outlook import planned_work
from autointerp.settings import Settings
from autointerp.subjects import KNOWN_SUBJECTS, SubjectModel, gguf_tokenizer, load_subject
from autointerp.subjects.model_facts import NOT_RUN
from autointerp.subjects.shape_files import shape_in
from autointerp.subjects.stored_weights import StoredWeights, stored_weights
from autointerp.subjects.subject_loading import tl_folder_of
from autointerp.subjects.subject_places import subject_files
from autointerp.subjects.tokenizer import HfTokenizer
from autointerp.subjects.tokenizer_files import load_tokenizer
from autointerp.subjects.unloaded import UnloadedSubject, unloaded_subject
from autointerp.wiring.inspections import none_of_the_three

_SHOWN = (
    "hook_resid_pre", "attn.hook_z", "hook_attn_out", "hook_resid_mid", "mlp.hook_pre",
    "mlp.hook_pre_linear", "mlp.hook_mid", "mlp.hook_post", "mlp.experts.0.hook_post",
    "hook_mlp_out", "hook_resid_post",
)  # fmt: skip
"""Kinds of hook points, in the order in which they are computed."""


@dataclass(frozen=True, slots=True)
class HookKind:
    """Hook points of one kind and width."""

    kind: str
    """Behind ``blocks.N.``."""
    width: int
    """Units of each."""
    layers: str
    """``0-29``."""


@dataclass(frozen=True, slots=True)
class SubjectLook:
    """A subject model."""

    name: str
    shape: ModelShape | None
    """None where its configuration does not tell it."""
    hooks: tuple[HookKind, ...]
    n_weights: int | None
    """Parameters."""
    stored: StoredWeights | None
    """None where there are no safetensors or GGUF files."""
    memory: Mapping[str, int]
    """Bytes that the weights take, by dtype of ``--dtype``."""
    need: JobEstimate | None
    """What labelling all neurons by rules would need: the collection is a part of it."""
    loaded: bool
    """Whether weights were read for this."""
    unknown: str | None
    """Why the shape is not known, if so."""


def is_here(name: str) -> bool:
    """Whether a subject of that name can be looked at: nothing is downloaded but toy models."""
    return subject_files(name) is not None or tl_folder_of(name) is not None


def look_at_subject(
    name: str, settings: Settings, corpus: CorpusConfig, *, load: bool = False
) -> SubjectLook:
    """What a subject is and needs; weights are read where asked for.

    Raises:
        InputError: there is no such subject, or a file of it is damaged.
    """
    native = tl_folder_of(name)
    path = native[0] if native else subject_files(name)
    stored = None if native or path is None else stored_weights(path, known=name in KNOWN_SUBJECTS)
    shape, unknown = _shape(name, path)
    loaded = _loaded(name, settings) if load or path is None else None
    made = loaded or unloaded_subject(name, settings.cache_dir)
    if made is None and native:
        made = loaded = _loaded(name, settings)
    hooks = () if made is None else _kinds_of(made)
    if shape is None and made is None and stored is None:
        raise none_of_the_three(name, unknown or "it is not known")
    n_weights = None if made is None else sum(p.numel() for p in made.bridge.parameters())
    if stored is not None and stored.n_weights is not None and loaded is None:
        n_weights = stored.n_weights
    return SubjectLook(
        name=name,
        shape=shape,
        hooks=hooks,
        n_weights=n_weights,
        stored=stored,
        memory={} if n_weights is None else {d: n_weights * n for d, n in ITEM_BYTES.items()},
        need=None if shape is None else _need(name, shape, corpus),
        loaded=loaded is not None,
        unknown=unknown,
    )


def _shape(name: str, path: Path | None) -> tuple[ModelShape | None, str | None]:
    """The shape, or why it cannot be told."""
    if name in KNOWN_SUBJECTS:
        return known_shape(name), None
    if path is None:
        return None, "it has no files here"
    try:
        return replace(shape_in(path), name=name), None
    except InputError as error:
        return None, str(error)


def _need(name: str, shape: ModelShape, corpus: CorpusConfig) -> JobEstimate:
    """Of labelling all neurons by rules: the collection is a part of it."""
    job = JobSpec(subject=name, units="all", llm=NO_LLM, corpus=corpus)
    return estimate_work(planned_work(job, shape, counted_units("all", shape)))


def tokenizer_of(name: str, settings: Settings) -> TextTokenizer:
    """The tokenizer of a subject, without its weights where it has files of its own.

    Raises:
        InputError: there is no such subject, or its tokenizer cannot be read.
    """
    path = None if tl_folder_of(name) else subject_files(name)
    if path is None:
        return _loaded(name, settings).tokenizer
    if path.suffix == ".gguf":
        return gguf_tokenizer(path, settings.cache_dir)
    return HfTokenizer(load_tokenizer(path))


def _loaded(name: str, settings: Settings) -> SubjectModel:
    return load_subject(name, device=settings.device, cache_dir=settings.cache_dir)


def _kinds_of(subject: SubjectModel) -> tuple[HookKind, ...]:
    """Those of the usual ones that a model has; none where only its weights would tell."""
    kinds = [kind for kind in _SHOWN if _has(subject, kind)]
    hooks = [f"blocks.{layer}.{kind}" for kind in kinds for layer in range(subject.n_layers)]
    if isinstance(subject, UnloadedSubject):
        hooks = subject.look_at(hooks) if subject.is_sure else []
    found: dict[tuple[str, int], list[int]] = {}
    for hook in hooks:
        _, layer, kind = hook.split(".", 2)
        try:
            width = subject.width(hook)
        except InputError:
            continue
        found.setdefault((kind, width), []).append(int(layer))
    return tuple(
        HookKind(kind, width, numbers(tuple(layers))) for (kind, width), layers in found.items()
    )


def _has(subject: SubjectModel, kind: str) -> bool:
    """Whether the first or the last layer has such a hook point, as others then may."""
    for layer in (0, subject.n_layers - 1):
        try:
            subject.width(f"blocks.{layer}.{kind}")
        except (InputError, *NOT_RUN):  # What an expert computes, for one, depends on values.
            continue
        return True
    return False
