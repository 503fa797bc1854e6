"""Continuations before and after steering, in one batch with a key-value cache."""

from collections.abc import Iterator, Sequence

import torch

from pipeline.interventions.kinds import Setting
from pipeline.interventions.results import Continuations
from pipeline.interventions.runner import Runner, repeat
from pipeline.models.sampling import Choose, most_probable, token_steps, until_stop
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
    stops = stop_ids(runner.tokenizer)
    generator = torch.Generator().manual_seed(seed)
    # The prompt is read once a side, then its keys and values are shared out.
    cache = runner.empty_cache(2)
    logits = runner.run([token_ids] * 2, runner.plan([(), setting]), cache=cache).repeat(n, axis=0)
    repeat(cache, n)
    plan = runner.plan([()] * n + [setting] * n)
    ids: list[list[int]] = [[] for _ in range(2 * n)]

    def advance(tokens: torch.Tensor) -> torch.Tensor:
        rows = [[token] for token in tokens.tolist()]
        offset = length + len(ids[0]) - 1
        return torch.from_numpy(runner.run(rows, plan, offset=offset, prompt_length=length, cache=cache))

    choose = _draw_alike(n, temperature, generator) if temperature > 0 else most_probable
    chosen = token_steps(torch.from_numpy(logits), advance, choose, steps=steps, stops=stops)
    for step, (tokens, done) in enumerate(chosen, start=1):
        for row, token in zip(ids, tokens.tolist(), strict=True):
            row.append(token)
        texts = [tuple(until_stop(row, stops)) for row in ids]
        yield Continuations(before=tuple(texts[:n]), after=tuple(texts[n:]), step=step, done=done)


def _draw_alike(n: int, temperature: float, generator: torch.Generator) -> Choose:
    """Draw one token a row; row i and row n + i use the same random numbers."""

    def choose(logits: torch.Tensor) -> torch.Tensor:
        # argmax(logits / T + Gumbel) is a draw from softmax(logits / T).
        exponential = torch.empty((n, logits.shape[1])).exponential_(generator=generator)
        gumbel = -exponential.clamp_min(torch.finfo(torch.float32).tiny).log()
        return (logits / temperature + gumbel.repeat(2, 1)).argmax(dim=-1)

    return choose
