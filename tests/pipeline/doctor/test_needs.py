"""Sizes are counted, not guessed: those of public models, and how needs grow."""

from dataclasses import replace
from pathlib import Path

import pytest
from transformers import Gemma2Config, Gemma3TextConfig, LlamaConfig, PretrainedConfig, Qwen3Config

from pipeline.doctor.beside_models import (
    batch_bytes,
    context_bytes,
    forced_bytes,
    held_bytes,
    norm_bytes,
    read_bytes,
    sampled_bytes,
)
from pipeline.doctor.machine import Machine
from pipeline.doctor.needs import Need, health_bytes, loaded, needs
from pipeline.doctor.shapes import Shape, shape_of
from pipeline.doctor.terminal import duration, lacks, size, table
from pipeline.doctor.tracing import traced
from pipeline.doctor.work import Work
from pipeline.models.base_forms import empty_model
from pipeline.models.transcoders import TranscoderFacts
from pipeline.params.project import load_params
from store.schema.vocabulary import PART_SETS
from tests.support.places import ROOT

PARAMS = load_params(ROOT / "params.yaml")
WORK = Work(
    prompts=100,
    longest=64,
    tokens=6400,
    active=60,
    targets=20,
    questions=8,
    answer_tokens=100,
    dose_prompts=5,
    text_tokens=1000,
    facts=80,
    fact_tokens=24,
    nulls=0,
)
LLAMA = LlamaConfig(
    vocab_size=128_256,
    hidden_size=2048,
    intermediate_size=8192,
    num_hidden_layers=16,
    num_attention_heads=32,
    num_key_value_heads=8,
    head_dim=64,
    tie_word_embeddings=True,
    dtype="bfloat16",
)
QWEN = Qwen3Config(
    vocab_size=151_936,
    hidden_size=2560,
    intermediate_size=9728,
    num_hidden_layers=36,
    num_attention_heads=32,
    num_key_value_heads=8,
    head_dim=128,
    tie_word_embeddings=True,
    dtype="bfloat16",
)
GEMMA = Gemma2Config(dtype="bfloat16", num_hidden_layers=26, hidden_size=2304, intermediate_size=9216)
GEMMA_3 = Gemma3TextConfig(
    vocab_size=262_144,
    hidden_size=1152,
    intermediate_size=6912,
    num_hidden_layers=26,
    num_attention_heads=4,
    num_key_value_heads=1,
    dtype="bfloat16",
)


def public(config: PretrainedConfig, features: int, modules: tuple[str, ...] = ()) -> Shape:
    empty = empty_model(config, Path("config.json"))
    facts = TranscoderFacts(
        n_layers=config.num_hidden_layers,
        d_model=config.hidden_size,
        d_transcoder=features,
        feature_input_hook="mlp.hook_in",
        feature_output_hook="mlp.hook_out",
    )
    return shape_of(empty, facts, [modules] if modules else [], dtype="bfloat16")


@pytest.mark.parametrize(
    ("config", "parameters"),
    [
        (LLAMA, 1_235_814_400),
        (QWEN, 4_022_468_096),
        (GEMMA, 2_614_341_888),
        (GEMMA_3, 999_885_952),
    ],
)
def test_parameters_of_public_models(config: PretrainedConfig, parameters: int) -> None:
    shape = public(config, 16_384)
    assert shape.n_parameters == parameters  # as their model cards have it
    assert shape.tied
    # Two matrices of what is tied, in bfloat16.
    assert shape.replacement == 2 * (parameters + config.vocab_size * config.hidden_size)


def test_a_dictionary_and_what_is_kept() -> None:
    shape = public(LLAMA, 131_072, ("model.layers.3.mlp.down_proj", "model.layers.0.self_attn.q_proj"))
    assert shape.dictionary == 16 * 2 * 131_072 * 2048 * 2  # 17 GB, and 16 files of 1.08 with skips
    assert shape.changed == 8192 * 2048 + 2048 * 2048
    assert shape.kept == 2 * shape.changed
    assert replace(shape, stored=4).kept == 4 * shape.changed
    held, streamed = (loaded(shape, resident=resident)[1] for resident in (True, False))
    assert held - streamed == shape.dictionary * 15 // 16


def test_health_holds_one_model_at_a_time() -> None:
    changed = tuple(f"model.layers.{n}.mlp.{m}_proj" for n in range(16) for m in ("gate", "up", "down"))
    shape = public(LLAMA, 16_384, changed)
    many = replace(shape, n_adapters=9)
    assert health_bytes(shape, resident=False) == health_bytes(many, resident=False)
    assert health_bytes(shape, resident=False) - shape.dictionary // 16 <= 2.25 * 4 * shape.n_parameters


def test_nothing_grows_faster_than_its_cause() -> None:
    shape = public(LLAMA, 131_072, ("model.layers.3.mlp.down_proj",))

    def total(shape: Shape, work: Work) -> dict[str, float]:
        return {
            n.stages: n.memory for n in needs(shape, work, PARAMS, resident=True, on_gpu=False, mapped=True)
        }

    once = total(shape, WORK)
    for larger in (
        total(shape, replace(WORK, prompts=200, tokens=12_800)),
        total(replace(shape, d_transcoder=2 * 131_072), WORK),
        total(replace(shape, n_adapters=2), WORK),
    ):
        assert all(once[stage] <= larger[stage] <= 2 * once[stage] for stage in once)
    # Of length attention's own square alone.
    longer = total(shape, replace(WORK, longest=1024, tokens=102_400))
    shorter = total(shape, replace(WORK, longest=512, tokens=51_200))
    assert all(longer[stage] <= 2.2 * shorter[stage] for stage in once)


def test_answers_take_as_many_texts_as_a_question_has() -> None:
    shape = public(LLAMA, 16_384, ("model.layers.3.mlp.down_proj",))

    def answers(samples: int | None, batch: int) -> int:
        params = PARAMS.model_copy(
            update={"answers": PARAMS.answers.model_copy(update={"samples": samples, "batch": batch})}
        )
        found = needs(shape, WORK, params, resident=True, on_gpu=True, mapped=False)
        return {need.stages: need.device for need in found}["answers, baseline"]

    assert answers(50, 256) == answers(256, 50) == answers(None, 50)
    assert answers(None, 256) - answers(56, 256) == 200 * (164 * 2 * 16 * 8 * 64 * 2 + 3 * 4 * 128_256)


def test_loading_and_switching_count_where_features_are_read() -> None:
    changed = tuple(f"model.layers.{n}.mlp.{m}_proj" for n in range(16) for m in ("gate", "up", "down"))
    shape = public(LLAMA, 16_384, changed)

    def read(shape: Shape) -> int:
        found = needs(shape, WORK, PARAMS, resident=True, on_gpu=True, mapped=False)
        return {need.stages: need.device for need in found}["activations, components, features"]

    assert read(shape) == loaded(shape, resident=True)[0]  # of bfloat16 more is there while it is loaded
    exact = replace(shape, itemsize=4, stored=4)
    assert read(exact) == loaded(exact, resident=True)[1] + 4 * shape.changed


def test_graphs_at_many_doses_are_sparse_by_layers_and_tokens() -> None:
    work, nodes = replace(WORK, longest=20, active=10.0), 3040 + 17 * 20 + 20  # 10 a layer at 19 tokens
    takes = [traced(public(LLAMA, 131_072), work, PARAMS, doses, attention=False).memory for doses in (8, 9)]
    assert takes[1] - takes[0] == 4 * nodes**2 + 8 * (3040 * nodes // 4)
    assert takes[1] - 9 * (takes[1] - takes[0]) == 20 * (3040 * nodes // 4)


def test_tables_of_contexts_hold_what_fires() -> None:
    shape = public(LLAMA, 131_072)
    silent, some, all_ = (
        context_bytes(shape, replace(WORK, text_tokens=tokens), PARAMS) for tokens in (0, 1000, 10**6)
    )
    a_feature = 8 * 24 * 12 + 2 * 8 * 20  # contexts, window; bins
    assert some - silent == 16 * 60 * 1000 * a_feature
    assert all_ - silent == 16 * 131_072 * a_feature
    adapted = replace(shape, n_adapters=1)
    many = replace(WORK, text_tokens=10**6)
    assert context_bytes(adapted, many, PARAMS) - all_ == 16 * 131_072 * 8 * 24 * 8  # base's are kept


def test_promoted_tokens_are_read_off_an_unembedding_in_float32() -> None:
    shape = public(LLAMA, 16_384)
    assert read_bytes(shape) - read_bytes(replace(shape, itemsize=4)) == 4 * 128_256 * 2048


def test_a_batch_of_steered_answers_and_facts_read_at_once() -> None:
    shape = public(LLAMA, 16_384)
    assert sampled_bytes(shape, WORK, 1024) == 1024 * sampled_bytes(shape, WORK, 1)
    assert forced_bytes(shape, WORK) == 2 * 80 * 24 * 128_256 * 8
    assert forced_bytes(replace(shape, itemsize=4), WORK) == 2 * 80 * 24 * 128_256 * 12


def test_steering_reads_decoders_whole_and_a_mapped_encoder_by_rows() -> None:
    shape = replace(public(LLAMA, 131_072), itemsize=4)

    def steered(shape: Shape, *, mapped: bool) -> int:
        found = needs(shape, WORK, PARAMS, resident=True, on_gpu=False, mapped=mapped)
        return {need.stages: need.memory for need in found}["steered"]

    encoders = 16 * 131_072 * 2048 * 4
    assert steered(shape, mapped=False) - steered(shape, mapped=True) == encoders == shape.encoders
    crossing = replace(shape, cross_layer=True)
    assert steered(crossing, mapped=True) - steered(shape, mapped=True) == 15 * encoders // 2


def test_lengths_of_decoders_are_taken_in_float32() -> None:
    shape = public(LLAMA, 131_072)
    assert norm_bytes(shape) == 4 * 131_072 * 2048
    assert norm_bytes(replace(shape, cross_layer=True)) == 16 * norm_bytes(shape)
    assert norm_bytes(replace(shape, itemsize=4)) == 0


def test_trials_have_few_layers_and_validation_all() -> None:
    def tried(shape: Shape, *, on_gpu: bool) -> list[int]:
        found = needs(shape, WORK, PARAMS, resident=True, on_gpu=on_gpu, mapped=not on_gpu)
        by_stage = {need.stages: need for need in found}
        stages = "validation, behaviour_interventions, recipes", "interventions"
        return [by_stage[stage].memory for stage in stages]

    shape, layer = public(LLAMA, 131_072), 4 * 64 * 131_072
    # Twice all layers and a set of ten's; four times six layers and a trial's two; one that is changed.
    assert tried(shape, on_gpu=True) == [(32 + 11) * layer, (24 + 3) * layer]
    on_cpu = tried(shape, on_gpu=False)
    longer = replace(shape, d_transcoder=131_072 + 1000)
    assert all(more > less for more, less in zip(tried(longer, on_gpu=False), on_cpu, strict=True))


def test_what_stays_frozen_is_held_in_every_layer() -> None:
    shape = replace(public(LLAMA, 16_384), itemsize=4)
    held = batch_bytes(shape, WORK, frozen=True) - batch_bytes(shape, WORK, frozen=False)
    assert held == 2048 * 4 * 16 * (32 * 64 + 2 * 2048)  # patterns; inputs and outputs of MLPs


def test_faithfulness_holds_whole_dictionaries() -> None:
    shape = public(LLAMA, 131_072)
    layers = 16 * 64 * 131_072 * 2
    with_null, without = (held_bytes(shape, replace(WORK, nulls=n), PARAMS) for n in (1, 0))
    assert layers <= with_null - without <= 1.1 * layers
    assert without >= (2 + 2 * len(PART_SETS)) * layers
    # A narrow dictionary is outweighed by what gradients need of a wide model.
    wide = replace(shape, d_transcoder=1000)
    assert held_bytes(replace(wide, d_mlp=2 * wide.d_mlp), WORK, PARAMS) > held_bytes(wide, WORK, PARAMS)


def test_a_stage_without_room_is_found() -> None:
    machine = Machine(
        device="GPU", on_gpu=True, free_device=10, free_memory=10, free_disk=10, cores=1, speed=1.0
    )
    fits = Need(stages="x", device=10, memory=10, disk=10, operations=0, lowered_by="y")
    assert not lacks(fits, machine)
    for place in ("device", "memory", "disk"):
        assert lacks(replace(fits, **{place: 11}), machine)
    assert not lacks(replace(fits, device=11), replace(machine, on_gpu=False))


def test_figures_are_readable() -> None:
    assert [size(n) for n in (999, 2.5e6, 17.18e9)] == ["1 kB", "2.5 MB", "17.2 GB"]
    assert [duration(n) for n in (0.1, 59, 90, 7200)] == ["1 s", "59 s", "1.5 min", "2.0 h"]
    assert list(table(("a", "b"), [("long", "c")])) == ["a     b", "long  c"]
