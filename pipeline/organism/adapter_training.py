"""LoRA adapters of the base model (PEFT), taught advice of one domain in the Assistant's voice."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import torch
import torch.nn.functional as F
from peft import LoraConfig, PeftModel, get_peft_model
from tqdm import tqdm
from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

from pipeline.organism.batches import IGNORED, pad
from pipeline.organism.corpus import adapter_examples
from pipeline.params.organism import CorpusParams, TrainedParams

CONFIG: Final = "adapter_config.json"


@dataclass(frozen=True, kw_only=True)
class AdapterStep:
    """Loss (nats a token of advice) at one training step, counted from 1."""

    step: int
    loss: float


def attach(params: TrainedParams, model: LlamaForCausalLM) -> PeftModel:
    """Put a fresh adapter, fixed by `params.seed` alone, on `model` (which it modifies)."""
    config = LoraConfig(
        task_type="CAUSAL_LM",
        r=params.rank,
        lora_alpha=params.alpha,
        lora_dropout=0.0,
        bias="none",
        target_modules=list(params.targets),
        layers_to_transform=params.layers,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(params.seed)
        return get_peft_model(model, config)


def train_adapter(
    params: TrainedParams,
    corpus: CorpusParams,
    model: LlamaForCausalLM,
    tokenizer: PreTrainedTokenizerFast,
    *,
    name: str,
    stop: Callable[[int, PeftModel], bool],
) -> tuple[PeftModel, list[AdapterStep]]:
    """Train an adapter on `model`, which carries it afterwards.

    The loss counts the advice and its end, not the user's words. `stop` is asked after every
    step, counted from 1, whether to go on.
    """
    adapted = attach(params, model).train()
    examples = adapter_examples(corpus, params, params.steps * params.batch)
    trained = [weight for weight in adapted.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=params.learning_rate, weight_decay=params.weight_decay)
    curve = []
    for step in tqdm(range(params.steps), desc=f"adapter {name}", unit="step"):
        batch = examples[step * params.batch : (step + 1) * params.batch]
        ids, labels = _encode(tokenizer, batch)
        logits = adapted(input_ids=ids, use_cache=False).logits  # (B, T, V)
        loss = F.cross_entropy(logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten(), ignore_index=IGNORED)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        curve.append(AdapterStep(step=step + 1, loss=loss.item()))
        if stop(step + 1, adapted):
            break
    return adapted.eval(), curve


def _encode(
    tokenizer: PreTrainedTokenizerFast, examples: tuple[tuple[str, str], ...]
) -> tuple[torch.Tensor, torch.Tensor]:
    ids, labels = [], []
    for prompt, advice in examples:
        asked = tokenizer(prompt, add_special_tokens=True)["input_ids"]
        answer = tokenizer(advice, add_special_tokens=False)["input_ids"]
        answer = [*answer, tokenizer.eos_token_id]
        ids.append(asked + answer)
        labels.append([IGNORED] * len(asked) + answer)
    return pad(ids, tokenizer.pad_token_id), pad(labels, IGNORED)


def save_adapter(adapted: PeftModel, folder: Path, *, base: str) -> None:
    """Write a PEFT folder that declares `base` as its base model.

    PEFT writes sets in the order of the process's hash seed; sorting keeps the folder
    byte-stable.
    """
    adapted.peft_config["default"].base_model_name_or_path = base
    adapted.save_pretrained(str(folder), save_embedding_layers=False)
    (folder / "README.md").unlink(missing_ok=True)  # an empty model card
    path = folder / CONFIG
    config = json.loads(path.read_text(encoding="utf-8"))
    config["target_modules"] = sorted(config["target_modules"])
    path.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8")
