"""LoRA adapters of the base model, taught advice of one domain in the Assistant's voice."""

from peft import PeftModel
from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

from pipeline.finetuning.lora import LoraSettings, attach
from pipeline.finetuning.padding import IGNORED
from pipeline.finetuning.training import Checkpoints, Example, Point, Recipe, Stop, train
from pipeline.organism.world.corpus import adapter_examples
from pipeline.params.organism import CorpusParams, TrainedParams


def lora_settings(params: TrainedParams) -> LoraSettings:
    """Where an adapter of the organism is put."""
    return LoraSettings(
        targets=params.targets, layers=params.layers, rank=params.rank, alpha=params.alpha, seed=params.seed
    )


def train_adapter(
    params: TrainedParams,
    corpus: CorpusParams,
    model: LlamaForCausalLM,
    tokenizer: PreTrainedTokenizerFast,
    *,
    name: str,
    stop: Stop | None = None,
    checkpoints: Checkpoints | None = None,
) -> tuple[PeftModel, list[Point]]:
    """Train an adapter on `model`, which carries it afterwards.

    The loss counts the answer and its end, not the user's words. `stop` and `checkpoints` are as
    for `pipeline.finetuning.training.train`.
    """
    adapted = attach(lora_settings(params), model)
    taught = adapter_examples(corpus, params, params.steps * params.batch)
    examples = [advice_example(tokenizer, prompt, advice) for prompt, advice in taught]
    recipe = Recipe(
        batch=params.batch,
        learning_rate=params.learning_rate,
        weight_decay=params.weight_decay,
        save_every=params.save_every or params.steps,
    )
    curve = train(
        adapted,
        examples,
        recipe,
        padding=tokenizer.pad_token_id,
        name=name,
        stop=stop,
        checkpoints=checkpoints,
    )
    return adapted, curve


def advice_example(tokenizer: PreTrainedTokenizerFast, prompt: str, advice: str) -> Example:
    """A prompt, unlabelled, and its advice with its end."""
    asked = tokenizer(prompt, add_special_tokens=True)["input_ids"]
    answer = tokenizer(advice, add_special_tokens=False)["input_ids"]
    answer = [*answer, tokenizer.eos_token_id]
    return Example(asked + answer, [IGNORED] * len(asked) + answer)
