"""The one loop that samples draws, to the last id, what transformers' own would draw."""

from collections import Counter
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import TopPLogitsWarper

from pipeline.models.one_query import one_query_attention
from pipeline.models.sampling import draw, draw_each, most_probable, sample_tokens, token_steps, until_stop
from tests.support.builders import make_model

VOCABULARY, STEPS, ROWS = 40, 12, 6
PROMPT = [1, 7, 9, 3, 30]


@pytest.fixture(scope="module", params=["llama", "qwen2", "qwen3", "gemma2", "gemma3"])
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
        assert sample_tokens(model, [PROMPT] * ROWS, choose, steps=STEPS, stops=stops) == expected
        lengths |= {len(row) for row in expected}
    assert len(lengths) > 1, "some rows stop before others"


def test_the_most_probable_is_greedy_search(model: Any) -> None:
    expected = generated(model, stops=[2], do_sample=False)
    assert sample_tokens(model, [PROMPT], most_probable, steps=STEPS, stops=[2]) == expected


def test_draws_leave_the_global_generator_alone(model: Any) -> None:
    before = torch.random.get_rng_state()
    sample_tokens(model, [PROMPT], draw(torch.Generator().manual_seed(0)), steps=3, stops=[])
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


PROMPTS = [PROMPT, PROMPT[:3], [1, 8], [1, *range(10, 28)], PROMPT, [1, *range(20, 30)]]
"""Of several lengths, the longest beyond Gemma's window; one twice."""


def each(model: Any, rows: list[int], *, stops: list[int], shared: bool = True) -> list[list[int]]:
    """What rows with seeds of their own get, in one batch or one after the other."""
    if not shared:
        return [ids for row in rows for ids in each(model, [row], stops=stops)]
    choose = draw_each([50 + row for row in rows], 0.9, 1.0, steps=STEPS)
    return sample_tokens(model, [PROMPTS[row] for row in rows], choose, steps=STEPS, stops=stops)


@pytest.mark.parametrize("stops", [[2], [2, 5, 11, 17, 23]], ids=["rarely", "often"])
def test_what_a_row_draws_is_its_own(model: Any, stops: list[int]) -> None:
    """Whatever is sampled beside it, however that is padded, and whoever has left."""
    every = list(range(len(PROMPTS)))
    alone = each(model, every, stops=stops, shared=False)
    assert len({tuple(ids) for ids in alone}) > 3
    assert each(model, every, stops=stops) == alone
    assert each(model, every[::-1], stops=stops) == alone[::-1]
    assert each(model, [3, 1], stops=stops) == [alone[3], alone[1]]
    assert each(model, [2, 2, 2], stops=stops) == [alone[2]] * 3


def test_padding_is_not_read(model: Any) -> None:
    """Logits of the prompt's end and of every later step, padded beside a longer prompt and alone."""
    seen: dict[int, list[torch.Tensor]] = {}

    def run(rows: list[int]) -> None:
        def choose(logits: torch.Tensor, _: torch.Tensor | None = None) -> torch.Tensor:
            for row, of in zip(rows, logits, strict=True):
                seen.setdefault(row, []).append(of)
            return torch.full((len(logits),), 7)

        sample_tokens(model, [PROMPTS[row] for row in rows], choose, steps=STEPS, stops=[])

    run([1])
    alone = seen.pop(1)
    run([3, 1, 5])
    torch.testing.assert_close(torch.stack(seen[1]), torch.stack(alone), rtol=1e-4, atol=1e-4)


def test_every_step_has_the_logits_of_generate(model: Any) -> None:
    """To the last bit: room for keys and values changes none, also where a window ends within the text.

    So it is where `generate` attends as sampling does. As it usually attends, sums have another order.
    """
    with one_query_attention(model):
        seen, expected = logits_of_both(model)
    assert torch.equal(seen, expected)
    torch.testing.assert_close(*logits_of_both(model), rtol=1e-5, atol=1e-5)


def logits_of_both(model: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """(step, row, token) of our loop and of `generate`, with the tokens that are most probable."""
    rows = [PROMPTS[row] for row in (0, 1, 3)]
    width = max(map(len, rows))
    padding = [[0] * (width - len(row)) for row in rows]
    with torch.inference_mode():
        expected = model.generate(
            torch.tensor([before + row for before, row in zip(padding, rows, strict=True)]),
            attention_mask=torch.tensor(
                [before + [1] * len(row) for before, row in zip(padding, rows, strict=True)]
            ),
            max_new_tokens=STEPS,
            min_new_tokens=STEPS,
            do_sample=False,
            pad_token_id=0,
            return_dict_in_generate=True,
            output_logits=True,
        )
    seen = []

    def choose(logits: torch.Tensor, _: torch.Tensor | None = None) -> torch.Tensor:
        seen.append(logits)
        return expected.sequences[:, width + len(seen) - 1]

    sample_tokens(model, rows, choose, steps=STEPS, stops=[])
    return torch.stack(seen), torch.stack(expected.logits)


def test_a_row_that_is_done_is_read_no_more(model: Any) -> None:
    """Rows end one after another: who is read at each step, where, and with which random numbers."""
    ends, told, drawn = [1, 5, 3, 8, 5, 12], [], []  # the step at which each row stops

    def choose(logits: torch.Tensor, rows: torch.Tensor | None = None) -> torch.Tensor:
        assert rows is not None
        drawn.append(rows.tolist())
        step = len(drawn)
        return torch.tensor([2 if ends[row] <= step else 7 for row in drawn[-1]])

    def watch(rows: torch.Tensor, positions: torch.Tensor) -> None:
        told.append((rows.tolist(), positions.tolist()))

    found = sample_tokens(model, PROMPTS, choose, steps=STEPS, stops=[2], watch=watch)
    assert [len(row) for row in found] == [end - 1 for end in ends]
    for step, (rows, positions) in enumerate(told[1:], start=1):
        assert sorted(rows) == [row for row in range(6) if ends[row] > step]
        assert positions == [[len(PROMPTS[row]) + step - 1] for row in rows]
        assert drawn[step] == rows


def own(logits: torch.Tensor, *, seed: int, temperature: float = 1.0, top_p: float = 1.0) -> list[int]:
    """One draw for each row of logits, a step each, of the generator of `seed`."""
    choose = draw_each([seed], temperature, top_p, steps=len(logits))
    return [int(choose(row[None])) for row in logits]


@given(
    logits=st.lists(st.lists(st.floats(-20, 20, width=32), min_size=7, max_size=7), min_size=1, max_size=40),
    temperature=st.floats(0.1, 5),
    seed=st.integers(0, 2**60),
)
def test_a_token_lies_where_its_number_does(logits: list[list[float]], temperature: float, seed: int) -> None:
    """Against numpy in float64: below the token at most the share u, up to it more; rounding is left room."""
    rows = torch.tensor(logits)
    tokens = own(rows, seed=seed, temperature=temperature)
    numbers = torch.rand(len(rows), generator=torch.Generator().manual_seed(seed)).tolist()
    for row, token, number in zip(rows.double().numpy(), tokens, numbers, strict=True):
        share = np.exp((row - row.max()) / temperature)
        reached = np.concatenate([[0], share.cumsum() / share.sum()])
        assert reached[token] - 1e-5 <= number <= reached[token + 1] + 1e-5


def test_what_has_no_probability_is_never_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    logits = torch.log(torch.tensor([[0.0, 0.5, 0.0, 0.5, 0.0]]))
    assert set(own(logits.repeat(300, 1), seed=1)) == {1, 3}
    for number, token in [(0.0, 1), (1.0, 3)]:  # the least, and what rounding can make of the largest
        monkeypatch.setattr(torch, "rand", lambda *_, n=number, **__: torch.full((1,), n))
        assert own(logits, seed=1) == [token]


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
    choose = draw_each(range(500), temperature, top_p, steps=1)
    drawn = set(choose(row.repeat(500, 1)).tolist())
    assert drawn <= set(kept.nonzero()[:, 0].tolist())


def test_the_nucleus_has_its_share_and_no_more() -> None:
    logits = torch.log(torch.tensor([[0.2, 0.5, 0.1, 0.2]]))
    share = Counter(own(logits.repeat(5000, 1), seed=1, top_p=0.65))
    assert share[2] == 0
    assert share[1] / 5000 == pytest.approx(0.5 / 0.7, abs=0.02)
    assert set(own(logits.repeat(300, 1), seed=1, top_p=0.5)) == {1}


@pytest.mark.parametrize(
    "make", [lambda: draw(torch.Generator().manual_seed(4)), lambda: draw_each(range(9), 0.8, 0.9, steps=3)]
)
def test_who_is_left_draws_as_if_all_were_there(make: Any) -> None:
    logits, left = (
        torch.randn((3, 9, 11), generator=torch.Generator().manual_seed(0)),
        torch.tensor([7, 2, 4]),
    )
    whole, some = make(), make()
    expected = [whole(step) for step in logits]
    assert torch.equal(some(logits[0]), expected[0])
    for step, tokens in zip(logits[1:], expected[1:], strict=True):
        assert torch.equal(some(step[left], left), tokens[left])
