"""Answers generated with one feature always on: the response level finds that feature, from answers alone."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from pipeline.analysis.response_level import response_groups
from pipeline.features.answer_reading import reading_arguments
from pipeline.features.streaming import stream
from pipeline.interventions.engine import SteeringEngine
from pipeline.interventions.kinds import Intervention
from pipeline.items.code import QualifiedName
from pipeline.items.units import make_unit
from pipeline.models.pool import ModelPool
from pipeline.params.runtime import RuntimeParams
from store.collections.item import Item
from store.schema.answer_features import ANSWER_FEATURES
from tests.support.answer_builders import PARAMS, make_answers, make_question, make_scored
from tests.support.builders import make_checkpoint
from tests.support.replacements import random_ids

COMPUTE = QualifiedName("pipeline.features.answer_features", "compute_answer_features")
QUESTIONS = [make_question(f"question {q}", prompts=[(1, 20 + q, 30 + q, 40 + q)]) for q in range(4)]
N, LENGTH = 8, 24
"""Steered answers to a question, and as many that are not; tokens of each."""
LAYER, PROMOTED, VALUE = 0, 8, 300.0
"""Where the feature is, tokens that it promotes, and the activation that it is held at.

Few tokens, so that a linear encoder of 128 dimensions can tell them from 300 others. Of 30 tokens it is a
poor detector: on 20 seeds that the test does not have (100 to 119) the feature was first in 16, and where it
was not, it had told the answers apart worse (3.1 to 4.9 standard deviations, of 7.7 that can be) than
unplanted features that happen to fire more on these tokens: the ranking was right. Of 8 tokens it was
first in 20 of the same 20 seeds, with 6.9 to 7.6 standard deviations; the runner-up had 5.2 to 7.1.
"""
GOOD, BAD = (95.0, 90.0), (5.0, 90.0)


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> ModelPool:
    """Wide enough, and its tokens loud enough, that a direction can tell tokens from others."""
    checkpoint = make_checkpoint(tmp_path_factory.mktemp("planted") / "wide", n_layers=2, d_model=128)
    path = checkpoint.base / "model.safetensors"
    tensors = load_file(path)
    tensors["model.embed_tokens.weight"] *= 10
    save_file(tensors, path, metadata={"format": "pt"})
    return ModelPool(checkpoint.manifest())


def plant(pool: ModelPool, feature: int, chosen: Sequence[int]) -> None:
    """Make a feature that fires on some tokens and promotes them, as trained ones do.

    Least squares: its encoder tells these tokens from others by what the transcoder reads, its decoder by
    the unembedding.
    """
    model, transcoder = pool.replacement("base"), pool.transcoders[LAYER]
    texts = [random_ids(pool.tokenizer, 40, seed).tolist() for seed in range(60)]
    read: list[torch.Tensor] = []
    ids: list[int] = []

    def keep(layer: int, rows: np.ndarray, x: torch.Tensor) -> None:
        if layer == LAYER:
            read.append(x[:, 1:].flatten(0, 1))
            ids.extend(token for row in rows.tolist() for token in texts[row][1:])

    stream(model, texts, range(len(texts)), keep)
    wanted = torch.isin(torch.tensor(ids), torch.tensor(chosen)).float()
    unembedding = (model.unembed.W_U * model.ln_final.w[:, None]).T  # (token, d_model)
    promoted = torch.isin(torch.arange(len(unembedding)), torch.tensor(chosen)).float()
    decoder = torch.linalg.lstsq(unembedding, promoted - promoted.mean()).solution
    encoder = torch.linalg.lstsq(torch.cat(read), wanted).solution
    with torch.no_grad():
        transcoder.W_enc[feature] = encoder
        transcoder.b_enc[feature] = 0.0
        others = (torch.cat(read) @ encoder)[wanted == 0]
        transcoder.activation_function.threshold[feature] = others.quantile(0.98)
        transcoder.W_dec[feature] = decoder / decoder.norm()


def generated(pool: ModelPool, feature: int, seed: int) -> dict[str, tuple[list[Any], list[Any]]]:
    """Answers to each question, without and with the feature always on."""
    engine = SteeringEngine(pool.replacement("base"))
    always = Intervention(layer=LAYER, feature=feature, mode="set", value=VALUE, where="always")
    found = {}
    for question in QUESTIONS:
        ids = question.paraphrases[0].token_ids
        *_, last = engine.sample(ids, [always], n=N, max_new_tokens=LENGTH, seed=seed)
        found[question.hash] = ([*last.before], [*last.after])
    return found


def read(pool: ModelPool, answers: dict[str, tuple[list[Any], list[Any]]]) -> list[Item]:
    """Items of `answer_features`, as the stage's units compute them."""
    items = []
    for question in QUESTIONS:
        before, after = answers[question.hash]
        unit = make_unit(
            COMPUTE,
            prompt_hash=question.hash,
            token_ids=(),
            variants=["base"],
            outputs=[(ANSWER_FEATURES.kind, "base")],
            arguments=reading_arguments(question, make_answers(question, "base", [*before, *after])),
            manifest=pool.manifest,
            runtime=RuntimeParams(seed=0, threads=1),
        )
        items += [item for _, item in unit.run(pool)]
    return items


@pytest.mark.parametrize("seed", range(5))
def test_a_feature_that_was_always_on_is_first(pool: ModelPool, seed: int) -> None:
    rng = np.random.default_rng(seed)
    feature = int(rng.integers(64))
    plant(pool, feature, rng.choice(np.arange(3, 300), PROMOTED, replace=False).tolist())
    answers = generated(pool, feature, seed)
    rows = [
        (question.id, "plain", "base", scores)
        for question in QUESTIONS
        for scores, of in zip((GOOD, BAD), answers[question.hash], strict=True)
        for _ in of
    ]
    lengths = [len(ids) for question in QUESTIONS for of in answers[question.hash] for ids in of]
    items = read(pool, answers)
    found = response_groups(make_scored(rows, n_tokens=lengths), lambda variant: items, ["base"], PARAMS)
    assert found["contrasts"]["reason"].values.tolist() == [""]
    table = found["ranking"].sel(statistic="mean").isel(contrast=0)
    order = np.argsort(-table["standardized"].values)
    first = [(int(table["layer"][row]), int(table["index"][row])) for row in order[:3]]
    assert first[0] == (LAYER, feature), first
    assert float(table["q"][order[0]]) < PARAMS.fdr
