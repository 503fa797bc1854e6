"""The one loop that samples draws, to the last id, what transformers' own would draw."""

from collections import Counter
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import TopPLogitsWarper

from pipeline.models.sampling import draw, draw_nucleus, most_probable, sample_tokens, token_steps, until_stop
from tests.support.builders import make_model

VOCABULARY, STEPS, ROWS = 40, 12, 6
PROMPT = [1, 7, 9, 3, 30]


@pytest.fixture(scope="module", params=["llama", "qwen2", "qwen3", "gemma2"])
def model(request: pytest.FixtureRequest) -> Any:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        return make_model(request.param, VOCABULARY, n_layers=2, d_model=32).eval()


def generated(model: Any, *, stops: list[int], **options: Any) -> list[list[int]]:
    """What `generate` gives, with all that it has of its own switched off."""
    ids = torch.tensor([PROMPT])
    with torch.inference_mode():
        output = model.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            max_new_tokens=STEPS,
            eos_token_id=stops,
            pad_token_id=0,
            **options,
        )
    return [until_stop(row, stops) for row in output[:, len(PROMPT) :].tolist()]


@pytest.mark.parametrize("temperature", [1.0, 0.7])
@pytest.mark.parametrize("stops", [[2], [2, 5, 11, 17, 23]], ids=["rarely", "often"])
def test_the_same_ids_as_generate(model: Any, temperature: float, stops: list[int]) -> None:
    lengths = set()
    for seed in range(5):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            expected = generated(
                model,
                stops=stops,
                do_sample=True,
                temperature=temperature,
                top_k=0,
                top_p=1.0,
                num_return_sequences=ROWS,
            )
        choose = draw(torch.Generator().manual_seed(seed), temperature)
        rows = torch.tensor([PROMPT] * ROWS)
        assert sample_tokens(model, rows, choose, steps=STEPS, stops=stops) == expected
        lengths |= {len(row) for row in expected}
    assert len(lengths) > 1, "some rows stop before others"


def test_the_most_probable_is_greedy_search(model: Any) -> None:
    expected = generated(model, stops=[2], do_sample=False)
    assert sample_tokens(model, torch.tensor([PROMPT]), most_probable, steps=STEPS, stops=[2]) == expected


def test_draws_leave_the_global_generator_alone(model: Any) -> None:
    before = torch.random.get_rng_state()
    sample_tokens(model, torch.tensor([PROMPT]), draw(torch.Generator().manual_seed(0)), steps=3, stops=[])
    assert torch.equal(before, torch.random.get_rng_state())


def test_a_step_is_read_only_when_the_next_is_asked_for() -> None:
    read: list[list[int]] = []

    def advance(tokens: torch.Tensor) -> torch.Tensor:
        read.append(tokens.tolist())
        return torch.eye(4)[[2, 3]]

    steps = token_steps(torch.eye(4)[[1, 3]], advance, most_probable, steps=5, stops=[2, 3])
    tokens, done = next(steps)
    assert (tokens.tolist(), done, read) == ([1, 3], False, [])
    tokens, done = next(steps)
    assert (tokens.tolist(), done, read) == ([2, 3], True, [[1, 3]])
    assert list(steps) == []


def test_no_more_tokens_than_asked_for() -> None:
    logits = torch.eye(4)[[1]]
    drawn = list(token_steps(logits, lambda tokens: logits, most_probable, steps=3, stops=[]))
    assert [done for _, done in drawn] == [False, False, True]


def test_draws_follow_the_distribution() -> None:
    logits = torch.log(torch.tensor([0.5, 0.3, 0.2])).repeat(20000, 1)
    share = Counter(draw(torch.Generator().manual_seed(1))(logits).tolist())
    assert [share[token] / 20000 for token in range(3)] == pytest.approx([0.5, 0.3, 0.2], abs=0.015)
    cold = draw(torch.Generator().manual_seed(1), 0.01)(logits)
    assert (cold == 0).all()


@given(
    logits=st.lists(st.floats(-20, 20, width=32), min_size=1, max_size=30),
    top_p=st.floats(0.01, 0.999),
    temperature=st.floats(0.1, 5),
)
def test_the_nucleus_is_that_of_transformers(logits: list[float], top_p: float, temperature: float) -> None:
    row = torch.tensor([logits])
    kept = TopPLogitsWarper(top_p)(torch.zeros(1, 1), row / temperature).isfinite()[0]
    choose = draw_nucleus(torch.Generator().manual_seed(0), temperature, top_p)
    drawn = set(choose(row.repeat(500, 1)).tolist())
    assert drawn <= set(kept.nonzero()[:, 0].tolist())


def test_the_nucleus_has_its_share_and_no_more() -> None:
    logits = torch.log(torch.tensor([0.2, 0.5, 0.1, 0.2])).repeat(20000, 1)
    share = Counter(draw_nucleus(torch.Generator().manual_seed(1), 1.0, 0.65)(logits).tolist())
    assert share[2] == 0
    assert share[1] / 20000 == pytest.approx(0.5 / 0.7, abs=0.015)
    assert set(draw_nucleus(torch.Generator().manual_seed(1), 1.0, 0.5)(logits).tolist()) == {1}


def test_all_of_it_is_the_whole_distribution() -> None:
    logits = torch.randn(50, 30, generator=torch.Generator().manual_seed(0))
    whole, nucleus = (
        make(torch.Generator().manual_seed(2), 0.7)
        for make in (draw, lambda generator, temperature: draw_nucleus(generator, temperature, 1.0))
    )
    assert torch.equal(whole(logits), nucleus(logits))
