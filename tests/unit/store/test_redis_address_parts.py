"""Addresses of Redis that would be read otherwise than they are meant are refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from autointerp.core.errors import InputError
from autointerp.store.redis_connection import RedisConnection, open_client, redis_trouble


@pytest.mark.parametrize(
    ("address", "says"),
    [
        ("redis://127.0.0.1:1/0?nonsense=5", "it has an option not known to its client: nonsense"),
        ("redis://127.0.0.1:1/0?ssl_cert_reqs=none", "not known to its client: ssl_cert_reqs"),
        ("unix:///a.sock?ssl_ca_certs=/x", "not known to its client: ssl_ca_certs"),
        ("redis://127.0.0.1:1/0?db=1&two=2&one=1", "not known to its client: two, one"),
        ("redis://127.0.0.1:1/abc", "the database in it must be a number"),
        ("redis://127.0.0.1:1/0/extra", "the database in it must be a number"),
        ("redis://127.0.0.1:1/-1", "the database in it must be a number"),
        ("rediss://127.0.0.1:1/one", "the database in it must be a number"),
        ("redis://127.0.0.1:99999/0", "the port in it must be 1 to 65535"),
        (
            "rediss://h:1/0?ssl_cert_reqs=required&ssl_cert_reqs=none",
            "an option in it is given twice",
        ),
        ("redis://h:1/0?db=1&db=2", "an option in it is given twice"),
        ("redis://[::1]:70000/0", "the port in it must be 1 to 65535"),
    ],
)
def test_an_address_that_is_read_otherwise_is_refused_with_the_part(
    address: str, says: str
) -> None:
    with pytest.raises(InputError, match="is not an address of Redis: ") as told:
        open_client(address, answer_s=1)
    assert says in str(told.value)


def test_no_value_of_an_option_is_shown() -> None:
    with pytest.raises(InputError) as told:
        open_client("redis://u:pw123@h:1/0?token=hunter2", answer_s=1)
    assert not {"hunter2", "pw123"} & set(str(told.value).replace("=", " ").split())
    assert "hunter2" not in str(told.value)


@pytest.mark.parametrize(
    "address",
    [
        "redis://127.0.0.1",
        "redis://127.0.0.1:6379/",
        "redis://[::1]:6379/15",
        "redis://:p%40ss@h:1/0?db=2&socket_keepalive=true&client_name=me",
        "rediss://h:1/0?ssl_cert_reqs=required&ssl_ca_certs=/etc/ca.pem",
        "unix:///run/redis.sock?db=3",
    ],
)
def test_ordinary_addresses_are_taken(address: str) -> None:
    assert open_client(address, answer_s=1) is not None


@pytest.mark.parametrize("option", ["ssl_ca_certs", "ssl_certfile", "ssl_keyfile"])
def test_a_file_of_certificates_that_is_none_is_told_before_a_server_is_asked(
    tmp_path: Path, option: str
) -> None:
    (tmp_path / "empty.pem").write_text("no certificate")
    names = ["missing.pem", "", *(["empty.pem"] if option == "ssl_ca_certs" else [])]
    for name in names:
        url = f"rediss://me:hush1@127.0.0.1:1/0?{option}={tmp_path / name}"
        with pytest.raises(InputError, match=f"{option} (must name|names) a file") as told:
            RedisConnection(url, patience_s=0)
        assert "hush1" not in str(told.value)
        trouble = redis_trouble(url, answer_s=1)
        assert trouble is not None
        assert option in trouble[0]
