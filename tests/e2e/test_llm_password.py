"""The password in an LLM's address is sent to it, and stands in no file and no output."""

from __future__ import annotations

from pathlib import Path

import pytest
from fake_endpoint import FakeEndpoint
from labelling import Labelling

SECRETS = ("hush1", "hush2")


def holding(folder: Path, secrets: tuple[str, ...]) -> list[str]:
    """Files that hold one of the secrets."""
    return [
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if path.is_file() and any(secret.encode() in path.read_bytes() for secret in secrets)
    ]


def test_a_run_at_an_address_with_a_password_writes_and_says_none(
    labelling: Labelling,
    endpoint: FakeEndpoint,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    plain = endpoint.base_url
    whole = plain.replace("http://", f"http://ada:{SECRETS[0]}@")
    ended = labelling(labelling.arguments("a", "--units", "0:0", "--json", llm=whole))
    assert ended.code == 0, ended.err
    assert {header.get("authorization", "")[:6] for header in endpoint.headers} == {"Basic "}
    # As an earlier version wrote it.
    job = labelling.folder / "a" / "job.json"
    job.write_text(job.read_text().replace("***@", f"ada:{SECRETS[0]}@"))
    again = labelling(labelling.arguments("a", "--units", "0:0", "--resume", llm=whole))
    assert again.code == 0, again.err
    manifest = ["label", "--from-manifest", str(labelling.folder / "a" / "manifest.json")]
    refused = labelling([*manifest, "--out", str(labelling.folder / "b")])
    assert (refused.code, "add --llm with the whole address" in refused.err) == (2, True)
    monkeypatch.setenv("AUTOINTERP_LLM_BASE_URL", whole)
    made = labelling([*manifest, "--out", str(labelling.folder / "b")])
    assert made.code == 0, made.err
    said = "".join(e.out + e.err for e in (ended, again, refused, made))
    assert not any(secret in said for secret in SECRETS)
    assert holding(tmp_path, SECRETS) == []


def test_an_address_that_cannot_be_reached_or_read_is_told_without_its_password(
    labelling: Labelling, tmp_path: Path
) -> None:
    for url in (
        f"http://ada:{SECRETS[0]}@127.0.0.1:9/v1?key={SECRETS[1]}",
        f"http://ada:{SECRETS[0]}/x@127.0.0.1:9/v1",
        f"http://ada:{SECRETS[0]}",
        f"https:/ada:{SECRETS[0]}@127.0.0.1:9/v1",
        f"curl http://ada:{SECRETS[0]}@127.0.0.1:9/v1 -H 'Authorization: Bearer {SECRETS[1]}'",
        f"curl 127.0.0.1:9/v1 -H 'Authorization: Bearer {SECRETS[1]}'",
        f"curl -H 'Authorization: Bearer {SECRETS[1]}'",
    ):
        ended = labelling(labelling.arguments("c", "--units", "0:0", llm=url))
        assert ended.code in {2, 3}
        assert not any(secret in ended.out + ended.err for secret in SECRETS), ended.err
    assert holding(tmp_path, SECRETS) == []
