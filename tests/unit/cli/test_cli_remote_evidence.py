"""`autointerp evidence` of a server: what is asked of it, and what is printed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from api_service import Service, listening, make_service
from causal_replies import find_evidence, kept_evidence
from factories import make_unit

from autointerp.cli import run
from autointerp.cli.remote_evidence import wire_options
from autointerp.core.causal_evidence import EvidenceKind, Hold
from autointerp.core.causal_request import CausalRequest
from autointerp.core.kept_evidence import label_digest


@pytest.fixture
def service(tmp_path: Path) -> Service:
    found = make_service(tmp_path)
    found.worker.reply = find_evidence
    return found


@pytest.fixture
def url(service: Service) -> Iterator[str]:
    with listening(service.app) as address:
        yield address


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    capsys.readouterr()
    assert run(["evidence", *arguments]) == 2
    return " ".join(capsys.readouterr().err.split()).rpartition("error: ")[2]


def test_a_server_answers_in_place_of_a_model_here(
    service: Service, url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--subject", "tiny", "--server", url, "--hold", "mean", "--controls", "9"]
    assert run(["evidence", "5:131", *options, "--keep"]) == 0
    assert "5:131" in capsys.readouterr().out
    [(_, asked)] = service.worker.asked
    assert (asked["holds"], asked["n_controls"], asked["keep"]) == (["mean"], 9, True)
    assert run(["evidence", "5:131", *options, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["ablations"][0]["changes"][0]["hold"] == "mean"


def test_a_job_is_submitted_with_the_options_of_the_command(
    service: Service, url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    where = ["--subject", "tiny", "--server", url, "--job", "--json"]
    assert run(["evidence", "layer:5", "--kind", "steering", "--kl", "2", *where]) == 0
    job = service.backend.jobs.get(json.loads(capsys.readouterr().out)["id"])
    assert job is not None
    assert job.spec.evidence == CausalRequest(EvidenceKind.STEERING, target_kl=2.0)
    assert (job.spec.units, job.spec.llm) == ("layer:5", "none")


def test_what_is_kept_stands_at_the_end_of_a_unit_that_is_shown(
    service: Service, url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for kind in (EvidenceKind.ABLATION, EvidenceKind.SITES):
        service.stores.of("tiny").put_evidence(kept_evidence(make_unit(), CausalRequest(kind)))
    assert run(["show", "5:131", "--server", url]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "ablation: without it the loss is 0.25 nats a token higher on its exemplars" in said
    assert "correlate by 0.42 (2026-11-01, wiki)" in said
    assert run(["show", "5:131", "--server", url, "--json"]) == 0
    [unit] = json.loads(capsys.readouterr().out)
    assert [one["request"]["kind"] for one in unit["evidence"]] == ["ablation", "sites"]


def test_what_was_measured_with_another_label_says_so(
    service: Service, url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    store, asked = service.stores.of("tiny"), CausalRequest(EvidenceKind.ABLATION)
    [label] = store.get_sides(make_unit())
    said = []
    for day, digest in ((1, label_digest(label)), (2, "0123456789ab")):
        store.put_evidence(kept_evidence(make_unit(), asked, day=day, label=digest))
        assert run(["show", "5:131", "--server", url]) == 0
        said.append(" ".join(capsys.readouterr().out.split()))
    assert "(2026-11-01, wiki)" in said[0]
    assert "(2026-11-02, wiki, measured with another label)" in said[1]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--server", "URL", "--dir", "runs/x"], "--dir cannot be given with --server, whose"),
        (["--server", "URL", "--corpus", "wiki"], "corpus: kind sites alone takes this"),
        (["--server", "URL", "--job", "--together"], "leave out --together or --job"),
        (["--wait"], "--wait goes with --job"),
        (["--encoder", "sae:x"], "name the dictionary with --dir, or the SAE in the units"),
        (["--keep"], "name its folder with --dir, and leave out --together"),
    ],
)
def test_options_that_do_not_go_together_are_one_sentence(
    url: str, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    given = [url if one == "URL" else one for one in arguments]
    assert said in refused(capsys, "5:131", "--subject", "tiny", *given)


def test_only_what_is_not_as_usual_is_sent() -> None:
    assert wire_options(CausalRequest(EvidenceKind.ABLATION)) == {"kind": "ablation"}
    asked = CausalRequest(EvidenceKind.ABLATION, holds=(Hold.ZERO, Hold.MEAN), seed=3)
    assert wire_options(asked) == {"kind": "ablation", "holds": ["zero", "mean"], "seed": 3}
