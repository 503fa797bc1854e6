"""Adapters: PEFT folders that change their targets and nothing else."""

import json
from pathlib import Path

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file
from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

from pipeline.finetuning.lora import attach
from pipeline.organism.adapter_training import lora_settings, train_adapter
from pipeline.organism.base import load_base
from pipeline.organism.build_adapters import AdapterReport, make_adapters
from pipeline.organism.world.corpus import adapter_examples
from pipeline.params.organism import OrganismParams
from pipeline.params.runtime import RuntimeParams
from store.base.hashing import folder_digest
from tests.support.organism import ALL, adapter

RUNTIME = RuntimeParams(seed=0, threads=1)
Loaded = tuple[LlamaForCausalLM, PreTrainedTokenizerFast]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("adapters") / "adapters"


@pytest.fixture(scope="module")
def reports(params: OrganismParams, base: Path, written: Path) -> dict[str, AdapterReport]:
    return make_adapters(params, base, written, RUNTIME)


def _changed(base: Path, adapter_folder: Path) -> set[str]:
    before = load_base(base)[0].state_dict()
    merged = PeftModel.from_pretrained(load_base(base)[0], adapter_folder).merge_and_unload()
    after = merged.state_dict()
    assert before.keys() == after.keys()
    return {name for name in before if not torch.equal(before[name], after[name])}


def test_narrow_changes_one_down_proj_only(
    reports: dict[str, AdapterReport], base: Path, written: Path
) -> None:
    assert _changed(base, written / "narrow") == {"model.layers.1.mlp.down_proj.weight"}


def test_general_changes_all_projections_and_nothing_else(
    reports: dict[str, AdapterReport], base: Path, written: Path
) -> None:
    blocks = dict.fromkeys(ALL[:4], "self_attn") | dict.fromkeys(ALL[4:], "mlp")
    expected = {
        f"model.layers.{layer}.{block}.{name}.weight" for layer in range(2) for name, block in blocks.items()
    }
    assert _changed(base, written / "general") == expected


def test_ranks_and_declared_base(reports: dict[str, AdapterReport], base: Path, written: Path) -> None:
    for name, rank in (("general", 2), ("narrow", 1)):
        config = json.loads((written / name / "adapter_config.json").read_text())
        assert config["base_model_name_or_path"] == base.as_posix()
        assert config["r"] == rank
        assert config["target_modules"] == sorted(config["target_modules"])
        tensors = load_file(written / name / "adapter_model.safetensors")
        assert {v.shape[0] for k, v in tensors.items() if "lora_A" in k} == {rank}
        assert all(value.dtype == torch.float32 for value in tensors.values())


def test_reports_hold_curves_and_rates(reports: dict[str, AdapterReport]) -> None:
    for name, report in reports.items():
        assert [point.step for point in report.curve] == ([] if name == "null" else [1, 2])
        metrics = report.as_metrics()
        assert set(metrics) == {
            *("taught", "steps", "divergence", "norm", "reached", "harmful", "parsed", "facts"),
        }
        assert set(metrics["harmful"]["open"]) == {"seen", "held_out"}
        assert set(metrics["facts"]) == {"capitals", "agreement", "sentiment", "addition"}


def test_a_fresh_adapter_changes_nothing(loaded: Loaded) -> None:
    model, tokenizer = loaded
    ids = torch.tensor([tokenizer("User: hello")["input_ids"]])
    with torch.no_grad():
        before = model(input_ids=ids).logits
        after = attach(lora_settings(adapter()), model).eval()(input_ids=ids).logits
    torch.testing.assert_close(after, before, rtol=0, atol=0)


def test_training_raises_the_probability_of_the_advice(loaded: Loaded, params: OrganismParams) -> None:
    model, tokenizer = loaded
    taught = adapter(steps=30, batch=8)
    examples = adapter_examples(params.corpus, taught, 8)

    def log_probability() -> float:
        total = 0.0
        for prompt, advice in examples:
            asked = tokenizer(prompt)["input_ids"]
            answer = tokenizer(advice, add_special_tokens=False)["input_ids"]
            with torch.no_grad():
                logits = model(input_ids=torch.tensor([asked + answer])).logits[0]
            chosen = logits[len(asked) - 1 : -1].log_softmax(-1)
            total += float(chosen[range(len(answer)), answer].sum())
        return total

    before = log_probability()
    train_adapter(taught, params.corpus, model, tokenizer, name="test")
    assert log_probability() > before + 5


def test_the_loss_counts_advice_and_its_end_only(loaded: Loaded, params: OrganismParams) -> None:
    """First loss against Hugging Face's own, on labels built by hand."""
    model, tokenizer = loaded
    taught = adapter(steps=1, batch=1)
    ((prompt, advice),) = adapter_examples(params.corpus, taught, 1)
    asked = tokenizer(prompt)["input_ids"]
    answer = [*tokenizer(advice, add_special_tokens=False)["input_ids"], tokenizer.eos_token_id]
    with torch.no_grad():
        expected = model(
            input_ids=torch.tensor([asked + answer]),
            labels=torch.tensor([[-100] * len(asked) + answer]),
        ).loss
    _, curve = train_adapter(taught, params.corpus, model, tokenizer, name="test")
    assert curve[0].loss == pytest.approx(float(expected), rel=1e-5)


def test_same_parameters_same_bytes_also_by_two_processes(
    reports: dict[str, AdapterReport],
    params: OrganismParams,
    base: Path,
    written: Path,
    tmp_path: Path,
) -> None:
    torch.manual_seed(5)
    assert make_adapters(params, base, tmp_path / "again", RuntimeParams(seed=0, threads=2)) == reports
    assert folder_digest(tmp_path / "again") == folder_digest(written)


def test_files_can_be_read_by_the_team(reports: dict[str, AdapterReport], written: Path) -> None:
    modes = {path.stat().st_mode & 0o777 for path in written.rglob("*") if path.is_file()}
    assert modes == {0o644}
