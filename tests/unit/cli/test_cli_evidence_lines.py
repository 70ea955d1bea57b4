"""Evidence beside a label, as a terminal shows it."""

from __future__ import annotations

import io
from dataclasses import replace

from factories import make_label, make_unit
from rich.console import Console

from autointerp.cli.rendering.evidence_lines import evidence_parts
from autointerp.core.unit_evidence import NearUnit, NearUnits, Relation, UnitEvidence


def test_what_is_like_a_latent_is_named_as_a_latent_and_neurons_as_neurons() -> None:
    near = (
        NearUnits(Relation.LIKE_INPUT, (NearUnit(5, 7, 0.5),), 0.2),
        NearUnits(Relation.UPSTREAM, (NearUnit(4, 7, 0.3),), 0.2),
    )
    for hook, like in (
        ("blocks.5.mlp.hook_post", "5:7"),
        ("blocks.5.hook_resid_post.sae_x", "sae_x/7"),
        ("blocks.5.mlp.experts.3.hook_post", "blocks.5.mlp.experts.3.hook_post/7"),
    ):
        label = replace(make_label(), unit=make_unit(hook=hook), evidence=UnitEvidence((), near))
        output = io.StringIO()
        console = Console(file=output, width=120)
        for part in evidence_parts(label):
            console.print(part)
        lines = [line.split() for line in output.getvalue().splitlines()]
        assert ["reads", "like", like, "+0.50", "by", "chance", "0.20"] in lines
        assert ["reads", "from", "4:7", "+0.30", "by", "chance", "0.20"] in lines
