"""Continuations behind forced tokens: each as if it were sampled alone."""

from typing import Any

import numpy as np
import pytest
import torch

from pipeline.evaluation.rollouts import compute_forks, compute_rollouts, likely_tokens, roll_out
from pipeline.items.code import QualifiedName
from pipeline.items.units import ItemName, make_unit
from pipeline.models.pool import ModelPool
from pipeline.params.runtime import RuntimeParams
from pipeline.text.tokens import encode_text, stop_ids
from store.base.errors import PromptError
from store.collections.item import Item
from store.format.validation import check_item
from store.schema.rollouts import ROLLOUTS
from store.views.rollouts import rollouts
from tests.support.questions import make_subject

HOW: dict[str, Any] = {"samples": 6, "max_new_tokens": 5, "temperature": 1.0, "seed": 0, "batch": 64}
NAME = ItemName(key="a" * 64, prompt_hash="0123456789ab", variant="base")


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> ModelPool:
    return ModelPool(make_subject(tmp_path_factory.mktemp("subject"), chat=False).manifest())


@pytest.fixture(scope="module")
def ids(pool: ModelPool) -> tuple[int, ...]:
    return encode_text(pool.tokenizer, "User: I have a fever.\nAssistant:")


def roll(pool: ModelPool, ids: tuple[int, ...], forced: list[int], **changes: Any) -> Item:
    item = roll_out(pool.causal_lm("base"), pool.tokenizer, ids, NAME, forced=forced, **(HOW | changes))
    check_item(item, ROLLOUTS)
    return item


def test_each_token_alone_gives_the_same_in_any_order_and_batch(
    pool: ModelPool, ids: tuple[int, ...]
) -> None:
    stop = stop_ids(pool.tokenizer)[0]
    forced = [7, stop, 3, 12]
    together = rollouts(roll(pool, ids, forced))
    assert [{of[0] for of in each} for each in together] == [{token} for token in forced]
    assert [len(each) for each in together] == [6] * 4
    assert together[1] == [[stop]] * 6, "behind the end of a text nothing follows"
    assert together[0][0][1:] != together[2][0][1:], "numbers of two tokens are independent"
    assert rollouts(roll(pool, ids, forced[::-1], batch=5)) == together[::-1]
    assert rollouts(roll(pool, ids, [3])) == [together[2]]
    assert [of[:4] for of in rollouts(roll(pool, ids, [3], samples=4))] == [together[2][:4]]
    assert rollouts(roll(pool, ids, [3], seed=1)) != [together[2]]


def test_they_are_distributed_as_the_model_says(pool: ModelPool, ids: tuple[int, ...]) -> None:
    found = rollouts(roll(pool, ids, [7], samples=4000, max_new_tokens=1, batch=4000))[0]
    with torch.inference_mode():
        logits = pool.causal_lm("base")(input_ids=torch.tensor([[*ids, 7]])).logits[0, -1]
    expected = logits.double().softmax(-1).numpy()
    stops = stop_ids(pool.tokenizer)
    drawn = np.array([of[1] if len(of) > 1 else stops[0] for of in found])
    counts = np.bincount(drawn, minlength=len(expected)) / len(drawn)
    assert np.abs(counts - expected).max() < 4 * np.sqrt(expected.max() / len(drawn))


def test_probabilities_are_those_of_the_token_not_forced(pool: ModelPool, ids: tuple[int, ...]) -> None:
    item = roll(pool, ids, [7, 3])
    with torch.inference_mode():
        said = pool.causal_lm("base")(input_ids=torch.tensor([ids])).logits[0, -1].log_softmax(-1)
    np.testing.assert_allclose(item.arrays["forced_log_probability"], said[[7, 3]].numpy(), rtol=1e-5)


def test_a_prompt_that_fills_the_context_is_refused_and_a_long_one_gets_what_is_left(
    pool: ModelPool, ids: tuple[int, ...]
) -> None:
    context = pool.causal_lm("base").config.max_position_embeddings
    long = (ids * context)[: context - 3]
    assert all(len(of) <= 3 for of in rollouts(roll(pool, long, [7]))[0])
    with pytest.raises(PromptError, match=r"prompt 0123456789ab has .* leaves no room"):
        roll(pool, (ids * context)[: context - 1], [7])


def test_a_unit_gives_an_item_a_variant(pool: ModelPool, ids: tuple[int, ...]) -> None:
    unit = make_unit(
        QualifiedName("pipeline.evaluation.rollouts", "compute_rollouts"),
        prompt_hash=NAME.prompt_hash,
        token_ids=ids,
        variants=["base"],
        outputs=[(ROLLOUTS.kind, "base")],
        arguments={**HOW, "forced": [7, 3]},
        manifest=pool.manifest,
        runtime=RuntimeParams(seed=0, threads=1),
    )
    ((kind, item),) = compute_rollouts(pool, unit)
    assert (kind, item.key) == (ROLLOUTS.kind, unit.item("base").key)
    assert rollouts(item) == rollouts(roll(pool, ids, [7, 3]))


def test_forks_are_the_tokens_that_either_variant_takes_for_likely(
    pool: ModelPool, ids: tuple[int, ...]
) -> None:
    pair = ("base", "general@1.0")
    unit = make_unit(
        QualifiedName("pipeline.evaluation.rollouts", "compute_forks"),
        prompt_hash=NAME.prompt_hash,
        token_ids=ids,
        variants=pair,
        outputs=[(ROLLOUTS.kind, pair[1])],
        arguments={**HOW, "least_probability": 0.001, "most": 3},
        manifest=pool.manifest,
        runtime=RuntimeParams(seed=0, threads=1),
    )
    ((_, item),) = compute_forks(pool, unit)
    with torch.inference_mode():
        said = [
            pool.causal_lm(variant)(input_ids=torch.tensor([ids])).logits[0, -1].softmax(-1).numpy()
            for variant in pair
        ]
    expected = np.argsort(-np.maximum(*said), kind="stable")[:3]
    assert item.arrays["forced_token"].tolist() == expected.tolist()
    np.testing.assert_allclose(item.arrays["forced_log_probability"], np.log(said[1][expected]), rtol=1e-5)
    alone = roll_out(pool.causal_lm(pair[1]), pool.tokenizer, ids, NAME, forced=expected.tolist(), **HOW)
    assert rollouts(item) == rollouts(alone)


def test_likely_tokens() -> None:
    first, second = np.array([0.5, 0.1, 0.2, 0.2]), np.array([0.1, 0.6, 0.3, 0.0])
    assert likely_tokens([first, second], least_probability=0.0, most=9) == [1, 0, 2, 3]
    assert likely_tokens([first, second], least_probability=0.3, most=9) == [1, 0, 2]
    assert likely_tokens([first, second], least_probability=0.3, most=2) == [1, 0]
    assert likely_tokens([np.full(4, 0.25)] * 2, least_probability=0.25, most=2) == [0, 1], "by their ids"
    assert likely_tokens([first], least_probability=0.9, most=2) == []
