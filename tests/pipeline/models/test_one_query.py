"""Attention of one query a row is softmax(q k' / sqrt(width) + mask) v, and lasts as long as sampling."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers.integrations import sdpa_attention

from pipeline.models import one_query
from pipeline.models.one_query import attend, one_query_attention
from pipeline.models.sampling import most_probable, sample_tokens
from tests.support.builders import make_model

WIDTH = 8


def drawn(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def strided(seed: int, rows: int, heads: int, length: int) -> torch.Tensor:
    """Keys or values as a cache with room holds them: views of (position, row, head, width)."""
    return drawn(seed, length + 5, rows, heads, WIDTH)[:length].permute(1, 2, 0, 3)


@given(
    rows=st.integers(1, 4),
    heads=st.integers(1, 3),
    groups=st.integers(1, 3),
    length=st.integers(1, 9),
    scaling=st.sampled_from([None, 0.3]),
    padded=st.sampled_from([None, "added", "marks"]),
    seed=st.integers(0, 99),
)
def test_against_float64(
    rows: int, heads: int, groups: int, length: int, scaling: float | None, padded: str | None, seed: int
) -> None:
    query = drawn(seed, rows, heads * groups, 1, WIDTH)
    key, value = strided(seed + 1, rows, heads, length), strided(seed + 2, rows, heads, length)
    seen = torch.ones(rows, 1, 1, length, dtype=torch.bool)
    seen[0, ..., : length - 1] = False
    added = torch.zeros(seen.shape).masked_fill(~seen, torch.finfo(torch.float32).min)
    mask = {None: None, "added": added, "marks": seen}[padded]
    found, weights = attend(torch.nn.Module(), query, key, value, mask, scaling=scaling)
    q, k, v = (each.double().numpy() for each in (query, key, value))
    k, v = (each.repeat(groups, axis=1) for each in (k, v))
    scores = np.einsum("rhqw,rhpw->rhqp", q, k) * (WIDTH**-0.5 if scaling is None else scaling)
    scores = scores + (added.double().numpy() if padded else 0)
    share = np.exp(scores - scores.max(axis=-1, keepdims=True))
    expected = np.einsum("rhqp,rhpw->rqhw", share / share.sum(axis=-1, keepdims=True), v)
    assert found.shape == (rows, 1, heads * groups, WIDTH)
    assert weights is None
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("queries", "dtype"), [(3, torch.float32), (1, torch.bfloat16)])
@pytest.mark.parametrize("marks", [None, torch.tensor([True, True, False, True]).expand(2, 1, 1, 4)])
def test_all_else_is_what_sdpa_gives(queries: int, dtype: torch.dtype, marks: torch.Tensor | None) -> None:
    query = drawn(1, 2, 3, queries, WIDTH).to(dtype)
    key, value = (strided(seed, 2, 3, 4).to(dtype) for seed in (2, 3))
    found, _ = attend(torch.nn.Module(), query, key, value, marks)
    expected, _ = sdpa_attention.sdpa_attention_forward(torch.nn.Module(), query, key, value, marks)
    assert torch.equal(found, expected)


@pytest.mark.parametrize(("family", "usual"), [("llama", "sdpa"), ("llama", "eager")])
def test_a_model_attends_as_before_when_sampling_ends_however_it_ends(
    family: str, usual: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model: Any = make_model(family, 40, n_layers=2, d_model=32).eval()
    model.set_attn_implementation(usual)
    during = []

    def choose(logits: torch.Tensor, rows: torch.Tensor | None = None) -> torch.Tensor:
        during.append(model.config._attn_implementation)
        return most_probable(logits)

    sample_tokens(model, [[1, 7]], choose, steps=3, stops=[])
    assert during == ["one_query" if usual == "sdpa" else usual] * 3
    with pytest.raises(KeyboardInterrupt), one_query_attention(model):
        raise KeyboardInterrupt
    assert model.config._attn_implementation == usual


def test_sampling_asks_it_for_each_token_but_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    model: Any = make_model("llama", 40, n_layers=2, d_model=32).eval()
    asked = []

    def counted(*states: Any, **others: Any) -> Any:
        asked.append(states[1].shape[2])
        return attend(*states, **others)

    monkeypatch.setitem(one_query.AttentionInterface._global_mapping, "one_query", counted)
    sample_tokens(model, [[1, 7], [1, 8, 9]], most_probable, steps=4, stops=[])
    assert asked == [1] * 2 * 3
