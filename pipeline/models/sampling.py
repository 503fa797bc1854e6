"""Tokens sampled one after another: the one loop, for models of transformers and for steered ones."""

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

import torch
from torch import Generator, nn
from transformers.cache_utils import Cache

from pipeline.models.key_values import keep_rows, with_room
from pipeline.models.one_query import one_query_attention


class Choose(Protocol):
    """Chooses one token id a row."""

    def __call__(self, logits: torch.Tensor, rows: torch.Tensor | None = None) -> torch.Tensor:
        """From logits (row, token) to (row,) int64.

        Parameters
        ----------
        rows
            (row,) which rows of the batch these are; None: all of them, as at the first call.
        """


Watch = Callable[[torch.Tensor, torch.Tensor], None]
"""Is told before each pass which rows are read, (row,), and where, (row, position); padding is at -1."""


def draw(generator: Generator, temperature: float = 1.0) -> Choose:
    """Draw from the whole distribution, softmax(logits / temperature) in float32.

    Every call takes as many random numbers as there are logits in the whole batch, whatever these are: what
    one row draws does not depend on whether another has stopped.
    """

    count = 0  # rows of the batch

    def choose(logits: torch.Tensor, rows: torch.Tensor | None = None) -> torch.Tensor:
        nonlocal count
        count = max(count, len(logits))
        own = torch.arange(count, device=logits.device) if rows is None else rows
        probability = torch.ones((count, logits.shape[1]), device=logits.device)
        probability[own] = (logits.float() / temperature).softmax(dim=-1)
        return torch.multinomial(probability, 1, generator=generator)[own, 0]

    return choose


def draw_each(seeds: Sequence[int], temperature: float, top_p: float, *, steps: int) -> Choose:
    """Draw every row with random numbers of its own: what a row draws hangs on its seed and its logits alone.

    A row takes one number u a step, uniform on [0, 1), from a generator of its own, and gets the first token
    up to which, in the order of ids, more than the share u of the probability lies (Devroye 1986, Non-Uniform
    Random Variate Generation, ch. III.2). That is done on the CPU wherever the model is, so that the numbers
    are the same, and sums are made in one order.

    With a `top_p` below 1, only the fewest most probable tokens that have `top_p` of the probability together
    are drawn. Which these are is told after the temperature, as transformers' `TopPLogitsWarper` tells it
    (Holtzman et al. 2020, arXiv 1904.09751).

    Parameters
    ----------
    seeds
        One a row.
    temperature, top_p
        Above 0; `top_p` at most 1.
    steps
        At most so many draws.
    """
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]
    numbers = iter(torch.stack([torch.rand(steps, generator=generator) for generator in generators], dim=1))

    def choose(logits: torch.Tensor, rows: torch.Tensor | None = None) -> torch.Tensor:
        number = next(numbers)
        if rows is not None:
            number = number[rows.cpu()]
        scaled = logits.float().cpu()
        if temperature != 1:
            scaled = scaled / temperature
        if top_p < 1:
            scaled = scaled.masked_fill(_beyond_nucleus(scaled, top_p), -torch.inf)
        reached = scaled.softmax(dim=-1).cumsum_(dim=-1)  # (row, token)
        whole = reached[:, -1:].contiguous()
        tokens = torch.searchsorted(reached, number[:, None] * whole, right=True)
        # Where rounding makes u of the whole the whole: the last token that has any probability.
        last = torch.searchsorted(reached, whole)
        return torch.minimum(tokens, last)[:, 0].to(logits.device)

    return choose


def most_probable(logits: torch.Tensor, rows: torch.Tensor | None = None) -> torch.Tensor:
    """Take the most probable token."""
    return logits.float().argmax(dim=-1)


def token_steps(
    logits: torch.Tensor,
    advance: Callable[[torch.Tensor], torch.Tensor],
    choose: Callable[[torch.Tensor], torch.Tensor],
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
        Reads the chosen tokens, (row,), and gives the logits after them, which `choose` is given.
    choose
        Chooses a token a row; rows that have stopped get any.
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
    model: nn.Module,
    prompts: Sequence[Sequence[int]],
    choose: Choose,
    *,
    steps: int,
    stops: Sequence[int],
    apart: Sequence[int] | None = None,
    watch: Watch | None = None,
) -> list[list[int]]:
    """Continue prompts with a model of transformers and its key-value cache.

    All of them are one batch: shorter prompts are padded on the left, where nothing attends to the padding
    and positions are counted without it. A prompt that several rows continue is read once. Rows that are
    done leave the batch at once. None of that changes a row's logits but for the order in which sums are
    made: a row gets the same tokens in any company, unless a draw lies within that rounding.

    Parameters
    ----------
    model
        A causal language model.
    prompts
        Token ids of each row, none of them padding.
    choose
        Chooses tokens of the rows that are not done.
    steps, stops
        As for `token_steps`.
    apart
        A number a row: a prompt is read once for the rows of one number, since `watch` may do something
        else to others. None: all rows have one.
    watch
        Whoever hooks the model and does something else to each row.

    Returns
    -------
    list of list of int
        Each row's tokens before its stop.
    """
    first = next(model.parameters())
    device, dtype = first.device, first.dtype
    asked = list(zip(map(tuple, prompts), apart or [0] * len(prompts), strict=True))
    readers = {each: row for row, each in reversed(list(enumerate(asked)))}  # the first row of each
    distinct = list(dict.fromkeys(asked))
    texts = [text for text, _ in distinct]
    longest = max(map(len, texts))
    padded = [[0] * (longest - len(text)) + list(text) for text in texts]
    seen = torch.tensor([[0] * (longest - len(text)) + [1] * len(text) for text in texts], device=device)
    mask = None if bool(seen.all()) else seen
    length = torch.tensor([len(prompt) for prompt in prompts], device=device)

    windowed = _is_windowed(model, longest + steps)

    def read(ids: torch.Tensor, cache: Cache | None) -> tuple[torch.Tensor, Cache]:
        places = {}
        if mask is not None:
            # transformers makes the same of a mask of two dimensions, at each token, in a third of its time.
            seen = mask if windowed else _additive(mask, ids.shape[1], dtype)
            places = {"attention_mask": seen, "position_ids": _positions(mask)[:, -ids.shape[1] :]}
        output = model(input_ids=ids, past_key_values=cache, use_cache=True, logits_to_keep=1, **places)
        return output.logits[:, -1].float(), output.past_key_values

    if watch is not None:
        watch(
            torch.tensor([readers[each] for each in distinct], device=device), seen.cumsum(dim=1) * seen - 1
        )
    logits, cache = read(torch.tensor(padded, device=device), None)
    place_of = {each: place for place, each in enumerate(distinct)}
    of = torch.tensor([place_of[each] for each in asked], device=device)
    with_room(cache, of, windowed=windowed)
    logits, mask = logits[of], None if mask is None else mask[of]
    running = torch.arange(len(prompts), device=device)  # rows that the cache holds
    stopped = torch.zeros(len(prompts), dtype=torch.bool, device=device)
    ends = torch.tensor(list(stops), dtype=torch.long, device=device)
    taken = 0

    def advance(tokens: torch.Tensor) -> torch.Tensor:
        nonlocal cache, mask, running, stopped, taken
        stopped |= torch.isin(tokens, ends)
        left = (~stopped[running]).nonzero()[:, 0]
        if len(left) < len(running):
            order = keep_rows(cache, left, len(running))
            running, mask = running[order], None if mask is None else mask[order]
        if mask is not None:
            mask = torch.cat([mask, mask.new_ones(len(mask), 1)], dim=1)
        if watch is not None:
            watch(running, length[running, None] + taken)
        taken += 1
        logits, cache = read(tokens[running, None], cache)
        return logits

    def choose_running(logits: torch.Tensor) -> torch.Tensor:
        tokens = torch.zeros_like(length)  # what has left the batch gets any token
        tokens[running] = choose(logits, running)
        return tokens

    with one_query_attention(model):
        each_step = token_steps(logits, advance, choose_running, steps=steps, stops=stops)
        drawn = [tokens for tokens, _ in each_step]
    return [until_stop(row, stops) for row in torch.stack(drawn, dim=1).tolist()]


def until_stop(ids: Sequence[int], stops: Sequence[int]) -> list[int]:
    """The ids before the first stop."""
    end = next((place for place, token in enumerate(ids) if token in stops), len(ids))
    return list(ids[:end])


def _beyond_nucleus(scaled: torch.Tensor, top_p: float) -> torch.Tensor:
    """(row, token) bool: whether a token is left out."""
    ascending, order = scaled.sort(dim=-1)
    left_out = ascending.softmax(dim=-1).cumsum(dim=-1) <= 1 - top_p
    left_out[:, -1] = False
    return left_out.scatter(-1, order, left_out)


def _is_windowed(model: nn.Module, length: int) -> bool:
    """Whether a layer of the model sees less than all of a text of so many tokens."""
    window: int | None = getattr(model.config, "sliding_window", None)
    return window is not None and length > window


def _additive(mask: torch.Tensor, length: int, dtype: torch.dtype) -> torch.Tensor:
    """What is added to attention's scores, (row, 1, query, position): 0 where a query sees, else the least.

    Of (row, position) marks of what is no padding; queries are the last `length` positions, each of which
    sees what comes before it, and itself.
    """
    width = mask.shape[1]
    sees = torch.ones(length, width, dtype=torch.bool, device=mask.device).tril(width - length)
    sees = sees[None] & (mask[:, None] == 1)  # (row, query, position)
    added = torch.zeros(sees.shape, dtype=dtype, device=mask.device)
    return added.masked_fill(~sees, torch.finfo(dtype).min)[:, None]


def _positions(mask: torch.Tensor) -> torch.Tensor:
    """(row, position) places counted from 0 at a row's own first token; 0 on padding."""
    return (mask.cumsum(dim=1) - 1).clamp_min(0)
