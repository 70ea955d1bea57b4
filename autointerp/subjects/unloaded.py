"""Subject models without their weights, to be asked for layers, hook points and widths.

The model is made from its configuration of PyTorch's fake tensors, which have shapes and no
values, and is wrapped as one that is loaded. What depends on values is left open.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from torch import Tensor
from transformers import (
    MODEL_FOR_CAUSAL_LM_MAPPING,
    AutoConfig,
    AutoModelForCausalLM,
    PreTrainedTokenizerFast,
)
from typing_extensions import override

from autointerp.core.errors import InputError
from autointerp.core.ids import HookPoint
from autointerp.subjects.encoder_fit import check_fit
from autointerp.subjects.encoders import EncoderSizes, derived_hook
from autointerp.subjects.gguf import converted_folder
from autointerp.subjects.hook_points import Receiver, check_hook, read_hooks
from autointerp.subjects.model import SubjectModel
from autointerp.subjects.model_facts import NOT_RUN
from autointerp.subjects.model_files import refuse_huge_texts
from autointerp.subjects.subject_loading import called, tl_folder_of
from autointerp.subjects.subject_places import KNOWN_SUBJECTS, folder_of, place_of
from autointerp.subjects.tl_bridge import (
    adapted_classes,
    boot_bridge,
    looks_into_mlps,
    name_architectures,
)
from autointerp.subjects.tl_folder import legacy_name, unloaded_tl_folder
from autointerp.subjects.tokenizer import HfTokenizer, quiet_transformers


class UnloadedSubject(SubjectModel):
    """A subject model whose weights have no values; only what it has can be asked."""

    def __init__(self, bridge: Any, mode: Any, *, name: str) -> None:
        super().__init__(bridge, HfTokenizer(_any_tokenizer()), name=name, revision="not loaded")
        self._mode = mode
        self.is_sure = looks_into_mlps(bridge)
        """Whether it has the hook points that the loaded one has, and not its layers alone."""

    def look_at(self, hooks: Iterable[str]) -> list[str]:
        """Those of the hook points that there are; their widths are read in one pass.

        Raises:
            InputError: one lies in a layer that the model does not have.
        """
        known = []
        for hook in dict.fromkeys(hooks):
            try:
                check_hook(self.bridge, hook, name=self.name, run=self._run_some_tokens)
            except InputError:
                if HookPoint(hook).layer >= self.n_layers:
                    raise
                continue
            known.append(hook)
        if known and self.is_sure:
            self._look_at(known)
        return known

    @override
    def attach(self, encoder: EncoderSizes) -> str:
        check_fit(encoder, self.width, name=self.name)
        return derived_hook(encoder)

    @override
    def _forward(
        self,
        tokens: Tensor,
        hooks: Sequence[str],
        receive: Receiver,
        *,
        bos: int | None,
        whole: bool = False,
    ) -> None:
        skip = 0 if bos is None else 1
        shape = (len(tokens), tokens.shape[1] + skip)
        with self._mode:
            no_tokens = torch.zeros(shape, dtype=torch.long)
            read_hooks(self.bridge, no_tokens, hooks, receive, skip=skip, name=self.name)


def unloaded_subject(name: str, cache_dir: Path) -> UnloadedSubject | None:
    """The subject model of a name as `load_subject` takes it, without weights.

    None where it cannot be made: what is wrong with it, or unusual about it, shows when it is
    loaded.
    """
    try:
        if (folder := folder_of(name)) is not None:
            refuse_huge_texts(folder)
        with quiet_transformers(), torch.no_grad():
            made = _native(name) or _usual(name, cache_dir)
        if made is None:
            return None
        return UnloadedSubject(*made, name=name if name in KNOWN_SUBJECTS else called(name))
    except (InputError, OSError, *NOT_RUN):
        return None


def _native(name: str) -> tuple[Any, Any] | None:
    """(bridge, mode) of a folder in TransformerLens' own layout."""
    # Of its own names the weights would be fetched with the configuration.
    if place_of(name) is None and legacy_name(name) is not None:
        raise InputError(f"{name} is fetched when it is loaded")
    folder = tl_folder_of(name)
    if folder is None:
        return None
    # TransformerLens converts the model, which fake tensors cannot be; it runs without values.
    mode = torch.device("meta")
    with mode:
        return unloaded_tl_folder(folder[0]), mode


def _usual(name: str, cache_dir: Path) -> tuple[Any, Any] | None:
    """(bridge, mode) of a model that transformers knows and TransformerLens has an adapter for."""
    from torch._subclasses.fake_tensor import FakeTensorMode  # noqa: PLC0415 - may be missing

    config = _config(name, cache_dir)
    if type(config) not in MODEL_FOR_CAUSAL_LM_MAPPING:
        return None
    with (mode := FakeTensorMode(allow_non_fake_inputs=True)):
        model = AutoModelForCausalLM.from_config(config, attn_implementation="eager").eval()
        if not adapted_classes(model):
            return None
        model.config.use_cache, model.config.return_dict = False, True
        # The others ask which experts have tokens, or take bfloat16 alone.
        model.set_experts_implementation("batched_mm")
        name_architectures(model)
        return boot_bridge(model, _any_tokenizer(), torch.device("cpu"), [], None), mode


def _config(name: str, cache_dir: Path) -> Any:
    path = place_of(name) or Path(name)
    if path.suffix == ".gguf":
        converted = converted_folder(path, cache_dir)
        if converted is None:
            return AutoConfig.from_pretrained(path.parent, gguf_file=path.name)
        path = converted
    return AutoConfig.from_pretrained(path, trust_remote_code=False)


def _any_tokenizer() -> Any:
    """A tokenizer of one word: what a model has does not depend on it."""
    words = Tokenizer(WordLevel({"a": 0}, unk_token="a"))
    special = dict.fromkeys(("unk_token", "bos_token", "eos_token", "pad_token"), "a")
    return PreTrainedTokenizerFast(tokenizer_object=words, **special)
