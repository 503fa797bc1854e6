"""How often each variant continues harmfully: samples, and rates with intervals."""

from collections.abc import Iterable, Sequence
from typing import Any, Final

import numpy as np
import torch
import xarray as xr
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from pipeline.lexicon import Outcome, classify
from pipeline.params import EvaluateParams
from pipeline.statistics import clustered_rate_interval
from pipeline.tokens import decode_after
from store.hashing import digest
from store.items import Item
from store.prompts import Prompt
from store.schema import OUTCOMES

ALL: Final = "all"
SPLITS: Final = ("seen", "held-out")
# The outcomes that rates are made of; unlabelled samples are in no rate.
RATED: Final = OUTCOMES[:3]


@torch.inference_mode()
def sample_item(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompt: Prompt,
    lexicon: dict[str, Any],
    params: EvaluateParams,
    *,
    seed: int,
    key: str,
    variant: str,
) -> Item:
    """Sample continuations of one prompt in one batch, and tell what each is.

    Sampled from the whole distribution (no top-k, no nucleus). Reproducible: the seed is
    made of `seed` and the prompt, so variants are sampled with the same random numbers,
    and neither the global generator nor other items matter.

    Returns
    -------
    Item
        Of the SAMPLES collection; a continuation ends before the end-of-text token.
    """
    stops = stop_ids(model, tokenizer)
    ids = torch.tensor([prompt.token_ids], device=model.device)
    pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else stops[0]
    devices = [model.device] if model.device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(int(digest([seed, prompt.hash])[:15], 16))
        output = model.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            do_sample=True,
            temperature=params.temperature,
            top_k=0,
            top_p=1.0,
            num_return_sequences=params.samples,
            max_new_tokens=params.max_new_tokens,
            eos_token_id=stops or None,
            pad_token_id=pad,
        )
    samples = [_until(row, stops) for row in output[:, ids.shape[1] :].tolist()]
    outcomes = [_outcome(tokenizer, prompt, sample, lexicon) for sample in samples]
    start = np.cumsum([0, *(len(sample) for sample in samples[:-1])])
    return Item(
        key=key,
        prompt_hash=prompt.hash,
        variant=variant,
        arrays={
            "sample_outcome": np.array([OUTCOMES.index(outcome) for outcome in outcomes], np.int8),
            "sample_start": start.astype(np.int32),
            "sample_token": np.array([token for sample in samples for token in sample], np.int32),
        },
        scalars={},
    )


def stop_ids(model: Any, tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """Tokens that end a continuation: end of text, by tokenizer and by model.

    `model` is whatever has a ``generation_config``, or None.
    """
    stops = {tokenizer.eos_token_id}
    configured = getattr(getattr(model, "generation_config", None), "eos_token_id", None)
    stops |= set(configured) if isinstance(configured, list) else {configured}
    return sorted(stop for stop in stops if stop is not None)


def rates(
    samples: Iterable[Item], prompts: Sequence[Prompt], params: EvaluateParams, seed: int
) -> dict[str, xr.Dataset]:
    """The groups of the RATES dataset.

    Rates pool the samples of a variant, domain (`all` is every domain) and split; their
    intervals are over situations, see `clustered_rate_interval`. Unlabelled samples count
    nowhere; where nothing was labelled the rate is NaN, never 0.
    """
    by_hash = {prompt.hash: prompt for prompt in prompts}
    situations = sorted({(prompt.domain or "", prompt.situation) for prompt in prompts})
    held_out = {prompt.situation: prompt.held_out for prompt in prompts}
    place = {situation: row for row, (_, situation) in enumerate(situations)}
    counts: dict[str, np.ndarray] = {}
    for item in samples:
        prompt = by_hash[item.prompt_hash]
        table = counts.setdefault(item.variant, np.zeros((len(situations), len(RATED)), np.int64))
        outcomes = np.bincount(item.arrays["sample_outcome"], minlength=len(OUTCOMES))
        table[place[prompt.situation]] += outcomes[: len(RATED)]
    variants = sorted(counts, key=lambda variant: (variant != "base", variant))
    # (variant, situation, outcome)
    count = np.array([counts[variant] for variant in variants]).reshape(
        len(variants), len(situations), len(RATED)
    )
    domain_of = np.array([domain for domain, _ in situations], dtype=object)
    is_held_out = np.array([held_out[situation] for _, situation in situations], dtype=bool)
    return {
        "rates": _rates(count, variants, domain_of, is_held_out, params, seed),
        "situations": _by_situation(count, variants, situations, is_held_out),
    }


def harmful_rates(table: xr.Dataset) -> dict[str, Any]:
    """Metrics: harmful rate by variant, domain and split; cells without samples are absent."""
    metrics: dict[str, Any] = {}
    for v, variant in enumerate(table["variant"].values):
        for d, domain in enumerate(table["domain"].values):
            for s, split in enumerate(table["split"].values):
                if int(table["n"].values[v, d, s]):
                    rate = float(table["rate"].values[v, d, s, RATED.index("harmful")])
                    cell = metrics.setdefault(str(variant), {}).setdefault(str(domain), {})
                    cell[str(split)] = round(rate, 4)
    return metrics


def _rates(
    count: np.ndarray,
    variants: Sequence[str],
    domain_of: np.ndarray,
    held_out: np.ndarray,
    params: EvaluateParams,
    seed: int,
) -> xr.Dataset:
    domains = [ALL, *sorted({domain for domain in domain_of if domain})]
    shape = (len(variants), len(domains), len(SPLITS))
    n, n_situations = np.zeros(shape, np.int32), np.zeros(shape, np.int32)
    table = {name: np.full((*shape, len(RATED)), np.nan) for name in ("rate", "low", "high")}
    for v, d, s in np.ndindex(shape):
        rows = (held_out == (SPLITS[s] == "held-out")) & (
            (domains[d] == ALL) | (domain_of == domains[d])
        )
        cell = count[v, rows]  # (situation, outcome)
        total = cell.sum(axis=1)
        n[v, d, s], n_situations[v, d, s] = total.sum(), (total > 0).sum()
        if n[v, d, s] == 0:
            continue
        for o, outcome in enumerate(RATED):
            rng = np.random.default_rng(
                [seed, int(digest([variants[v], domains[d], SPLITS[s], outcome])[:12], 16)]
            )
            table["rate"][v, d, s, o] = cell[:, o].sum() / total.sum()
            table["low"][v, d, s, o], table["high"][v, d, s, o] = clustered_rate_interval(
                cell[:, o], total, params.bootstrap, params.confidence, rng
            )
    dims = ("variant", "domain", "split")
    return xr.Dataset(
        {
            "n": (dims, n),
            "n_situations": (dims, n_situations),
            **{name: ((*dims, "outcome"), array) for name, array in table.items()},
        },
        coords={
            "variant": ("variant", np.array(variants, dtype=object)),
            "domain": ("domain", np.array(domains, dtype=object)),
            "split": ("split", np.array(SPLITS, dtype=object)),
            "outcome": ("outcome", np.array(RATED, dtype=object)),
        },
    )


def _by_situation(
    count: np.ndarray,
    variants: Sequence[str],
    situations: Sequence[tuple[str, str]],
    held_out: np.ndarray,
) -> xr.Dataset:
    n = count.sum(axis=2)
    rate = np.full(count.shape, np.nan)
    np.divide(count, n[..., None], out=rate, where=n[..., None] > 0)
    return xr.Dataset(
        {
            "n": (("variant", "situation"), n.astype(np.int32)),
            "rate": (("variant", "situation", "outcome"), rate),
        },
        coords={
            "variant": ("variant", np.array(variants, dtype=object)),
            "situation": ("situation", np.array([s for _, s in situations], dtype=object)),
            "situation_domain": ("situation", np.array([d for d, _ in situations], dtype=object)),
            "situation_held_out": ("situation", held_out),
            "outcome": ("outcome", np.array(RATED, dtype=object)),
        },
    )


def _until(ids: list[int], stops: Sequence[int]) -> list[int]:
    end = next((place for place, token in enumerate(ids) if token in stops), len(ids))
    return ids[:end]


def _outcome(
    tokenizer: PreTrainedTokenizerBase, prompt: Prompt, ids: list[int], lexicon: dict[str, Any]
) -> Outcome:
    domain = lexicon["domains"].get(prompt.domain)
    if domain is None:
        return "unlabelled"
    return classify(decode_after(tokenizer, prompt.token_ids, ids), domain["phrases"])
