"""Causal evidence that is kept beside labels, in every implementation of LabelStore."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from causal_replies import kept_evidence
from factories import make_info, make_label, make_unit
from memory_store import MemoryLabelStores

from autointerp.core.causal_evidence import EvidenceKind, Hold
from autointerp.core.causal_request import CausalRequest
from autointerp.core.errors import AutointerpError, DamagedError, InputError
from autointerp.core.ids import UnitId
from autointerp.core.kept_evidence import newest_of_each_kind
from autointerp.dictionary import row_json, write_dictionary
from autointerp.store.artifacts import Artifacts
from autointerp.store.labels import FolderLabelStore, LabelStore, LabelStores
from autointerp.store.labels.folder_stores import FolderLabelStores
from autointerp.store.labels.redis_store import RedisLabelStores
from autointerp.store.labels.stores import copy_labels
from autointerp.store.packed_causal import unpack_causal
from autointerp.store.redis_connection import RedisConnection

ABLATION, STEERING = (CausalRequest(EvidenceKind(k)) for k in ("ablation", "steering"))
AT_MEAN = CausalRequest(EvidenceKind.ABLATION, holds=(Hold.MEAN,))
PATCHING = CausalRequest(EvidenceKind.PATCHING, prompt="a b", counterfactual="a c")


@pytest.fixture(params=["json", "memory", "redis"])
def stores(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[LabelStores]:
    if request.param == "json":
        yield FolderLabelStores(tmp_path / "labels", row_json)
    elif request.param == "memory":
        yield MemoryLabelStores(row_json)
    else:
        link = RedisConnection(request.getfixturevalue("redis_url"))
        yield RedisLabelStores(link, Artifacts(str(tmp_path / "artifacts")), row_json)
        link.close()


@pytest.fixture
def store(stores: LabelStores) -> LabelStore:
    return stores.of("tiny")


@pytest.mark.parametrize("kind", list(EvidenceKind))
def test_evidence_of_every_kind_comes_back_equal(store: LabelStore, kind: EvidenceKind) -> None:
    asked = PATCHING if kind is EvidenceKind.PATCHING else CausalRequest(kind)
    kept = kept_evidence(make_unit(), asked)
    store.put_evidence(kept)
    assert store.evidence_of(make_unit()) == (kept,)
    assert store.evidence_of(make_unit(2)) == ()


def test_the_newest_answer_to_a_request_is_kept_and_other_requests_beside_it(
    store: LabelStore,
) -> None:
    unit = make_unit()
    for asked, day in ((STEERING, 1), (AT_MEAN, 2), (ABLATION, 3), (ABLATION, 4)):
        store.put_evidence(kept_evidence(unit, asked, day=day))
    found = store.evidence_of(unit)
    assert [(one.request, one.source.created[8:10]) for one in found] == [
        (AT_MEAN, "02"),
        (ABLATION, "04"),
        (STEERING, "01"),
    ]
    assert [one.request for one in newest_of_each_kind(found)] == [ABLATION, STEERING]


def test_answers_on_another_text_or_in_another_dtype_are_kept_beside_each_other(
    store: LabelStore,
) -> None:
    unit, sites = make_unit(), CausalRequest(EvidenceKind.SITES)
    store.put_evidence(kept_evidence(unit, sites, day=1))
    store.put_evidence(kept_evidence(unit, sites, day=2, corpus="code"))
    store.put_evidence(kept_evidence(unit, sites, day=3, dtype="bfloat16"))
    store.put_evidence(kept_evidence(unit, sites, day=4, corpus="code"))
    found = [one.source for one in store.evidence_of(unit)]
    assert [(one.created[8:10], one.corpus, one.dtype) for one in found] == [
        ("01", "wiki", "float32"),
        ("03", "wiki", "bfloat16"),
        ("04", "code", "float32"),
    ]


def test_a_model_with_evidence_and_no_label_is_named(stores: LabelStores) -> None:
    assert stores.models() == []
    stores.of("tiny").put_evidence(kept_evidence(make_unit(), STEERING))
    assert stores.models() == ["tiny"]


def test_units_with_evidence_are_read_in_order_and_need_no_label(store: LabelStore) -> None:
    units = [UnitId("tiny", f"blocks.{n}.mlp.hook_post", i) for n, i in ((10, 0), (2, 7), (2, 3))]
    for unit in units:
        store.put_evidence(kept_evidence(unit, ABLATION))
    assert [kept.unit for kept in store.all_evidence()] == units[::-1]
    assert store.count() == 0


def test_evidence_goes_with_labels_into_another_store(stores: LabelStores, tmp_path: Path) -> None:
    store, other = stores.of("tiny"), FolderLabelStores(tmp_path / "other")
    store.put_label(make_label())
    kept = kept_evidence(make_unit(), ABLATION)
    store.put_evidence(kept)
    list(copy_labels(stores, other))
    assert other.of("tiny").evidence_of(make_unit()) == (kept,)


def test_a_dictionary_that_is_written_again_has_the_evidence_of_its_store(
    store: LabelStore, tmp_path: Path
) -> None:
    store.put_label(make_label())
    for day in (1, 2):
        kept = kept_evidence(make_unit(), ABLATION, day=day)
        store.put_evidence(kept)
        manifest = write_dictionary(tmp_path / "out", store, make_info())
        assert FolderLabelStore(tmp_path / "out").evidence_of(make_unit()) == (kept,)
        assert not any("evidence" in name for name in manifest.files)


def test_evidence_moves_and_goes_with_a_folder_and_is_no_part_of_its_manifest(
    tmp_path: Path,
) -> None:
    store = FolderLabelStore(tmp_path / "run")
    store.put_label(make_label())
    store.put_evidence(kept_evidence(make_unit(), ABLATION))
    assert store.compact() == ["scores/labels.sqlite"]
    (tmp_path / "moved").mkdir()
    store.move_into(tmp_path / "moved")
    moved = FolderLabelStore(tmp_path / "moved")
    assert len(moved.evidence_of(make_unit())) == 1
    moved.clear()
    assert moved.evidence_of(make_unit()) == ()


def test_a_dictionary_under_another_name_keeps_evidence_under_that_of_its_subject(
    tmp_path: Path,
) -> None:
    FolderLabelStore(tmp_path / "mine").put_label(make_label())
    store = FolderLabelStores(tmp_path).of("mine")
    store.put_evidence(kept_evidence(UnitId("mine", *_place(make_unit())), ABLATION))
    assert [kept.unit for kept in store.all_evidence()] == [make_unit()]
    assert store.evidence_of(UnitId("mine", *_place(make_unit())))


def _place(unit: UnitId) -> tuple[str, int]:
    return unit.hook, unit.index


@pytest.mark.parametrize(
    ("data", "error", "said"),
    [
        (b"", DamagedError, "is damaged"),
        (zlib.compress(b"[]"), DamagedError, "is damaged"),
        (zlib.compress(b'{"schema": 1, "unit": "x"}'), DamagedError, "ask for it again"),
        (zlib.compress(b'{"schema": 2}'), InputError, "written by a newer autointerp"),
    ],
)
def test_evidence_that_cannot_be_read_is_told(
    data: bytes, error: type[AutointerpError], said: str
) -> None:
    with pytest.raises(error, match=said):
        unpack_causal(data, where="evidence of 5:1")
