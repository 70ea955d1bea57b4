"""Evidence as the rows of a page, and as a server sends it."""

from __future__ import annotations

from dataclasses import replace

from factories import make_label, make_unit

from autointerp.client.client import label_of
from autointerp.core.ids import UnitId
from autointerp.core.plain_values import to_plain
from autointerp.core.unit_evidence import (
    Absent,
    Measure,
    NearUnit,
    NearUnits,
    Quantity,
    Relation,
    UnitEvidence,
)
from autointerp.web.page_links import Links
from autointerp.web.page_templates import render
from autointerp.web.unit_evidence_rows import EvidenceRows
from autointerp.web.unit_lists import STATUS_WORDS, Paths
from autointerp.web.unit_profile import UnitProfile

EVIDENCE = UnitEvidence(
    (
        Measure(Quantity.GATE_OUTPUT_COSINE, -0.31, 0.042),
        Measure(Quantity.NORM_TIMES_BIAS, None, absent=Absent.NO_BIAS),
    ),
    (
        NearUnits(Relation.LIKE_INPUT, (NearUnit(5, 7, 0.5), NearUnit(5, 8, -0.4)), 0.2),
        NearUnits(Relation.UPSTREAM, (NearUnit(4, 7, 0.3),), 0.2),
        NearUnits(Relation.DOWNSTREAM, (), None, Absent.LAST_LAYER),
    ),
)


def test_numbers_stand_beside_what_they_are_read_against() -> None:
    label = replace(make_label(), evidence=EVIDENCE)
    rows = EvidenceRows.of(make_unit(), label, Links(), lambda _: False)
    cosine, product = rows.facts
    assert (cosine.value, cosine.control) == ("-0.31", "4.2% of its layer as large")
    assert (product.value, product.control) == ("undefined: its weights have no bias", "")
    assert [row.chance for row in rows.near] == [
        "by chance 0.20",
        "by chance 0.20",
        "no layer behind it has neurons",
    ]


def test_near_units_are_links_where_they_have_a_page() -> None:
    there = {
        UnitId("tiny", "blocks.5.mlp.hook_post", 7),
        UnitId("tiny", "blocks.4.mlp.hook_post", 7),
        UnitId("tiny", "blocks.5.hook_resid_post.sae_x", 7),
        UnitId("tiny", "blocks.4.hook_resid_post.sae_x", 7),
    }
    for hook, linked in (
        ("blocks.5.mlp.hook_post", ["5:7", "4:7"]),
        # What is near a latent in another layer is a neuron, not the latent of that number.
        ("blocks.5.hook_resid_post.sae_x", ["sae_x/7"]),
    ):
        unit = make_unit(hook=hook)
        label = replace(make_label(), evidence=EVIDENCE)
        rows = EvidenceRows.of(unit, label, Links(), there.__contains__)
        units = [one for row in rows.near for one in row.units]
        assert [one.name for one in units if one.link] == linked
        assert units[0].link == Links().unit(UnitId("tiny", hook, 7))


def test_the_page_of_a_unit_shows_its_evidence_and_that_of_older_labels_none() -> None:
    unit, label = make_unit(), make_label()
    pages = []
    for one in (label, replace(label, evidence=EVIDENCE)):
        view = UnitProfile.of(unit, [(one, None)], Links(), Paths(holds=lambda _: True))
        pages.append(render("unit.html", {"links": Links(), "view": view, "words": STATUS_WORDS}))
    assert "Beside the label" not in pages[0]
    assert "4.2% of its layer as large" in pages[1]
    assert "Kind: unknown by its evidence." in pages[1]
    assert f'<a href="{Links().unit(UnitId("tiny", unit.hook, 7))}">5:7</a> +0.50, ' in pages[1]


def test_evidence_from_a_server_is_read_as_it_was() -> None:
    label = replace(make_label(), evidence=EVIDENCE)
    plain = to_plain(type(label), label)
    assert label_of({"unit": str(label.unit)}, plain) == label
