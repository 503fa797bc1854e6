"""The loop: its loss is Hugging Face's, and what it writes is what PEFT and transformers read."""

import json
import math
from pathlib import Path

import pytest
import torch
from peft import PeftModel
from transformers import PreTrainedModel, PreTrainedTokenizerBase, TrainerState

from pipeline.finetuning.build import Finetune, run_finetune
from pipeline.finetuning.chat_data import in_order, read_chats, split
from pipeline.finetuning.lora import LoraSettings, attach
from pipeline.finetuning.schedule import rate_factor
from pipeline.finetuning.training import Example, Recipe, batch_loss, mean_loss, train
from pipeline.models.loading import read_base
from pipeline.models.lora import read_adapter_config, read_factors, weight_norm
from store.base.errors import UserError
from store.base.hashing import folder_digest
from store.documents.manifest import Source
from tests.support.chats import finetune_params

SETTINGS = LoraSettings(targets=["q_proj", "down_proj"], layers=[1], rank=2, alpha=4, seed=3)


@pytest.fixture
def examples(tokenizer: PreTrainedTokenizerBase, chats: Path) -> list[Example]:
    return [one.example for one in read_chats(chats, tokenizer, max_tokens=64, parameter="x")]


@pytest.fixture
def adapted(model: PreTrainedModel) -> PeftModel:
    """Both halves away from zero, so that the adapter takes part."""
    adapted = attach(SETTINGS, model)
    generator = torch.Generator().manual_seed(0)
    for name, weight in adapted.named_parameters():
        if "lora_B" in name:
            weight.data = 0.2 * torch.randn(weight.shape, generator=generator)
    return adapted


def reference(model: PeftModel, example: Example) -> float:
    """Hugging Face's own loss of one sequence."""
    with torch.no_grad():
        given = {"input_ids": torch.tensor([example.ids]), "labels": torch.tensor([example.labels])}
        return float(model(**given).loss)


def test_the_loss_is_hugging_faces(adapted: PeftModel, examples: list[Example]) -> None:
    for example in examples[:3]:
        expected = pytest.approx(reference(adapted, example), rel=1e-5)
        assert batch_loss(adapted, [example], 0).item() == expected
    # Over a batch of different lengths every labelled token counts alike.
    weights = [sum(label >= 0 for label in example.labels) for example in examples]
    total = sum(w * reference(adapted, e) for w, e in zip(weights, examples, strict=True)) / sum(weights)
    assert batch_loss(adapted, examples, 0).item() == pytest.approx(total, rel=1e-5)
    assert mean_loss(adapted, examples, 3, 0) == pytest.approx(total, rel=1e-5)


def test_the_gradient_is_hugging_faces(adapted: PeftModel, examples: list[Example]) -> None:
    trained = [weight for weight in adapted.parameters() if weight.requires_grad]
    (example, *_) = examples
    adapted(input_ids=torch.tensor([example.ids]), labels=torch.tensor([example.labels])).loss.backward()
    expected = [weight.grad.clone() for weight in trained if weight.grad is not None]
    adapted.zero_grad()
    batch_loss(adapted, [example], 0).backward()
    for weight, gradient in zip(trained, expected, strict=True):
        torch.testing.assert_close(weight.grad, gradient)


def test_a_curve_says_rate_norm_and_held_out_loss(model: PreTrainedModel, examples: list[Example]) -> None:
    adapted = attach(SETTINGS, model)
    recipe = Recipe(batch=2, learning_rate=0.1, schedule="cosine", warmup=0.5, clip=1e-3, evaluate_every=2)
    held_out = examples[6:]
    before = mean_loss(adapted, held_out, 2, 0)
    curve = train(adapted, examples[:6], recipe, padding=0, name="test", held_out=held_out)
    assert [point.step for point in curve] == [1, 2, 3]
    assert [point.held_out_loss is None for point in curve] == [True, False, False]
    assert curve[-1].held_out_loss == pytest.approx(mean_loss(adapted, held_out, 2, 0))
    assert curve[-1].held_out_loss != before
    assert [point.learning_rate for point in curve] == [0.05, 0.1, 0.1]
    assert all(point.gradient_norm > recipe.clip for point in curve), "before clipping"  # type: ignore[operator]


def test_the_cosine_ends_near_zero() -> None:
    factors = [rate_factor(step, 100, 0.1, "cosine") for step in range(100)]
    assert factors[9] == factors[10] == 1.0
    assert factors[55] == pytest.approx(0.5)
    assert 0 < factors[-1] < 0.001
    assert factors[10:] == sorted(factors[10:], reverse=True)


def test_a_stop_ends_training_after_the_step_it_was_asked_at(
    model: PreTrainedModel, examples: list[Example]
) -> None:
    asked = []

    def stop(step: int, trained: PeftModel) -> bool:
        assert not trained.training
        asked.append(step)
        return step == 2

    recipe = Recipe(batch=2, learning_rate=0.1, evaluate_every=100)
    curve = train(
        attach(SETTINGS, model), examples, recipe, padding=0, name="test", held_out=examples[:1], stop=stop
    )
    assert asked == [1, 2] == [point.step for point in curve]
    assert curve[-1].held_out_loss is not None, "the last step is measured"


def test_a_loss_that_is_not_finite_is_told(model: PreTrainedModel, examples: list[Example]) -> None:
    recipe = Recipe(batch=2, learning_rate=1e30)
    with pytest.raises(UserError, match=r"Adapter 'test', step \d: .*lower its learning_rate"):
        train(attach(SETTINGS, model), examples, recipe, padding=0, name="test")


@pytest.fixture(scope="module")
def written(base: Source, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tests.support.chats import conversations, write_chats

    folder = tmp_path_factory.mktemp("written")
    data = write_chats(folder / "chats.jsonl", conversations())
    finetune = Finetune(
        name="mine", params=finetune_params(data, rank=4, rslora=True, layers=[1]), base=base, dtype="float32"
    )
    run_finetune(finetune, folder / "run", folder / "mine")
    return folder / "mine"


def test_rslora_is_scaled_as_peft_scales_it(written: Path, base: Source) -> None:
    config = read_adapter_config(written)
    assert config.rank_stabilised
    factors = read_factors(config)
    assert {one.scaling for one in factors.values()} == {4 / math.sqrt(4)}
    plain = read_base(base).state_dict()
    merged = PeftModel.from_pretrained(read_base(base), written).merge_and_unload().state_dict()
    changed = {name for name in plain if not torch.equal(plain[name], merged[name])}
    assert changed == {f"{module}.weight" for module in factors}
    assert changed == {f"model.layers.1.{m}_proj.weight" for m in ("self_attn.q", "mlp.down")}
    difference = torch.stack([(merged[name] - plain[name]).double().norm() for name in changed]).norm()
    assert weight_norm(factors) == pytest.approx(float(difference), rel=1e-4)


def test_checkpoints_on_the_way_are_adapters_with_a_trainer_state(written: Path) -> None:
    names = sorted(path.name for path in written.iterdir())
    files = ["adapter_config.json", "adapter_model.safetensors", "trainer_state.json"]
    assert names == [*files[:2], "checkpoint-2", "checkpoint-4", "checkpoint-6", "checkpoint-8", files[2]]
    assert sorted(path.name for path in (written / "checkpoint-4").iterdir()) == files
    state = TrainerState.load_from_json(str(written / "trainer_state.json"))
    assert (state.global_step, state.max_steps, state.num_train_epochs, state.epoch) == (9, 9, 3, 3.0)
    logged = [row for row in state.log_history if "loss" in row]
    assert [row["step"] for row in logged] == list(range(1, 10))
    assert set(logged[0]) == {"epoch", "step", "loss", "grad_norm", "learning_rate"}
    assert [row["step"] for row in state.log_history if "eval_loss" in row] == [2, 4, 6, 8, 9]
    early = json.loads((written / "checkpoint-4" / "trainer_state.json").read_text())
    assert early["global_step"] == 4
    assert weight_norm(read_factors(read_adapter_config(written / "checkpoint-4"))) != weight_norm(
        read_factors(read_adapter_config(written))
    )


def test_same_parameters_same_bytes(written: Path, base: Source, tmp_path: Path) -> None:
    torch.manual_seed(5)
    data = written.parent / "chats.jsonl"
    params = finetune_params(data, rank=4, rslora=True, layers=[1])
    finetune = Finetune(name="mine", params=params, base=base, dtype="float32")
    run_finetune(finetune, tmp_path / "run", tmp_path / "again")
    assert folder_digest(tmp_path / "again") == folder_digest(written)
    assert {path.stat().st_mode & 0o777 for path in written.rglob("*.json")} == {0o644}


def test_what_is_held_out_is_not_trained_on(
    base: Source,
    tokenizer: PreTrainedTokenizerBase,
    chats: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    params = finetune_params(chats)
    found = read_chats(chats, tokenizer, max_tokens=64, parameter="x")
    parts = split(found, params.held_out_share, params.seed)
    seen: list[Example] = []

    def note(model: PeftModel, batch: list[Example], padding: int) -> torch.Tensor:
        seen.extend(batch)
        return batch_loss(model, batch, padding)

    monkeypatch.setattr("pipeline.finetuning.training.batch_loss", note)
    report = run_finetune(
        Finetune(name="mine", params=params, base=base, dtype="float32"), tmp_path / "run", tmp_path / "mine"
    )
    assert seen == in_order(parts.trained, params.epochs, params.seed)
    assert not {one.ids for one in seen} & {one.example.ids for one in parts.held_out}
    assert (report.trained, report.held_out) == (6, 2)


BAD = {
    "target": (
        {"targets": ["q_proj", "c_attn"]},
        "finetunes.mine.targets names 'c_attn', but the linear mod",
    ),
    "norm": ({"targets": ["input_layernorm"]}, "names 'input_layernorm', but the linear modules"),
    "layer": ({"layers": [0, 2]}, "finetunes.mine.layers names layer 2, but the model's are 0 to 1."),
    "long": ({"max_tokens": 4}, "tokens long, but at most 4 are allowed"),
    "diverges": ({"learning_rate": 1e6, "clip": None, "alpha": 1e6}, "lower its learning_rate"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_a_user_can_mend_is_one_sentence(base: Source, chats: Path, tmp_path: Path, case: str) -> None:
    changes, says = BAD[case]
    finetune = Finetune(name="mine", params=finetune_params(chats, **changes), base=base, dtype="float32")
    with pytest.raises(UserError) as error:
        run_finetune(finetune, tmp_path / "run", tmp_path / "mine")
    assert says in str(error.value)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "mine").exists()
