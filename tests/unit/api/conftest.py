"""The API in this process."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from api_service import HEADERS, Service, listening, make_service
from starlette.testclient import TestClient


@pytest.fixture
def service(tmp_path: Path) -> Service:
    return make_service(tmp_path)


@pytest.fixture
def client(service: Service) -> Iterator[TestClient]:
    with TestClient(service.app, headers=HEADERS, client=("127.0.0.1", 5)) as client:
        yield client


@pytest.fixture
def url(service: Service) -> Iterator[str]:
    with listening(service.app) as url:
        yield url
