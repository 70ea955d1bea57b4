"""Text on which units are held, and the loss of whole passes on it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from tiny import tiny_texts

from autointerp.evidence import Passage
from autointerp.subjects import SubjectModel


def passages(subject: SubjectModel, n: int = 4, *, longest: int = 24) -> list[Passage]:
    texts = tiny_texts(n)
    return [
        Passage(tuple(subject.tokenizer.encode(text)[: longest - place]), str(place))
        for place, text in enumerate(texts)
    ]


def loss(subject: SubjectModel, texts: Sequence[Passage]) -> float:
    """The oracle: one text at a time through the whole model, nats a token."""
    total, n_tokens = 0.0, 0
    for text in texts:
        ids = torch.tensor([[0, *text.token_ids]])
        with torch.inference_mode():
            logits = subject.bridge(ids, return_type="logits")[0, :-1].double()
        total += float(torch.nn.functional.cross_entropy(logits, ids[0, 1:], reduction="sum"))
        n_tokens += len(text.token_ids)
    return total / n_tokens
