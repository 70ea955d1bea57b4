"""Rows of labels in Redis that lie together, as they do in a folder."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import redis
from factories import make_label, make_unit

from autointerp.core.explanations import Label
from autointerp.dictionary import row_json
from autointerp.store.artifacts import Artifacts
from autointerp.store.labels.listed_blocks import N_ROWS
from autointerp.store.labels.redis_row_blocks import RedisRows
from autointerp.store.labels.redis_store import RedisLabelStore, RedisLabelStores
from autointerp.store.redis_connection import PREFIX, RedisConnection
from autointerp.store.search import LabelIndex

LABEL = make_label()
ROW = json.loads(row_json(LABEL))
N_LABELS = N_ROWS + 30
BLOCKS, STARTS = (f"{PREFIX}{name}:tiny" for name in ("row-blocks", "row-block-starts"))


def label_of(index: int, text: str = "names of rivers") -> Label:
    assert LABEL.explanation is not None
    return replace(
        LABEL, unit=make_unit(index), explanation=replace(LABEL.explanation, text=text), results=()
    )


def short_row(label: Label) -> str:
    text = label.explanation.text if label.explanation else None
    return json.dumps(ROW | {"index": label.unit.index, "description": text})


@pytest.fixture
def client(redis_url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(redis_url) as client:
        yield client


@pytest.fixture
def connection(redis_url: str) -> Iterator[RedisConnection]:
    connection = RedisConnection(redis_url)
    yield connection
    connection.close()


@pytest.fixture
def store(connection: RedisConnection, tmp_path: Path) -> RedisLabelStore:
    store = RedisLabelStores(connection, Artifacts(str(tmp_path)), short_row).of("tiny")
    for index in range(N_LABELS):
        store.put_label(label_of(index))
    return store


def descriptions(store: RedisLabelStore) -> dict[int, str]:
    """By index, of an index that reads the store for the first time."""
    index = LabelIndex(store)
    index.refresh()
    return {row["index"]: row["description"] for row in map(json.loads, index.rows()[0])}


def all_rows(store: RedisLabelStore, limit: int) -> list[object]:
    rows, change = list[object](), 0
    while True:
        found, last = store.rows_since(change, limit)
        rows += found
        if last == change:
            return rows
        change = last


def test_rows_are_put_together_as_labels_are_and_are_read_as_one_by_one(
    store: RedisLabelStore, client: redis.Redis
) -> None:
    assert client.zrange(STARTS, 0, -1) == [f"1-{N_ROWS}".encode()]
    rows, change = store.rows_since(0, N_ROWS)
    assert (len(rows), change) == (N_ROWS, N_ROWS)
    assert all_rows(store, 900) == all_rows(store, N_ROWS)
    store.put_label(label_of(7, "names of hills"))
    store.put_label(label_of(N_ROWS + 7, "names of lakes"))
    found = descriptions(store)
    assert len(found) == N_LABELS
    assert (found[7], found[8], found[N_ROWS + 7]) == (
        *("names of hills", "names of rivers", "names of lakes"),
    )


def test_where_a_block_cannot_be_read_rows_are_read_one_by_one(
    store: RedisLabelStore, client: redis.Redis
) -> None:
    name = f"1-{N_ROWS}"
    whole = client.hget(BLOCKS, name)
    assert isinstance(whole, bytes)
    for damaged in (b"", whole[:100], b"AIB\x00" + whole[4:]):
        client.hset(BLOCKS, name, damaged)
        assert len(descriptions(store)) == N_LABELS
    client.hdel(BLOCKS, name)
    assert len(descriptions(store)) == N_LABELS
    client.delete(STARTS)
    assert len(descriptions(store)) == N_LABELS


def test_who_begins_within_a_block_reads_to_its_end_and_the_next_one_whole(
    store: RedisLabelStore, client: redis.Redis
) -> None:
    for index in range(N_ROWS):
        store.put_label(label_of(index, "names of hills"))
    assert client.zcard(STARTS) == 2
    # What was put again is not there any more between the start and the end of the first block.
    rows, change = store.rows_since(500, N_ROWS)
    assert (rows, change) == ([], N_ROWS)
    rows, change = store.rows_since(change, N_ROWS)
    assert (len(rows), change) == (N_ROWS, 2 * N_ROWS)
    assert set(descriptions(store).values()) == {"names of hills", "names of rivers"}
    assert len(descriptions(store)) == N_LABELS


def test_few_labels_that_are_put_again_and_again_pile_up_no_blocks(
    store: RedisLabelStore, connection: RedisConnection, client: redis.Redis
) -> None:
    rows = RedisRows(connection, "tiny")
    for turn in range(2, 9):
        client.incrby(f"{PREFIX}row-change:tiny", N_ROWS - 1)
        store.put_label(label_of(3, f"names {turn}"))
        rows.add_blocks(int(client.get(f"{PREFIX}row-change:tiny") or 0))
        assert client.zcard(STARTS) == client.hlen(BLOCKS) <= 4
    assert descriptions(store)[3] == "names 8"
    assert len(descriptions(store)) == N_LABELS


def test_a_server_that_takes_no_block_has_taken_the_label(
    store: RedisLabelStore, client: redis.Redis
) -> None:
    client.delete(BLOCKS)
    client.set(BLOCKS, "another kind of value")
    client.delete(STARTS)
    client.set(f"{PREFIX}row-change:tiny", 2 * N_ROWS - 1)
    store.put_label(label_of(3, "names of hills"))
    assert client.zcard(STARTS) == 0
    assert descriptions(store)[3] == "names of hills"
