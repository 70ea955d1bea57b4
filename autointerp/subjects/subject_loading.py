"""Subject models by name, file or folder."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

import torch
import transformers
from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError
from transformers import MODEL_FOR_CAUSAL_LM_MAPPING, AutoConfig, AutoModelForCausalLM
from transformers.utils.hub import cached_file

from autointerp.core.errors import InputError
from autointerp.core.one_line import shortened
from autointerp.core.places import holds
from autointerp.subjects.gguf import convert_gguf
from autointerp.subjects.model import SubjectModel
from autointerp.subjects.model_facts import EXPECTED, NOT_RUN, first_words
from autointerp.subjects.model_files import CONFIG, fault_of_model, refuse_huge_texts
from autointerp.subjects.named_subjects import (
    refuse_packed_weights,
    refuse_what_is_no_model_name,
)
from autointerp.subjects.own_modules import weights_digest
from autointerp.subjects.subject_places import KNOWN_SUBJECTS, folder_of, place_of
from autointerp.subjects.text_part import multimodal_error, reads_more_than_text
from autointerp.subjects.tl_folder import (
    fetch_legacy,
    is_tl_folder,
    legacy_name,
    load_tl_folder,
)
from autointerp.subjects.tokenizer import quiet_transformers
from autointerp.subjects.tokenizer_files import load_tokenizer
from autointerp.subjects.wrapping import wrap_subject

DtypeName = Literal["float32", "bfloat16"]

_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
_DIGITS = re.compile("[0-9]+")
_NOT_LOADED = (*NOT_RUN, OSError, SafetensorError, StrictDataclassError)


def load_subject(
    name: str, *, dtype: DtypeName = "float32", device: str = "auto", cache_dir: Path | None = None
) -> SubjectModel:
    """A subject model, ready to be read.

    Args:
        name: ``smollm2-135m``; a ``.gguf`` file; a local folder in Hugging Face layout or in
            TransformerLens'; a model on the Hugging Face hub; or one of TransformerLens' toy
            models by its name, ``solu-1l`` or, at a checkpoint of its training, ``solu-1l@1000``.
            No code of a model is ever run: weights are read from safetensors, or by PyTorch's
            reader of tensors alone where TransformerLens' layout has none.
        dtype: of weights and activations.
        device: ``auto`` (CUDA where there is one), ``cpu``, ``cuda``, ``cuda:1``.
        cache_dir: where a GGUF file is converted to, once.

    Raises:
        InputError: no such model, or one that cannot be loaded; the message says why.
    """
    if dtype not in _DTYPES:
        raise InputError(f"dtype {dtype!r} is not one of {', '.join(_DTYPES)}")
    refuse_what_is_no_model_name(name)
    native = tl_folder_of(name)
    if native is not None:
        return _load_native(name, *native, dtype=dtype, device=device)
    folder = _folder_of(name, cache_dir or Path.home() / ".cache" / "autointerp")
    with quiet_transformers():
        model, tokenizer = _from_pretrained(name, folder, dtype)
    known = name in KNOWN_SUBJECTS
    return wrap_subject(
        model,
        tokenizer,
        name=name if known else called(name),
        device=device,
        revision=getattr(model.config, "_commit_hash", None),
    )


def called(name: str) -> str:
    """What a subject is called in unit ids, by the name of its file or folder."""
    path = Path(name)
    return path.stem if name.endswith(".gguf") else path.name or path.resolve().name


def tl_folder_of(name: str) -> tuple[Path, str | None] | None:
    """The folder in TransformerLens' layout and the checkpoint that a name means."""
    if name in KNOWN_SUBJECTS or name.endswith(".gguf"):
        return None
    path = folder_of(name)
    if path is not None:
        return (path, None) if holds(path, CONFIG) and is_tl_folder(path) else None
    whole, _, label = name.rpartition("@")
    if whole and label.isdigit() and (folder := folder_of(whole)) is not None:
        return folder, label
    known = legacy_name(name)
    return None if known is None else (fetch_legacy(name, *known), known[1])


def _load_native(
    name: str, folder: Path, label: str | None, *, dtype: DtypeName, device: str
) -> SubjectModel:
    with quiet_transformers():
        bridge, tokenizer = load_tl_folder(folder, label=label, dtype=_DTYPES[dtype])
    return wrap_subject(bridge, tokenizer, name=called(name), device=device)


def _folder_of(name: str, cache_dir: Path) -> str:
    path = place_of(name) or Path(name)
    if path.suffix == ".gguf":
        return str(convert_gguf(path, cache_dir))
    if path.is_dir():
        if not holds(path, CONFIG):
            raise InputError(f"{path} is not a Hugging Face model folder: it has no config.json")
        refuse_huge_texts(path)
        return str(path)
    return name


def _from_pretrained(name: str, folder: str, dtype: str) -> tuple[Any, Any]:
    try:
        config = AutoConfig.from_pretrained(folder, trust_remote_code=False)
        _refuse_other_kinds(name, config)
        model, result = AutoModelForCausalLM.from_pretrained(
            folder,
            config=config,
            output_loading_info=True,
            # Asked for to be told which they are; they are refused below.
            ignore_mismatched_sizes=True,
            dtype=_DTYPES[dtype],
            use_safetensors=True,
            trust_remote_code=False,
            # TransformerLens reads attention patterns and so insists on this implementation.
            attn_implementation="eager",
        )
    except _NOT_LOADED as error:
        raise InputError(_not_loaded(name, folder, error)) from error
    refuse_packed_weights(name, folder, config)
    _refuse_other_weights(name, config, type(model), result | {"known_keys": model.state_dict()})
    return model, load_tokenizer(folder)


def _refuse_other_kinds(name: str, config: Any) -> None:
    saved = _saved_as(config) or f"model of type {config.model_type}"
    if getattr(config, "is_encoder_decoder", False):
        raise InputError(f"{name} is a {saved}, an encoder-decoder; {EXPECTED}")
    if type(config) not in MODEL_FOR_CAUSAL_LM_MAPPING:
        if reads_more_than_text(config):
            raise multimodal_error(name, saved)
        raise InputError(f"{name} is a {saved}, which is not causal; {EXPECTED}")


def _saved_as(config: Any) -> str | None:
    return next(iter(getattr(config, "architectures", None) or ()), None)


def _refuse_other_weights(name: str, config: Any, loaded: Any, info: dict[str, Any]) -> None:
    """Refuses weights that are not those of the model.

    transformers fills what a file lacks, or has in another shape, with random numbers, leaves
    out what it has no place for, and only warns of either.
    """
    saved = _saved_as(config)
    missing, unused = sorted(info["missing_keys"]), sorted(info["unexpected_keys"])
    written_by = getattr(transformers, saved or "", None)
    if (missing or unused) and written_by is not None and not written_by.can_generate():
        keys = missing or unused
        raise InputError(
            f"{name} is a {saved}, whose weights differ from those of a {loaded.__name__} "
            f"({keys[0]} {'is missing' if missing else 'has no place'}); {EXPECTED}"
        )
    if info["mismatched_keys"]:
        key, there, here = sorted(info["mismatched_keys"])[0]
        raise InputError(
            f"the weights of {name} do not fit its config.json: {key} has the shape "
            f"{tuple(there)}, where the configuration makes it {tuple(here)}; correct one of them"
        )
    if missing:
        raise InputError(
            f"the weights of {name} are not complete: {len(missing)} are missing, among them "
            f"{_with_what_is_there(missing, unused)}"
        )
    more = _of_the_model(unused, info["known_keys"])
    if more:
        raise InputError(
            f"the weights of {name} are more than its config.json tells of: there is no place for "
            f"{len(more)}, among them {more[0]}; correct config.json"
        )


def _with_what_is_there(missing: list[str], unused: list[str]) -> str:
    """A weight that is missing, what stands there instead, and what to do."""
    for key in missing:
        if near := difflib.get_close_matches(key, unused, n=1, cutoff=0.7):
            return (
                f"{key}, instead of which there is {near[0]}; save the model under its own names "
                "(not compiled, adapters merged, not quantized), or correct config.json"
            )
    return f"{missing[0]}; download the model again, or correct config.json"


def _of_the_model(unused: Iterable[str], known_keys: Iterable[str]) -> list[str]:
    """The weights without a place that would change what the model computes.

    Those of further layers, and parameters that the configuration leaves out of its blocks: a
    bias, a norm. Heads of other tasks, image towers and old buffers change nothing.
    """
    known = {_DIGITS.sub("N", key) for key in known_keys}
    blocks = {key[: key.index(".N.") + 3] for key in known if ".N." in key}
    result = []
    for key in unused:
        alike = _DIGITS.sub("N", key)
        owner, _, leaf = alike.rpartition(".")
        parameter = leaf == "weight" or (leaf == "bias" and f"{owner}.weight" in known)
        in_block = ".N." in alike and alike[: alike.index(".N.") + 3] in blocks
        if alike in known or (parameter and in_block):
            result.append(key)
    return result


def _not_loaded(name: str, folder: str, error: Exception) -> str:
    why = first_words(error)
    if Path(folder).is_dir():
        return f"the model in {folder} cannot be loaded: {fault_of_model(Path(folder)) or why}"
    if _is_cached(folder):
        return f"the model {folder} cannot be loaded: {why}"
    near = difflib.get_close_matches(name, KNOWN_SUBJECTS, n=1, cutoff=0.6)
    hint = f"; did you mean {near[0]}?" if near else ""
    return (
        f"unknown subject {shortened(name, most=300)}: it is not "
        f"{' or '.join(KNOWN_SUBJECTS)}, not a .gguf file or a local folder, and "
        f"the Hugging Face hub has no such model ({why}){hint}"
    )


def _is_cached(name: str) -> bool:
    """Whether some of a model on the hub was downloaded, so that there is one."""
    try:
        return cached_file(name, CONFIG, local_files_only=True) is not None
    except (OSError, ValueError):
        return False


def randomize(subject: SubjectModel, *, seed: int) -> SubjectModel:
    """The model with every parameter drawn anew from a normal of its own mean and spread.

    The given model's weights are overwritten: load one for this alone.

    Source: Heap et al. 2025, "Sparse autoencoders can interpret randomly initialized
    transformers", re-randomized including embeddings.
    """
    generator = torch.Generator(device="cpu").manual_seed(seed % 2**63)
    with torch.no_grad():
        for parameter in subject.bridge.parameters():
            values = parameter.detach().float().cpu()
            spread = float(values.std()) if values.numel() > 1 else 0.0
            drawn = torch.randn(values.shape, generator=generator) * spread + float(values.mean())
            parameter.copy_(drawn.to(parameter.device, parameter.dtype))
    return SubjectModel(
        subject.bridge,
        subject.tokenizer,
        name=f"{subject.name}-random",
        revision=weights_digest(subject.bridge),
    )
