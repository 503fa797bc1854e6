"""Tokens sampled one after another: the one loop, for models of transformers and for steered ones."""

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Generator, nn
from transformers.cache_utils import Cache

Choose = Callable[[torch.Tensor], torch.Tensor]
"""From logits (row, token) to one token id a row, (row,) int64."""


def draw(generator: Generator, temperature: float = 1.0) -> Choose:
    """Draw from the whole distribution, softmax(logits / temperature) in float32.

    Every call takes as many random numbers as there are logits, whatever these are: what one
    row draws does not depend on whether another has stopped.
    """

    def choose(logits: torch.Tensor) -> torch.Tensor:
        probability = (logits.float() / temperature).softmax(dim=-1)
        return torch.multinomial(probability, 1, generator=generator)[:, 0]

    return choose


def draw_nucleus(generator: Generator, temperature: float, top_p: float) -> Choose:
    """Draw from the fewest most probable tokens that have `top_p` of the probability together.

    Which these are is told after the temperature, as transformers' `TopPLogitsWarper` tells it (Holtzman
    et al. 2020, arXiv 1904.09751); random numbers are taken as by `draw`, which a `top_p` of 1 is.
    """
    if top_p == 1:
        return draw(generator, temperature)
    whole = draw(generator)

    def choose(logits: torch.Tensor) -> torch.Tensor:
        scaled = logits.float() / temperature
        ascending, order = scaled.sort(dim=-1)
        left_out = ascending.softmax(dim=-1).cumsum(dim=-1) <= 1 - top_p
        left_out[:, -1] = False
        return whole(scaled.masked_fill(left_out.scatter(-1, order, left_out), -torch.inf))

    return choose


def most_probable(logits: torch.Tensor) -> torch.Tensor:
    """Take the most probable token."""
    return logits.float().argmax(dim=-1)


def token_steps(
    logits: torch.Tensor,
    advance: Callable[[torch.Tensor], torch.Tensor],
    choose: Choose,
    *,
    steps: int,
    stops: Sequence[int],
) -> Iterator[tuple[torch.Tensor, bool]]:
    """Choose a token a row at a time, until every row has stopped.

    Parameters
    ----------
    logits
        (row, token), after the prompt.
    advance
        Reads the chosen tokens, (row,), and gives the logits after them; rows that have
        stopped are read on, since a row does not see another.
    choose
        Chooses the tokens.
    steps
        At most so many tokens.
    stops
        Tokens that end a text.

    Yields
    ------
    tuple
        The tokens of a step, (row,), and whether it is the last. What a row gets after a stop
        means nothing: see `until_stop`.
    """
    ends = torch.tensor(list(stops), dtype=torch.long, device=logits.device)
    stopped = torch.zeros(len(logits), dtype=torch.bool, device=logits.device)
    for step in range(1, steps + 1):
        tokens = choose(logits)
        stopped |= torch.isin(tokens, ends)
        done = step == steps or bool(stopped.all())
        yield tokens, done
        if done:
            return
        logits = advance(tokens)


@torch.no_grad()
def sample_tokens(
    model: nn.Module, prompts: torch.Tensor, choose: Choose, *, steps: int, stops: Sequence[int]
) -> list[list[int]]:
    """Continue prompts of one length with a model of transformers and its key-value cache.

    Parameters
    ----------
    model
        A causal language model.
    prompts
        (row, position) token ids, none of them padding.
    choose, steps, stops
        As for `token_steps`.

    Returns
    -------
    list of list of int
        Each row's tokens before its stop.
    """
    running = torch.arange(len(prompts), device=prompts.device)  # rows that the cache holds
    stopped = torch.zeros(len(prompts), dtype=torch.bool, device=prompts.device)
    ends = torch.tensor(list(stops), dtype=torch.long, device=prompts.device)

    def read(ids: torch.Tensor, cache: Cache | None) -> tuple[torch.Tensor, Cache]:
        output = model(input_ids=ids, past_key_values=cache, use_cache=True, logits_to_keep=1)
        return output.logits[:, -1].float(), output.past_key_values

    logits, cache = read(prompts, None)
    shape = logits.shape

    def advance(tokens: torch.Tensor) -> torch.Tensor:
        nonlocal cache, running, stopped
        stopped |= torch.isin(tokens, ends)
        left = (~stopped[running]).nonzero()[:, 0]
        if 2 * len(left) <= len(running):
            # Most answers are short: the model reads on only those that are not done.
            cache.batch_select_indices(left)
            running = running[left]
        logits = torch.zeros(shape, device=prompts.device)  # rows that are done draw too, and mean nothing
        logits[running], cache = read(tokens[running, None], cache)
        return logits

    drawn = [tokens for tokens, _ in token_steps(logits, advance, choose, steps=steps, stops=stops)]
    return [until_stop(row, stops) for row in torch.stack(drawn, dim=1).tolist()]


def until_stop(ids: Sequence[int], stops: Sequence[int]) -> list[int]:
    """The ids before the first stop."""
    end = next((place for place, token in enumerate(ids) if token in stops), len(ids))
    return list(ids[:end])
