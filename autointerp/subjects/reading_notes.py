"""How units are read where something else could be meant, and what encoders were made for."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from autointerp.core.one_line import joined, shortened
from autointerp.core.unit_spec import parse_unit_spec
from autointerp.subjects.encoders import Encoder
from autointerp.subjects.hook_units import HookUnits
from autointerp.subjects.model import SubjectModel
from autointerp.subjects.sae import SparseEncoder

_SAME_MODEL = {"gpt2small": "gpt2"}
"""TransformerLens' own names of models, which SAEs keep."""
_MOST_CONTEXT = 4096
"""Tokens of a window at most."""


def reading_notes(
    spec: str, subject: SubjectModel, kind: str, units: Iterable[HookUnits], *, n_ctx: int
) -> tuple[str, ...]:
    """How units are read where something else could be meant, a sentence each."""
    encoders = [subject.encoders[u.hook] for u in units if u.hook in subject.encoders]
    bare = [encoder.name for encoder in encoders if encoder.without_bos]
    notes = [_usual_neurons_note(spec, subject, kind)]
    if bare and subject.tokenizer.bos_id is not None:
        notes.append(
            f"latents of {joined(bare)} are read without BOS, as their cfg.json asks "
            "(prepend_bos false)"
        )
    return (*(note for note in notes if note is not None), *misfits(encoders, subject, n_ctx=n_ctx))


def _usual_neurons_note(spec: str, subject: SubjectModel, kind: str) -> str | None:
    if subject.neuron_kind == "hook_post" or not parse_unit_spec(spec).usual:
        return None
    where = "before" if kind == "hook_mid" else "behind"
    other = "hook_post" if kind == "hook_mid" else "hook_mid"
    return (
        f"units {spec}: neurons of {subject.name} are read at mlp.{kind}, {where} the extra "
        f"LayerNorm of its MLP; blocks.0.mlp.{other}:0-9 names those on the other side of it"
    )


def misfits(encoders: Iterable[Encoder], subject: SubjectModel, *, n_ctx: int) -> tuple[str, ...]:
    """Where SAEs were made for something else than they are given now, a sentence a difference."""
    saes = [encoder for encoder in encoders if isinstance(encoder, SparseEncoder)]
    found: dict[str, list[str]] = {}
    for sae in saes:
        for difference in differences_of(sae, subject, n_ctx):
            found.setdefault(difference, []).append(sae.name)
    return tuple(f"{joined(names)}: {difference}" for difference, names in found.items())


def differences_of(sae: SparseEncoder, subject: SubjectModel, n_ctx: int) -> Iterator[str]:
    """What an SAE was made for and is not given in windows of so many tokens."""
    config, bos_id = sae.config, subject.tokenizer.bos_id
    if config.model_name is not None and not _is_of(config.model_name, subject):
        yield (
            f"made for the model {shortened(config.model_name)}, while the subject is "
            f"{subject.name}; latents mean little in another model"
        )
    if config.stated_hook is not None:
        stated = shortened(config.stated_hook)
        yield f"read at {config.hook_name} as asked, while cfg.json names {stated}"
    if config.prepend_bos and bos_id is None:
        yield f"made for text with BOS in front, which {subject.name} does not put there"
    # Its context counts BOS, a window does not.
    with_bos = n_ctx + (bos_id is not None and not sae.without_bos)
    if config.context_size is not None and config.context_size != with_bos:
        fits = config.context_size - (with_bos - n_ctx)
        may = 1 < fits <= min(_MOST_CONTEXT, subject.max_n_ctx)
        how = f"; --n-ctx {fits} reads as it was trained" if may else ""
        yield f"made for contexts of {config.context_size:,} tokens, read in {with_bos:,}{how}"


def _is_of(name: str, subject: SubjectModel) -> bool:
    """Whether a model's name is that of the subject, or of what its folder was saved from."""
    model = getattr(subject.bridge, "original_model", subject.bridge)
    saved = getattr(getattr(model, "config", None), "_name_or_path", None)
    return same_model(name, subject.name) or (bool(saved) and same_model(name, str(saved)))


def same_model(one: str, other: str) -> bool:
    """Whether two names are of one model: owner, letter case and punctuation are left out."""
    return _bare_name(one) == _bare_name(other)


def _bare_name(name: str) -> str:
    bare = re.sub(r"[^a-z0-9]", "", name.rstrip("/").rpartition("/")[2].lower())
    return _SAME_MODEL.get(bare, bare)
