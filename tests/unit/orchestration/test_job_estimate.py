"""What a job will need is told from shapes, and agrees with what code makes of them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tiny import tiny_gpt2, tiny_llama

from autointerp.core.config import CorpusConfig, JobSpec
from autointerp.core.errors import InputError
from autointerp.core.files import SMOLLM2_GGUF
from autointerp.core.model_shape import KNOWN_SHAPES, known_shape, shape_of_config
from autointerp.core.text import Split
from autointerp.corpora import load_corpus
from autointerp.orchestration.counted_units import counted_units
from autointerp.orchestration.job_estimate import CollectionSize, PlannedWork, estimate_work
from autointerp.orchestration.machine_costs import EPYC
from autointerp.orchestration.planned_text import PlannedText
from autointerp.orchestration.shards import shards_of
from autointerp.settings import Settings
from autointerp.subjects import gguf_tokenizer

SMOLLM2 = KNOWN_SHAPES["smollm2-135m"]
NOTHING = CollectionSize(state=0, tables=0, batch=0, file=0)


def work(units: str = "all", n_tokens: int = 32_768, **further: int) -> PlannedWork:
    spec = JobSpec(
        subject="smollm2-135m", units=units, llm="none", corpus=CorpusConfig(n_tokens=n_tokens)
    )
    return PlannedWork(spec, SMOLLM2, counted_units(units, SMOLLM2), NOTHING, **further)


@pytest.mark.parametrize(
    ("name", "n_neurons", "n_weights"),
    [
        ("smollm2-135m", 46_080, 134.5e6),
        ("openai-community/gpt2", 36_864, 124.4e6),
        ("gpt2-xl", 307_200, 1.558e9),
        ("meta-llama/Llama-3.1-8B", 458_752, 8.03e9),
        ("llama-3.1-70b", 2_293_760, 70.6e9),
    ],
)
def test_known_shapes_have_the_published_sizes(name: str, n_neurons: int, n_weights: float) -> None:
    shape = known_shape(name)
    assert shape is not None
    assert shape.n_neurons == n_neurons
    assert shape.n_weights == pytest.approx(n_weights, rel=0.01)


@pytest.mark.parametrize("model", [tiny_llama(), tiny_gpt2()], ids=["llama", "gpt2"])
def test_the_weights_of_a_shape_are_those_of_the_model(model) -> None:  # type: ignore[no-untyped-def]
    shape = shape_of_config("tiny", model.config.to_dict())
    matrices = [p for name, p in model.named_parameters() if p.ndim > 1 and "wpe" not in name]
    assert shape.n_weights == sum(p.numel() for p in matrices)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({}, "says nothing of it"),
        ({"hidden_size": "wide"}, "'wide'"),
        ({"hidden_size": 0}, "has 0"),
        ({"num_local_experts": 8}, "mixture of experts"),
    ],
)
def test_a_configuration_without_sizes_is_refused(config: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        shape_of_config("mine", config)


@pytest.mark.parametrize(
    ("units", "n"),
    [
        ("all", 46_080),
        ("layer:5", 1_536),
        ("5:0-19,5:10-29,7:3", 31),
        ("random:50", 50),
        ("random:5@0,29", 5),
        ("blocks.3.hook_resid_post:0-9", 10),
        ("blocks.3.attn.hook_z:0-575", 576),
    ],
)
def test_units_are_counted_by_the_shape(units: str, n: int) -> None:
    assert sum(counted_units(units, SMOLLM2).values()) == n


@pytest.mark.parametrize(
    ("units", "message"),
    [
        ("layer:30", "no layer 30"),
        ("5:1536", "the units 0 to 1535"),
        ("random:46081", "only 46080"),
        ("random:1@30", "no layer 30"),
        ("blocks.3.hook_resid_post:0-600", "the units 0 to 575"),
        ("blocks.3.nonsense:0-9", r"how wide blocks\.3\.nonsense is; a plan knows mlp"),
        ("sae:there:0-9", "name neurons"),
        ("nonsense", "is not of the form"),
    ],
)
def test_units_that_a_shape_does_not_have_are_refused(units: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        counted_units(units, SMOLLM2)


def test_both_sides_are_two_labels_where_there_is_a_gate() -> None:
    both = work()
    both = replace(both, spec=both.spec.model_copy(update={"sides": "both"}))
    assert both.n_labels == 2 * both.n_units
    assert replace(both, shape=KNOWN_SHAPES["gpt2"]).n_labels == both.n_units


def test_layers_behind_the_last_that_is_read_cost_nothing() -> None:
    stages = {s.name: s.cpu_s for s in estimate_work(work("layer:0")).stages}
    deeper = {s.name: s.cpu_s for s in estimate_work(work("layer:9")).stages}
    assert deeper["forward"] == pytest.approx(10 * stages["forward"])
    assert deeper["labels"] == stages["labels"]


def test_twice_the_workers_label_in_half_the_time_for_the_same_work() -> None:
    one, two = estimate_work(work()), estimate_work(work(n_workers=2))
    seconds = [{s.name: s.seconds for s in e.stages} for e in (one, two)]
    assert seconds[1]["labels"] == pytest.approx(seconds[0]["labels"] / 2)
    assert seconds[1]["forward"] == seconds[0]["forward"]
    assert one.cpu_s == two.cpu_s
    assert two.seconds < one.seconds


def test_readers_help_as_far_as_there_are_shards() -> None:
    one, many = (estimate_work(work("layer:0", 65_536, n_readers=n)) for n in (1, 9))
    n_shards = shards_of(n_tokens=65_536, n_units=1_536)
    forward = [next(s for s in e.stages if s.name == "forward").seconds for e in (one, many)]
    assert n_shards == 2
    assert forward[1] == pytest.approx(forward[0] / n_shards)


def test_distinct_tokens_grow_slower_than_the_text_and_end_at_the_vocabulary() -> None:
    known = [
        PlannedText.of(CorpusConfig(n_tokens=n), vocab=49_152).n_types
        for n in (1, 100, 10_000, 100_000, 10_000_000)
    ]
    assert known == sorted(known)
    assert known[0] == 1
    assert known[-1] == 49_152
    text = PlannedText.of(CorpusConfig(n_tokens=10**8), vocab=49_152)
    assert text.n_once < text.n_types / 10


def test_a_position_of_a_wider_layer_and_of_float32_takes_longer() -> None:
    small, large = SMOLLM2, KNOWN_SHAPES["llama-3.1-8b"]
    assert EPYC.layer_s(small, "float32") < EPYC.layer_s(large, "float32")
    assert EPYC.layer_s(large, "bfloat16") < EPYC.layer_s(large, "float32")


@pytest.mark.parametrize("n_tokens", [2_048, 8_192])
def test_the_splits_of_the_built_in_text_are_those_that_are_planned_with(n_tokens: int) -> None:
    tokenizer = gguf_tokenizer(SMOLLM2_GGUF.locate(), Settings().cache_dir)
    corpus = load_corpus("wiki", tokenizer, n_tokens=n_tokens)
    planned = PlannedText.of(CorpusConfig(n_tokens=n_tokens), vocab=49_152).n_windows
    read = {split: len(corpus.window_ids(split)) for split in Split}
    assert planned == pytest.approx(read, abs=2)


def test_windows_that_only_people_see_are_planned_but_not_twice() -> None:
    job = work()
    there = job.text.n_windows
    scored = min(80, there[Split.VALIDATION]) + min(80, there[Split.HELD_OUT])
    # 10 top and 10 of the bands are explained by; 10 more top ones, 4 and 4 are shown.
    assert 32 <= job.n_lines - scored <= 38
    few = replace(job, spec=job.spec.model_copy(update={"corpus": CorpusConfig(n_tokens=1_024)}))
    assert few.n_lines <= few.text.all_windows
