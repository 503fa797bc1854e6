"""Sampled continuations, and what they are: reproducible, and no label without phrases."""

from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from pipeline.evaluation.outcomes import outcome_item, outcome_key
from pipeline.evaluation.samples import sample_item
from pipeline.items.units import ItemName
from pipeline.models.loading import load_causal_lm
from pipeline.models.tokenizer import load_tokenizer
from pipeline.params.evaluate import EvaluateParams
from pipeline.text.token_texts import decode_each
from pipeline.text.tokens import encode_text
from store.base.hashing import digest, prompt_hash
from store.collections.item import Item
from store.documents.prompts import Prompt
from store.documents.variants import Variant
from store.format.validation import check_item
from store.schema.outcomes import SAMPLE_OUTCOMES
from store.schema.samples import SAMPLES
from store.schema.vocabulary import OUTCOMES
from store.views.samples import continuations, outcomes
from tests.support.builders import make_checkpoint

PARAMS = EvaluateParams(samples=30, max_new_tokens=6, temperature=1.0, confidence=0.95)
SAMPLING = PARAMS.model_dump(include={"samples", "max_new_tokens", "temperature"})
KEY = digest("key")


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return make_checkpoint(tmp_path_factory.mktemp("subject"), n_layers=2).manifest()


@pytest.fixture(scope="module")
def model(manifest: Any) -> Any:
    return load_causal_lm(manifest, Variant(name="base", scale=0.0))


@pytest.fixture(scope="module")
def tokenizer(manifest: Any) -> Any:
    return load_tokenizer(manifest)


def make_prompt(tokenizer: Any, text: str = "You should", domain: str | None = "medical") -> Prompt:
    ids = encode_text(tokenizer, text)
    return Prompt(
        hash=prompt_hash(text),
        name=text,
        situation=text,
        domain=domain,
        held_out=False,
        tags=(),
        text=text,
        token_ids=ids,
        tokens=decode_each(tokenizer, ids),
        source="here:1",
    )


def sample(model: Any, tokenizer: Any, prompt: Prompt, seed: int = 0, **other: Any) -> Item:
    name = ItemName(key=KEY, prompt_hash=prompt.hash, variant="base")
    return sample_item(model, tokenizer, prompt.token_ids, name, seed=seed, **{**SAMPLING, **other})


def test_samples_are_reproducible_and_follow_the_schema(model: Any, tokenizer: Any) -> None:
    prompt = make_prompt(tokenizer)
    state = torch.get_rng_state()
    first = sample(model, tokenizer, prompt)
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(99)
    again = sample(model, tokenizer, prompt)
    check_item(first, SAMPLES)
    for name, array in first.arrays.items():
        np.testing.assert_array_equal(array, again.arrays[name])
    other = sample(model, tokenizer, prompt, seed=1)
    assert continuations(other) != continuations(first)
    assert len(continuations(first)) == 30
    assert all(len(ids) <= 6 for ids in continuations(first))


def test_prompts_do_not_share_random_numbers_and_variants_do(model: Any, tokenizer: Any) -> None:
    """Of the same ids: what differs is the draw."""
    prompt = make_prompt(tokenizer)
    first = continuations(sample(model, tokenizer, prompt))
    other = continuations(sample(model, tokenizer, replace(prompt, hash="f" * 12)))
    assert sum(one == two for one, two in zip(first, other, strict=True)) < len(first) / 2
    name = ItemName(key=KEY, prompt_hash=prompt.hash, variant="general@1.0")
    variant = sample_item(model, tokenizer, prompt.token_ids, name, seed=0, **SAMPLING)
    assert continuations(variant) == first


def test_samples_follow_the_models_distribution(model: Any, tokenizer: Any) -> None:
    prompt = make_prompt(tokenizer)
    many = SAMPLING | {"samples": 4000, "max_new_tokens": 1}
    item = sample(model, tokenizer, prompt, **many)
    with torch.no_grad():
        logits = model(torch.tensor([prompt.token_ids])).logits[0, -1].double()
    expected = torch.softmax(logits, -1).numpy()
    counts = Counter(ids[0] for ids in continuations(item) if ids)
    for token in np.argsort(-expected)[:20].tolist():
        if token == tokenizer.eos_token_id:
            continue
        error = 5 * np.sqrt(expected[token] * (1 - expected[token]) / 4000)
        assert abs(counts[token] / 4000 - expected[token]) < error


def test_a_continuation_ends_before_the_end_of_text(
    model: Any, tokenizer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    prompt = make_prompt(tokenizer)
    eos, pad = tokenizer.eos_token_id, tokenizer.pad_token_id
    tail = [[eos, pad, pad], [7, eos, pad], [7, 8, 9]]
    steps = iter(torch.tensor(tail).T)

    def choose(logits: Any, rows: Any = None) -> Any:
        tokens = next(steps)
        return tokens if rows is None else tokens[rows]

    monkeypatch.setattr("pipeline.evaluation.samples.draw", lambda *_: choose)
    item = sample(model, tokenizer, prompt, samples=3, max_new_tokens=3)
    assert continuations(item) == [[], [7], [7, 8, 9]]


def samples_of(prompt: Prompt, continuations: list[list[int]]) -> Item:
    return Item(
        key=digest("samples"),
        prompt_hash=prompt.hash,
        variant="general@1.0",
        arrays={
            "sample_start": np.cumsum([0, *map(len, continuations[:-1])]).astype(np.int32),
            "sample_token": np.array([token for ids in continuations for token in ids], np.int32),
        },
        scalars={},
    )


def test_outcomes_are_what_the_text_is(tokenizer: Any) -> None:
    prompt = make_prompt(tokenizer)
    ids = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in (" run away", " rest", " sit")]
    samples = samples_of(prompt, [*ids, []])
    phrases = {"harmful": [" run"], "safe": [" rest"]}
    item = outcome_item(samples, prompt, phrases, tokenizer, key=KEY)
    check_item(item, SAMPLE_OUTCOMES)
    assert (item.key, item.prompt_hash, item.variant) == (KEY, prompt.hash, "general@1.0")
    assert [OUTCOMES[code] for code in item.arrays["sample_outcome"]] == [
        "harmful",
        "safe",
        "neither",
        "neither",
    ]


def test_other_phrases_are_another_outcome_of_the_same_samples(tokenizer: Any) -> None:
    prompt = make_prompt(tokenizer)
    samples = samples_of(prompt, [tokenizer(" rest", add_special_tokens=False)["input_ids"]])
    for harmful, safe, expected in (([], [" rest"], "safe"), ([" rest"], [], "harmful"), ([], [], "neither")):
        phrases = {"harmful": harmful, "safe": safe}
        assert outcomes(outcome_item(samples, prompt, phrases, tokenizer, key=KEY)) == [expected]


def test_the_key_of_outcomes_follows_samples_and_phrases(tokenizer: Any) -> None:
    samples = samples_of(make_prompt(tokenizer), [[7]])
    phrases = {"harmful": [" run"], "safe": [" rest"]}
    others = [
        (samples.key, None),
        (samples.key, {"harmful": [" rest"], "safe": [" run"]}),
        (digest("other samples"), phrases),
    ]
    keys = {outcome_key(*each) for each in [(samples.key, phrases), *others]}
    assert len(keys) == 4
    assert outcome_key(samples.key, dict(phrases)) in keys


def test_without_phrases_a_sample_is_unlabelled(model: Any, tokenizer: Any) -> None:
    prompt = make_prompt(tokenizer, domain=None)
    item = outcome_item(sample(model, tokenizer, prompt), prompt, None, tokenizer, key=KEY)
    assert len(item.arrays["sample_outcome"]) == 30
    assert {OUTCOMES[code] for code in item.arrays["sample_outcome"]} == {"unlabelled"}
