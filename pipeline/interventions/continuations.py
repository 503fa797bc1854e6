"""Continuations before and after steering, in one batch with a key-value cache."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from transformer_lens import TransformerLensKeyValueCache

from pipeline.interventions.compile import Setting
from pipeline.interventions.results import Continuations, until_stop
from pipeline.interventions.runner import Runner
from pipeline.text.tokens import stop_ids


def sample(
    runner: Runner,
    token_ids: Sequence[int],
    setting: Setting,
    *,
    n: int,
    max_new_tokens: int,
    temperature: float,
    seed: int,
) -> Iterator[Continuations]:
    """Yield what there is after every token; see `SteeringEngine.sample`."""
    length = len(token_ids)
    steps = min(max_new_tokens, runner.context - length)
    if steps < 1:
        yield Continuations(before=((),) * n, after=((),) * n, step=0, done=True)
        return
    stops = frozenset(stop_ids(runner.tokenizer))
    generator = torch.Generator().manual_seed(seed)
    # The prompt is read once a side, then its keys and values are shared out.
    cache = runner.empty_cache(2)
    logits = runner.run([token_ids] * 2, runner.plan([(), setting]), cache=cache).repeat(n, axis=0)
    _repeat(cache, n)
    plan = runner.plan([()] * n + [setting] * n)
    ids: list[list[int]] = [[] for _ in range(2 * n)]
    for step in range(1, steps + 1):
        drawn = _draw(logits, temperature, n, generator)
        for row, token in zip(ids, drawn, strict=True):
            row.append(token)
        rows = [until_stop(row, stops) for row in ids]
        done = step == steps or all(len(row) < step for row in rows)
        yield Continuations(before=tuple(rows[:n]), after=tuple(rows[n:]), step=step, done=done)
        if done:
            return
        logits = runner.run(
            [[token] for token in drawn],
            plan,
            offset=length + step - 1,
            prompt_length=length,
            cache=cache,
        )


def _draw(logits: np.ndarray, temperature: float, n: int, generator: torch.Generator) -> list[int]:
    """One token a row; row i and row n + i use the same random numbers."""
    scores = torch.from_numpy(logits)
    if temperature > 0:
        # argmax(logits / T + Gumbel) is a draw from softmax(logits / T).
        exponential = torch.empty((n, logits.shape[1])).exponential_(generator=generator)
        gumbel = -exponential.clamp_min(torch.finfo(torch.float32).tiny).log()
        scores = scores / temperature + gumbel.repeat(2, 1)
    return scores.argmax(dim=-1).tolist()


def _repeat(cache: TransformerLensKeyValueCache, n: int) -> None:
    """Give each of the cache's rows n copies."""
    with torch.inference_mode():
        for entry in cache.entries:
            entry.past_keys = entry.past_keys.repeat_interleave(n, dim=0)
            entry.past_values = entry.past_values.repeat_interleave(n, dim=0)
        cache.previous_attention_mask = cache.previous_attention_mask.repeat_interleave(n, dim=0)
