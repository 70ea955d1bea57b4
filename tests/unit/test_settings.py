from __future__ import annotations

import os
from pathlib import Path

import pytest
from pydantic import ValidationError

from autointerp.core.addresses import shown_address, without_secrets
from autointerp.core.errors import InputError
from autointerp.settings import Settings, read_settings

NOWHERE = Path("no-such-file.env")


def test_without_any_variable_the_defaults_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", "/home/ada")
    settings = read_settings(NOWHERE)
    assert settings.llm_base_url is None
    assert settings.device == "auto"
    assert settings.cache_dir == Path("/home/ada/.cache/autointerp")


def test_the_cache_follows_xdg(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert read_settings(NOWHERE).cache_dir == tmp_path / "autointerp"


def test_a_tilde_in_the_cache_folder_is_the_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ada")
    monkeypatch.setenv("AUTOINTERP_CACHE_DIR", "~/big")
    assert read_settings(NOWHERE).cache_dir == Path("/home/ada/big")


def test_every_name_of_the_contract_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    values = {
        "LLM_BASE_URL": "http://127.0.0.1:1/v1",
        "LLM_API_KEY": "k",
        "LLM_MODEL": "m",
        "LLM_MAX_IN_FLIGHT": "3",
        "LLM_RPM": "60",
        "LLM_TPM": "1000",
        "REDIS_URL": "redis://127.0.0.1:1/0",
        "STORE": "json:labels",
        "ARTIFACTS": "memory://x",
        "API_KEYS": "a, b",
        "DEVICE": "cpu",
        "CACHE_DIR": "/tmp/c",
    }
    for name, value in values.items():
        monkeypatch.setenv("AUTOINTERP_" + name, value)
    settings = read_settings(NOWHERE)
    unset = [name for name in values if getattr(settings, name.lower()) in (None, ())]
    assert unset == []
    assert [key.get_secret_value() for key in settings.api_keys] == ["a", "b"]
    assert (settings.llm_max_in_flight, settings.llm_rpm, settings.llm_tpm) == (3, 60, 1000)


def test_the_environment_goes_before_the_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / ".env"
    file.write_text("AUTOINTERP_LLM_MODEL=from-file\nAUTOINTERP_LLM_RPM=7\nPATHS=foreign\n")
    monkeypatch.setenv("AUTOINTERP_LLM_MODEL", "from-environment")
    settings = read_settings(file)
    assert settings.llm_model == "from-environment"
    assert settings.llm_rpm == 7


def test_an_empty_variable_is_as_good_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUTOINTERP_LLM_RPM", "")
    assert read_settings(NOWHERE).llm_rpm is None


def test_the_openai_key_is_taken_where_there_is_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "openai")
    key = read_settings(NOWHERE).llm_api_key
    assert key is not None
    assert key.get_secret_value() == "openai"


def test_our_key_in_the_file_goes_before_the_openai_key_of_the_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / ".env"
    file.write_text("AUTOINTERP_LLM_API_KEY=ours\n")
    monkeypatch.setenv("OPENAI_API_KEY", "openai")
    key = read_settings(file).llm_api_key
    assert key is not None
    assert key.get_secret_value() == "ours"


def test_no_secret_is_in_the_text_of_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUTOINTERP_LLM_API_KEY", "hush1")
    monkeypatch.setenv("OPENAI_API_KEY", "hush2")
    monkeypatch.setenv("AUTOINTERP_API_KEYS", "hush3,hush4")
    monkeypatch.setenv("AUTOINTERP_REDIS_URL", "redis://u:hush5@host:1/0")
    monkeypatch.setenv("AUTOINTERP_STORE", "redis://u:hush6@host:1/0")
    monkeypatch.setenv("AUTOINTERP_LLM_BASE_URL", "http://u:hush7@host:1/v1")
    settings = read_settings(NOWHERE)
    assert "hush" not in repr(settings) + str(settings)


def test_settings_do_not_change() -> None:
    settings = Settings()
    with pytest.raises(ValidationError):
        settings.device = "cuda"


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("AUTOINTERP_LLM_MODLE", "AUTOINTERP_LLM_MODEL"),
        ("AUTOINTERP_REDIS", "AUTOINTERP_REDIS_URL"),
        ("autointerp_devise", "AUTOINTERP_DEVICE"),
    ],
)
def test_an_unknown_variable_is_refused_with_the_nearest_known_one(
    monkeypatch: pytest.MonkeyPatch, name: str, nearest: str
) -> None:
    monkeypatch.setenv(name, "x")
    with pytest.raises(
        InputError, match=f"there is no setting {name}; did you mean {nearest}"
    ) as e:
        read_settings(NOWHERE)
    assert "\n" not in str(e.value)


def test_an_unknown_variable_in_the_file_is_refused(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("AUTOINTERP_CACHEDIR=/tmp\n")
    with pytest.raises(InputError, match="did you mean AUTOINTERP_CACHE_DIR"):
        read_settings(file)


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("LLM_RPM", "many", "AUTOINTERP_LLM_RPM cannot be used: it must be a whole number"),
        ("LLM_TPM", "0", "AUTOINTERP_LLM_TPM cannot be used: it must be at least 1"),
        ("DEVICE", "gpu", "AUTOINTERP_DEVICE cannot be used: write auto, cpu, mps, cuda or cuda:N"),
        ("LLM_BASE_URL", "nowhere", "write for example http://127.0.0.1:8080/v1"),
        ("REDIS_URL", "http://x", "redis://127.0.0.1:6379/0 or unix:///run/redis.sock"),
        ("STORE", "json:", "write for example json:DIR or redis://127.0.0.1:6379/0"),
    ],
)
def test_a_bad_value_is_named_in_one_sentence(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, sentence: str
) -> None:
    monkeypatch.setenv("AUTOINTERP_" + name, value)
    with pytest.raises(InputError) as e:
        read_settings(NOWHERE)
    assert str(e.value).endswith(sentence)
    assert str(e.value).startswith(f"AUTOINTERP_{name} cannot be used: ")


def test_a_bad_redis_url_does_not_show_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUTOINTERP_REDIS_URL", "valkey://u:hush@host")
    with pytest.raises(InputError, match="AUTOINTERP_REDIS_URL") as e:
        read_settings(NOWHERE)
    assert "hush" not in str(e.value)


def test_an_env_file_that_is_not_text_is_named(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_bytes(b"AUTOINTERP_DEVICE=\xff\xfe\n")
    with pytest.raises(InputError, match=r"\.env cannot be read as UTF-8 text"):
        read_settings(file)


def test_an_env_file_without_end_is_not_read_and_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(1 << 31)
    with pytest.raises(InputError, match=r"the settings in .*sparse cannot be read: .* more than"):
        read_settings(tmp_path / "sparse")
    os.mkfifo(tmp_path / "pipe")
    assert read_settings(tmp_path / "pipe").redis_url is None


def test_a_password_is_cut_from_a_url_and_nothing_else() -> None:
    assert shown_address("redis://u:p@host:1/0") == "redis://***@host:1/0"
    assert shown_address("redis://host:1/0") == "redis://host:1/0"


PASSWORDS = (
    "a#b",
    "pa/ss",
    "p?w",
    "p[w",
    "p\u2100w",
    "ab:c/d",
    "12/34",
    "a/b@c",
    "x\ty",
    "#",
    "?/#@",
)


@pytest.mark.parametrize("password", PASSWORDS)
@pytest.mark.parametrize("name", ["REDIS_URL", "STORE", "LLM_BASE_URL"])
@pytest.mark.parametrize("user", ["", "ada"])
def test_a_password_that_cuts_an_address_is_asked_for_encoded_and_not_shown(
    monkeypatch: pytest.MonkeyPatch, name: str, password: str, user: str
) -> None:
    scheme = "https" if name == "LLM_BASE_URL" else "redis"
    monkeypatch.setenv(f"AUTOINTERP_{name}", f"{scheme}://{user}:{password}@host:1/0")
    with pytest.raises(InputError) as e:
        read_settings(NOWHERE)
    assert str(e.value).startswith(f"AUTOINTERP_{name} cannot be used: percent-encode the user")
    assert not any(
        part in str(e.value).split("; write")[0][90:] for part in ("pa", "ss", "12", "34")
    )


@pytest.mark.parametrize(
    "url", ["redis://:p@w@h:1/0", "redis://:p%23%2F@h:1/0", "redis://:p w@h:1"]
)
def test_a_password_that_both_clients_read_is_taken(
    monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setenv("AUTOINTERP_REDIS_URL", url)
    found = read_settings(NOWHERE)
    assert found.redis_url == url
    assert str(found.shown()["AUTOINTERP_REDIS_URL"]).startswith("redis://***@h:1")


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("redis://h/0?password=hush", "write the password before the host"),
        ("rediss://h/0?ssl_cert_reqs=CERT_NONE", "may be required, optional or none"),
        ("redis://h/0#hush", "percent-encode"),
        ("redis:/:hush@h", "write for example"),
        ("unix://:hu/sh@/run/x.sock", "percent-encode"),
    ],
)
def test_an_address_that_the_two_clients_read_differently_is_refused(
    monkeypatch: pytest.MonkeyPatch, url: str, sentence: str
) -> None:
    monkeypatch.setenv("AUTOINTERP_REDIS_URL", url)
    with pytest.raises(InputError, match=sentence) as e:
        read_settings(NOWHERE)
    assert "hu" not in str(e.value)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://h/0?password=p@w", "redis://***"),
        ("redis://u:secret", "redis://***"),
        ("https://h/v1?api-version=2&key=hush", "https://h/v1?api-version=2&key=***"),
        ("s3://key:hush@bucket/folder", "s3://***@bucket/folder"),
        ("unix:///run/me@x.sock", "unix:///run/me@x.sock"),
        ("redis:/:hush@h", "***"),
        ("json:/home/labels", "json:/home/labels"),
        ("json:/home/me@work/labels", "json:/home/me@work/labels"),
        ("/home/me@work/artifacts", "/home/me@work/artifacts"),
        ("hush@host", "***"),
    ],
)
def test_what_is_shown_of_an_address_holds_no_password(url: str, shown: str) -> None:
    assert shown_address(url) == shown


@pytest.mark.parametrize("password", ["hush", "hu#sh", "hu/sh", "hu@sh", "hu:sh"])
def test_what_others_say_of_an_address_is_said_without_its_password(password: str) -> None:
    url = f"ftp://ada:{password}@host/x"
    for said in (url, f"bucket ada:{password}", password):
        assert password not in without_secrets(said, url)
        assert "ada" not in without_secrets(said, url)
    assert without_secrets("all is well at host", url) == "all is well at host"
    assert without_secrets("all is well", "ftp://host/x") == "all is well"
