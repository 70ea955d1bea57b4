"""Models that read more than text: the language model in them, or a refusal by class.

TransformerLens gets none of them whole: it would look for what prepares their images, and install
packages for that.
"""

from __future__ import annotations

from typing import Any

import torch
from transformers import MODEL_FOR_CAUSAL_LM_MAPPING

from autointerp.core.errors import InputError
from autointerp.subjects.model_facts import EXPECTED

_TEXT_ONLY = EXPECTED.replace("a causal", "a text-only causal")


def reads_more_than_text(config: Any) -> bool:
    """Whether a configuration has that of a language model in it, beside others."""
    return hasattr(config, "get_text_config") and config.get_text_config() is not config


def multimodal_error(name: str, kind: str) -> InputError:
    """The error for a class that reads more than text."""
    return InputError(f"{name} is a {kind}, which reads more than text; {_TEXT_ONLY}")


def text_part(model: Any, name: str) -> Any:
    """The model, or the one of text alone in it, around the same weights.

    Only of classes that transformers counts among causal language models (Gemma 3).

    Raises:
        InputError: it reads more than text, and its text part has no class of its own.
    """
    config: Any = getattr(model, "config", None)
    if hasattr(model, "hook_dict") or not reads_more_than_text(config):
        return model
    kind = type(model)
    causal = kind in MODEL_FOR_CAUSAL_LM_MAPPING.values()
    text = config.get_text_config()
    inside = getattr(getattr(model, "model", None), "language_model", None)
    if not causal or inside is None or type(text) not in MODEL_FOR_CAUSAL_LM_MAPPING:
        raise multimodal_error(name, kind.__name__)
    with torch.device("meta"):
        part = MODEL_FOR_CAUSAL_LM_MAPPING[type(text)](text)
    part.model, part.lm_head = inside, model.lm_head
    return part.train(model.training)
