"""Answers that a model is made to read, against Hugging Face in float32, one at a time and unpadded."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, PreTrainedModel

from pipeline.behaviours.forced import compute_forced, force
from pipeline.behaviours.forced_units import COMPUTE, by_split, forced_arguments, forced_hash
from pipeline.items.units import make_unit
from pipeline.models.pool import ModelPool
from pipeline.params.runtime import RuntimeParams
from tests.support.behaviours import make_prompt
from tests.support.builders import make_checkpoint

PROMPTS = [[1, 40, 41, 42], [1, 50], [1, 60, 61, 62, 63, 64, 65]]
# One token; several with a shared beginning, of unequal length; several of equal length.
ANSWERS = [[[70], [71]], [[80, 81, 82], [80, 81, 90, 91, 92]], [[100, 101], [102, 103]]]
SHARED = [0, 2, 0]


@pytest.fixture(scope="module", params=["llama", "qwen3"])
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> PreTrainedModel:
    made = make_checkpoint(
        tmp_path_factory.mktemp(request.param) / "subject", architecture=request.param, n_layers=2
    )
    return AutoModelForCausalLM.from_pretrained(made.base, dtype=torch.float32).eval()


@torch.no_grad()
def reference(model: PreTrainedModel, prompt: Sequence[int], answer: Sequence[int]) -> np.ndarray:
    """Log-probability of each token, read by itself after what stands before it."""
    found = []
    for n in range(len(answer)):
        logits = model(torch.tensor([[*prompt, *answer[:n]]])).logits[0, -1].double()
        found.append(float(logits[answer[n]] - logits.logsumexp(-1)))
    return np.array(found)


@pytest.mark.parametrize("batch", [1, 2, 64])
def test_log_probabilities_are_hugging_faces(model: PreTrainedModel, batch: int) -> None:
    found = force(model, PROMPTS, ANSWERS, SHARED, batch)
    for prompt, answers, log_probs in zip(PROMPTS, ANSWERS, found.log_probs, strict=True):
        for answer, values in zip(answers, log_probs, strict=True):
            np.testing.assert_allclose(values, reference(model, prompt, answer), atol=1e-5)


def test_the_decision_is_where_answers_first_differ(model: PreTrainedModel) -> None:
    found = force(model, PROMPTS, ANSWERS, SHARED, 64)
    for n, (prompt, (right, wrong), shared) in enumerate(zip(PROMPTS, ANSWERS, SHARED, strict=True)):
        with torch.no_grad():
            logits = model(torch.tensor([[*prompt, *right[:shared]]])).logits[0, -1]
        assert found.decisions[n] == pytest.approx(
            float(logits[right[shared]] - logits[wrong[shared]]), abs=1e-5
        )
    # At the first token, which both share, nothing would differ.
    assert abs(found.decisions[1]) > 1e-3


def test_a_model_in_half_precision_is_read_in_float32(model: PreTrainedModel) -> None:
    half = AutoModelForCausalLM.from_pretrained(model.name_or_path, dtype=torch.bfloat16).eval()
    found = force(half, PROMPTS, ANSWERS, SHARED, 64)
    (values, _) = found.log_probs[1]
    assert values.dtype == np.float32
    # Of a bfloat16 softmax only eight bits would be left.
    assert not np.array_equal(values, torch.tensor(values).bfloat16().float().numpy())


def test_an_item_packs_both_answers_and_its_key_is_exact(tmp_path: Path) -> None:
    manifest = make_checkpoint(tmp_path / "subject", n_layers=2).manifest()
    prompts = [
        make_prompt(
            n, token_ids=tuple(ids), correct_ids=tuple(right), incorrect_ids=tuple(wrong), shared=shared
        )
        for n, (ids, (right, wrong), shared) in enumerate(zip(PROMPTS, ANSWERS, SHARED, strict=True))
    ]

    def unit(chosen, *, batch=2, variant="base", seed=0):
        ((of, part),) = by_split(chosen).items()
        return make_unit(
            COMPUTE,
            prompt_hash=of,
            token_ids=(),
            variants=[variant],
            outputs=[("forced_answers", variant)],
            arguments=forced_arguments(part, batch),
            manifest=manifest,
            runtime=RuntimeParams(seed=seed, threads=1),
        )

    mine = unit(prompts)
    ((kind, item),) = compute_forced(ModelPool(manifest), mine)
    assert kind == "forced_answers"
    assert item.arrays["answer_start"].tolist() == [0, 1, 2, 5, 10, 12]
    flat = [value for pair in zip(PROMPTS, ANSWERS, strict=True) for answer in pair[1] for value in answer]
    assert item.arrays["log_prob"].shape == (len(flat),)
    assert item.arrays["decision"].shape == (3,)
    swapped = [make_prompt(0, correct_ids=(8,), incorrect_ids=(7,)), *prompts[1:]]
    keys = {mine.key, unit(prompts, batch=3).key, unit(prompts, variant="general@1.0").key, unit(swapped).key}
    assert len(keys | {unit(prompts, seed=1).key, unit(prompts[:2]).key}) == 6
    # Partner, metadata and group decide nothing of it.
    told = [make_prompt(0, **{"partner": "0" * 12, "metadata": {}, "group": "g"})]
    assert unit(told).key == unit([make_prompt(0)]).key
    assert forced_hash(told) != forced_hash([make_prompt(0, split="test")])
