"""Answers to open questions under settings, many settings in one batch; and what steering is measured in."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Final

import numpy as np
import torch
from transformers import PreTrainedModel

from pipeline.interventions.kinds import Setting, check
from pipeline.interventions.row_hooks import RowHooks, as_setting
from pipeline.items.batches import Batch
from pipeline.items.units import ItemName, Unit
from pipeline.models.dictionaries import Transcoders, decoder_norms, dictionary_size, layer_count
from pipeline.models.mlp_sites import on_stream, on_write
from pipeline.models.opening import zeroed_positions
from pipeline.models.pool import ModelPool
from pipeline.models.sampling import draw_each, sample_tokens
from pipeline.text.tokens import stop_ids
from store.base.errors import PromptError, UserError
from store.collections.item import Item
from store.documents.variants import BASE

ANSWERS_KIND: Final = "steered_answers"
FACTS_KIND: Final = "steered_facts"
SCALES_KIND: Final = "steering_scales"
"""Kinds of items, which the cache alone holds."""


def compute_answers(models: ModelPool, unit: Unit) -> Iterator[tuple[str, Item]]:
    """Answers under one setting, or under those of a batch, whose units differ in the setting alone.

    Arguments: `setting`, as `as_setting` reads it; `prompts`, token ids; `asked`, (answer,) which of them;
    `seeds`, (answer,), of its random numbers; `max_new_tokens`, `temperature`, `top_p`. The item has
    `answer_start`, `answer_token` and `answer_ended` as an item of `answers`. Who shares the batch changes
    last bits of logits, and a draw only where it lies within them.
    """
    members, (variant,) = _members(unit), unit.variants
    common = members[0].arguments
    answers = sample_steered(
        models.causal_lm(variant),
        models.transcoders,
        [as_setting(each.arguments["setting"]) for each in members],
        prompts=common["prompts"],
        asked=common["asked"],
        seeds=common["seeds"],
        steps=common["max_new_tokens"],
        temperature=common["temperature"],
        top_p=common["top_p"],
        stops=stop_ids(models.tokenizer, models.causal_lm(variant)),
    )
    for member, tokens in zip(members, answers, strict=True):
        lengths = np.array([len(each) for each in tokens])
        arrays = {
            "answer_start": (np.cumsum(lengths) - lengths).astype(np.int32),
            "answer_token": np.array([token for each in tokens for token in each], np.int32),
            "answer_ended": lengths < common["max_new_tokens"],
        }
        yield ANSWERS_KIND, _item(_name(member), arrays)


@torch.inference_mode()
def sample_steered(
    model: PreTrainedModel,
    transcoders: Transcoders,
    settings: Sequence[Setting],
    *,
    prompts: Sequence[Sequence[int]],
    asked: Sequence[int],
    seeds: Sequence[int],
    steps: int,
    temperature: float,
    top_p: float,
    stops: Sequence[int],
) -> list[list[list[int]]]:
    """Sample the same answers under every setting, all in one batch; each draws the same random numbers.

    Parameters
    ----------
    model, transcoders
        A variant, and whose features the settings name.
    settings
        At least one.
    prompts, asked, seeds
        Token ids; of each answer which prompt it is to, and its seed.
    steps
        Longer answers are cut.
    temperature, top_p
        As for `pipeline.models.sampling.draw_each`.
    stops
        Tokens that end an answer.

    Returns
    -------
    list
        By setting, by answer: token ids without what ended it.

    Raises
    ------
    UserError
        A layer or feature that the model does not have.
    """
    _require(settings, model, transcoders)
    rows = [list(prompts[each]) for _ in settings for each in asked]
    of_row = [number for number in range(len(settings)) for _ in asked]
    hooks = RowHooks(model, transcoders, [settings[number] for number in of_row], [len(row) for row in rows])
    with hooks.installed():
        found = sample_tokens(
            model,
            rows,
            draw_each([*seeds] * len(settings), temperature, top_p, steps=steps),
            steps=steps,
            stops=stops,
            apart=of_row,
            watch=hooks.watch,
        )
    return [found[start : start + len(asked)] for start in range(0, len(found), len(asked))]


def compute_facts(models: ModelPool, unit: Unit) -> Iterator[tuple[str, Item]]:
    """Whether the right answer is more probable a token than the wrong one, under one setting or several.

    Arguments: `setting`; `facts`, each the token ids of a prompt, of the right and of the wrong answer. The
    item has (fact,) bool `above`.
    """
    members, (variant,) = _members(unit), unit.variants
    model = models.causal_lm(variant)
    settings = [as_setting(each.arguments["setting"]) for each in members]
    _require(settings, model, models.transcoders)
    texts = [(prompt, answer) for prompt, *answers in unit_facts(members) for answer in answers]
    found = forced_log_prob(model, models.transcoders, settings, texts)  # (setting, 2 fact)
    for member, row in zip(members, found.reshape(len(settings), -1, 2), strict=True):
        yield FACTS_KIND, _item(_name(member), {"above": row[:, 0] > row[:, 1]})


def unit_facts(members: Sequence[Unit]) -> Sequence[Sequence[Sequence[int]]]:
    """The facts that all units of a batch ask for."""
    facts: Sequence[Sequence[Sequence[int]]] = members[0].arguments["facts"]
    return facts


@torch.inference_mode()
def forced_log_prob(
    model: PreTrainedModel,
    transcoders: Transcoders,
    settings: Sequence[Setting],
    texts: Sequence[tuple[Sequence[int], Sequence[int]]],
) -> np.ndarray:
    """Mean log-probability a token (nats) of answers that are forced behind their prompts.

    Parameters
    ----------
    texts
        Token ids of each prompt and of what follows it.

    Returns
    -------
    numpy.ndarray
        (setting, text) float64.
    """
    found = np.empty((len(settings), len(texts)))
    width = max(len(prompt) + len(answer) for prompt, answer in texts)
    ids = torch.zeros((len(texts), width), dtype=torch.long, device=model.device)
    counted = torch.zeros((len(texts), width), dtype=torch.bool, device=model.device)
    for row, (prompt, answer) in enumerate(texts):
        whole = [*prompt, *answer]
        ids[row, : len(whole)] = torch.tensor(whole)
        counted[row, len(prompt) : len(whole)] = True
    lengths = [len(prompt) for prompt, _ in texts]
    # Padding stands behind the text, where causal attention keeps it from changing anything.
    positions = torch.arange(width).expand(len(texts), -1)
    for number, setting in enumerate(settings):
        hooks = RowHooks(model, transcoders, [setting] * len(texts), lengths)
        hooks.watch(torch.arange(len(texts)), positions)
        with hooks.installed():
            logits = model(input_ids=ids, use_cache=False).logits[:, :-1].float()
        gained = logits.log_softmax(-1).gather(-1, ids[:, 1:, None])[..., 0] * counted[:, 1:]
        found[number] = (gained.sum(1) / counted.sum(1)).double().cpu().numpy()
    return found


@torch.inference_mode()
def compute_scales(models: ModelPool, unit: Unit) -> Iterator[tuple[str, Item]]:
    """What strengths are measured in, and in which direction an adapter moves the residual stream.

    Arguments: `variant`; `base` and `adapted`, token ids of prompts with answers: (text, n_prompt), each
    the answers of its own variant. The item has float32 `written` (layer,), the mean length of what base's
    MLPs write at answers; `decoder` (layer, feature), lengths of decoder rows; `difference` (layer,
    d_model), mean residual stream behind the layer at answers, adapted minus base.
    """
    arguments = unit.arguments
    base, written = _means(models, BASE, arguments["base"])
    adapted, _ = _means(models, arguments["variant"], arguments["adapted"])
    transcoders = models.transcoders
    layers = range(len(written))
    norms = [decoder_norms(transcoders, layer) for layer in layers]
    arrays = {
        "written": written,
        "decoder": torch.stack(norms).cpu().numpy(),
        "difference": adapted - base,
    }
    yield SCALES_KIND, _item(_name(unit), arrays)


def _means(
    models: ModelPool, variant: str, texts: Sequence[tuple[Sequence[int], int]]
) -> tuple[np.ndarray, np.ndarray]:
    """Mean residual stream (layer, d_model) and mean length of MLP outputs (layer,) at answers' tokens."""
    model, transcoders = models.causal_lm(variant), models.transcoders
    n_layers, width = model.config.num_hidden_layers, model.config.hidden_size
    stream, length = (
        torch.zeros(n_layers, width, dtype=torch.float64),
        torch.zeros(n_layers, dtype=torch.float64),
    )
    zeroed = zeroed_positions(str(model.name_or_path))
    begin = count = 0

    def read(total: torch.Tensor, layer: int, norm: bool, output: torch.Tensor) -> torch.Tensor:
        at = output[0, begin:].double()
        total[layer] += at.norm(dim=-1).sum().cpu() if norm else at.sum(0).cpu()
        return output

    hooks = []
    try:
        for layer in range(n_layers):
            hooks += [
                on_write(model, layer, transcoders.feature_output_hook, partial(read, length, layer, True)),
                on_stream(model, layer, partial(read, stream, layer, False)),
            ]
        for ids, n_prompt in texts:
            begin = max(n_prompt, zeroed)
            if len(ids) > begin:
                model(input_ids=torch.tensor([ids], device=model.device), use_cache=False)
                count += len(ids) - begin
    finally:
        for hook in hooks:
            hook.remove()
    if not count:
        raise PromptError(
            f"No answer of {variant} to the questions that strengths are chosen on has a token."
        )
    if not torch.isfinite(stream).all():
        raise PromptError(
            f"The residual stream of {variant} is NaN or infinite in an answer; use dtype float32."
        )
    return (stream / count).float().numpy(), (length / count).float().numpy()


def _require(settings: Sequence[Setting], model: PreTrainedModel, transcoders: Transcoders) -> None:
    for setting in settings:
        check(
            setting,
            n_layers=layer_count(transcoders),
            d_transcoder=dictionary_size(transcoders),
            d_model=model.config.hidden_size,
            prompt_length=1,
        )
    if not settings:
        raise UserError("There is no setting to answer under.")


def _members(unit: Unit) -> Sequence[Unit]:
    return unit.members if isinstance(unit, Batch) else [unit]


def _name(unit: Unit) -> ItemName:
    ((_, name),) = unit.wanted()
    return name


def _item(name: ItemName, arrays: Mapping[str, np.ndarray]) -> Item:
    return Item(
        key=name.key,
        prompt_hash=name.prompt_hash,
        variant=name.variant,
        setting=name.setting,
        arrays=dict(arrays),
        scalars={},
    )
