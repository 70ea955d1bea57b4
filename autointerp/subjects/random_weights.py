"""The same architecture with random weights: what labels of it score, architecture alone scores."""

from __future__ import annotations

import torch

from autointerp.subjects.model import SubjectModel, weights_digest


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
