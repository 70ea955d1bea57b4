from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from autointerp.core.config import Budget, CorpusConfig, JobSpec
from autointerp.core.errors import InputError, StorageError
from autointerp.core.ids import Side, UnitId
from autointerp.orchestration import JobPlan, PlannedHook, SubmissionPolicy, new_id

HOOK = "blocks.0.mlp.hook_post"
PLAN = JobPlan(
    "tiny",
    "col_1",
    (
        PlannedHook(HOOK, (3, 5), (None,)),
        PlannedHook("blocks.1.mlp.hook_post", (0,), tuple(Side)),
    ),
    chunk=3,
)


def spec(**more: object) -> JobSpec:
    return JobSpec.model_validate({"units": "0:0", "llm": "none", **more})


def test_a_plan_is_the_same_after_it_was_written() -> None:
    assert JobPlan.from_json(PLAN.to_json()) == PLAN
    with pytest.raises(StorageError, match="the plan of a job is damaged"):
        JobPlan.from_json(b"{}")


def test_targets_are_in_job_order_and_fall_into_chunks() -> None:
    assert PLAN.n_targets == 4
    assert PLAN.n_chunks == 2
    assert PLAN.of_chunk(0) == [
        (UnitId("tiny", HOOK, 3), None),
        (UnitId("tiny", HOOK, 5), None),
        (UnitId("tiny", "blocks.1.mlp.hook_post", 0), Side.POSITIVE),
    ]
    wide = JobPlan("tiny", "c", (*PLAN.hooks, PlannedHook(HOOK, tuple(range(7)), (None,))))
    for size in range(1, 13):
        plan = replace(wide, chunk=size)
        targets = list(plan.targets)
        parts = [plan.of_chunk(number) for number in range(plan.n_chunks)]
        assert [target for part in parts for target in part] == targets
        assert all(len(part) == size for part in parts[:-1])
    assert PLAN.chunks()[UnitId("tiny", "blocks.1.mlp.hook_post", 0), Side.NEGATIVE] == 1


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"subject": "/etc/passwd"}, "unknown model '/etc/passwd'; this server has smollm2-135m"),
        ({"llm": "http://169.254.169.254/v1"}, "unknown llm"),
        ({"corpus": CorpusConfig(corpus="/etc/passwd")}, "may not read the corpus '/etc/passwd'"),
        ({"corpus": CorpusConfig(corpus="wiki=0.5,../x=0.5")}, r"may not read the corpus '\.\./x'"),
        ({"corpus": CorpusConfig(corpus="hf:somebody/something")}, "unknown corpus"),
        ({"units": "sae:/etc:0-3"}, "may not read the units '/etc'; name .* AUTOINTERP_FOLDERS of"),
        ({"units": "0:0,dirs:/etc/x.safetensors"}, "may not read the units '/etc/x"),
    ],
)
def test_a_job_names_only_what_the_server_allows(asked: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        SubmissionPolicy().check(spec(**asked), Budget())


def test_files_below_an_allowed_folder_may_be_named_and_links_out_of_it_may_not(
    tmp_path: Path,
) -> None:
    inside = tmp_path / "texts"
    inside.mkdir()
    (inside / "out").symlink_to("/etc")
    rules = SubmissionPolicy(folders=(inside,))
    rules.check(spec(corpus=CorpusConfig(corpus=f"{inside}/a.jsonl")), Budget())
    rules.check(spec(units=f"sae:{inside}/sae:0-3"), Budget())
    for name in ("../other", "out/passwd"):
        with pytest.raises(InputError, match="this server may not read the corpus"):
            rules.check(spec(corpus=CorpusConfig(corpus=f"{inside}/{name}")), Budget())


def test_a_field_behind_a_path_hides_neither_a_link_nor_a_folder(tmp_path: Path) -> None:
    inside = tmp_path / "texts"
    inside.mkdir()
    (inside / "a.jsonl").write_text('{"body": "x"}')
    (inside / "link.jsonl").symlink_to("/etc/hostname")
    rules = SubmissionPolicy(folders=(inside,))
    for name in (f"{inside}/a.jsonl:body", f"{inside}/b:train:body", f"{inside}/later.jsonl:body"):
        rules.check(spec(corpus=CorpusConfig(corpus=name)), Budget())
    for name in (f"{inside}/link.jsonl:body", f"{tmp_path}:texts", f"{tmp_path}/other:body"):
        with pytest.raises(InputError, match="this server may not read the corpus"):
            rules.check(spec(corpus=CorpusConfig(corpus=name)), Budget())


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("a.jsonl:number", "found int instead of a string in the field number"),
        ("a.jsonl:none", "has no text: found the fields body, number"),
        ("a.jsonl", "has no text: found the fields body, number"),
        ("wiki=0.5,a.jsonl:number=0.5", "number"),
        (".:train", "has no text: found the fields"),
        ("empty", "has no file ending in"),
        ("partial:empty", "has no file ending in"),
    ],
)
def test_text_that_lies_here_is_looked_at_before_the_job_is_taken(
    tmp_path: Path, name: str, message: str
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "a.jsonl").write_text('{"body": "x", "number": 3}')
    named = name.replace("a.jsonl", f"{tmp_path}/a.jsonl").replace("empty", f"{tmp_path}/empty")
    named = named.replace(".:", f"{tmp_path}:")
    with pytest.raises(InputError, match=message):
        SubmissionPolicy(folders=(tmp_path,)).check(
            spec(corpus=CorpusConfig(corpus=named)), Budget()
        )


def test_text_that_only_workers_may_have_is_named_with_when_it_is_checked(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"body": "x"}')
    rules = SubmissionPolicy(folders=(tmp_path,))
    asked = spec(corpus=CorpusConfig(corpus=f"wiki=0.5,{tmp_path}/later.jsonl:n=0.5"))
    rules.check(asked, Budget())
    told = rules.unseen_text(asked)
    assert told is not None
    assert told.startswith(f"'{tmp_path}/later.jsonl:n' cannot be read where the job was submitted")
    here = spec(corpus=CorpusConfig(corpus=f"wiki=0.5,partial:{tmp_path}/a.jsonl:body=0.5"))
    rules.check(here, Budget())
    assert rules.unseen_text(here) is None


def test_batches_and_price_tables_are_for_the_command_line() -> None:
    with pytest.raises(InputError, match="batch and prices are for the command line"):
        SubmissionPolicy().check(spec(), Budget(batch=True))


def test_ids_sort_by_time() -> None:
    ids = [new_id("job") for _ in range(3)]
    assert all(len(one) == len("job_") + 26 for one in ids)
    assert new_id("job")[:8] >= ids[0][:8]
