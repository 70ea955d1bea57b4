"""Units that the API reads from Redis, those of several requests at once."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from api_service import listening, make_service
from factories import make_label, make_unit

from autointerp.dictionary import row_json
from autointerp.store.artifacts import Artifacts
from autointerp.store.labels.redis_store import RedisLabelStores
from autointerp.store.redis_connection import RedisConnection

PATH = "/v1/models/tiny/units/blocks.5.mlp.hook_post"
FIELD = "blocks.5.mlp.hook_post/207/positive"


@pytest.fixture
def link(redis_url: str) -> Iterator[RedisConnection]:
    link = RedisConnection(redis_url)
    yield link
    link.close()


@pytest.fixture
def url(link: RedisConnection, tmp_path: Path) -> Iterator[str]:
    stores = RedisLabelStores(link, Artifacts(str(tmp_path / "artifacts")), row_json)
    service = make_service(tmp_path, stores=stores)  # type: ignore[arg-type]
    for index in range(200, 240):
        stores.of("tiny").put_label(make_label(make_unit(index), text=f"names of {index}"))
    with listening(service.app) as url:
        yield url


def test_many_readers_at_once_get_each_its_own_unit_and_a_damaged_one_fails_alone(
    link: RedisConnection, url: str
) -> None:
    link.run(lambda client: client.hset("autointerp:1:labels:tiny", FIELD, b"\x00rubbish"))
    with ThreadPoolExecutor(20) as pool, httpx.Client(base_url=url, timeout=300) as client:
        wanted = [*range(200, 241)] * 3
        found = list(pool.map(lambda index: client.get(f"{PATH}/{index}"), wanted))
    for index, answer in zip(wanted, found, strict=True):
        if index == 207:
            assert (answer.status_code, FIELD in answer.text) == (503, True)
        elif index == 240:
            assert (answer.status_code, answer.json()["code"]) == (404, "label_unknown")
        else:
            said = answer.json()["sides"][0]["explanation"]["text"]
            assert (answer.status_code, said) == (200, f"names of {index}")


def test_a_unit_comes_with_its_records_and_with_its_questions_where_they_are_asked_for(
    url: str,
) -> None:
    httpx.get(f"{url}/v1/models/tiny/labels").raise_for_status()
    plain, full = (
        httpx.get(f"{url}{PATH}/131", params=params).json()["sides"][0]
        for params in ({}, {"trials": "true"})
    )
    assert [len(side["held_out"]) for side in (plain, full)] == [3, 3]
    assert plain["results"][0]["trials"] is None
    assert len(full["results"][0]["trials"]) == 3
