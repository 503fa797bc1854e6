"""Continuations of many prompts under many settings, in one batch with a key-value cache."""

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
import torch

from pipeline.interventions.kinds import Frozen
from pipeline.interventions.results import Generated, Request
from pipeline.interventions.runner import Runner, pick
from pipeline.models.sampling import most_probable, token_steps, until_stop
from store.base.hashing import digest


def generate(
    runner: Runner,
    requests: Sequence[Request],
    *,
    n: int,
    max_new_tokens: int,
    temperature: float,
    seed: int,
    frozen: Frozen,
) -> Iterator[Generated]:
    """Yield what there is after every token; see `SteeringEngine.generate`."""
    read = [[*request.token_ids, *request.forced] for request in requests]
    limits = [min(max_new_tokens, runner.context - len(row)) for row in read]
    if max(limits) < 1:
        yield Generated(texts=(((),) * n,) * len(requests), step=0, done=True)
        return
    stops = runner.stops
    ends = torch.tensor(stops, dtype=torch.long)
    settings = [request.setting for request in requests]
    prompts = np.array([len(request.token_ids) for request in requests])
    # Each prompt is read once under its setting, then its keys and values are shared out.
    cache = runner.empty_cache(len(requests))
    first = runner.run(read, runner.plan(settings), prompt_length=prompts, cache=cache, ends=1, frozen=frozen)
    of_row = np.repeat(np.arange(len(requests)), n)
    pick(cache, of_row)
    length, limit = np.array([len(row) for row in read])[of_row], np.array(limits)[of_row]
    plan = runner.plan([settings[request] for request in of_row])
    running = np.arange(len(of_row))  # rows that the cache holds
    stopped = np.zeros(len(of_row), bool)
    ids: list[list[int]] = [[] for _ in of_row]

    def advance(tokens: torch.Tensor) -> torch.Tensor:
        nonlocal plan, running
        full = limit <= len(ids[0])
        stopped[:] |= torch.isin(tokens, ends).numpy() | full
        left = np.flatnonzero(~stopped[running])
        logits = torch.zeros((len(of_row), runner.vocabulary))  # what is done draws too, and means nothing
        if not len(left):
            return logits
        if 2 * len(left) <= len(running) or full[running].any():
            # Most texts are short: the model reads on only those that are not done, none beyond its end.
            pick(cache, left)
            running = running[left]
            plan = runner.plan([settings[request] for request in of_row[running]])
        logits[running] = torch.from_numpy(
            runner.run(
                tokens[running, None].tolist(),
                plan,
                offset=length[running] + len(ids[0]) - 1,
                prompt_length=prompts[of_row[running]],
                cache=cache,
            )
        )
        return logits

    choose: Callable[[torch.Tensor], torch.Tensor] = (
        most_probable if temperature == 0 else _draw_alike(requests, n, temperature, seed)
    )
    logits = torch.from_numpy(first[:, -1].repeat(n, axis=0))
    steps = token_steps(logits, advance, choose, steps=max(limits), stops=stops)
    for step, (tokens, done) in enumerate(steps, start=1):
        for row, token in zip(ids, tokens.tolist(), strict=True):
            row.append(token)
        texts = [tuple(until_stop(row[:most], stops)) for row, most in zip(ids, limit, strict=True)]
        yield Generated(
            texts=tuple(tuple(texts[start : start + n]) for start in range(0, len(texts), n)),
            step=step,
            done=done,
        )


def _draw_alike(
    requests: Sequence[Request], n: int, temperature: float, seed: int
) -> Callable[[torch.Tensor], torch.Tensor]:
    """Draw one token a row; sample i of a prompt uses the same random numbers under every setting.

    They are of the seed and the prompt alone, so that neither what else is in the batch nor its order
    matters, and samples of two prompts are independent.
    """
    of_request = [
        int(digest([seed, *each.token_ids, -1, *each.forced])[:15], 16) if each.seed is None else each.seed
        for each in requests
    ]
    generators = {each: torch.Generator().manual_seed(each) for each in dict.fromkeys(of_request)}

    def choose(logits: torch.Tensor) -> torch.Tensor:
        noise: Mapping[int, torch.Tensor] = {
            each: _gumbel((n, logits.shape[1]), generator) for each, generator in generators.items()
        }
        # argmax(logits / T + Gumbel) is a draw from softmax(logits / T).
        scaled = logits / temperature + torch.cat([noise[each] for each in of_request])
        return scaled.argmax(dim=-1)

    return choose


def _gumbel(shape: tuple[int, int], generator: torch.Generator) -> torch.Tensor:
    exponential = torch.empty(shape).exponential_(generator=generator)
    return -exponential.clamp_min(torch.finfo(torch.float32).tiny).log()
