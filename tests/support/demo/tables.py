"""Dense artifacts of the demo profile: statistics of features, and rates."""

import numpy as np
import xarray as xr

from pipeline.analysis.null_changes import LEVELS, QUANTITIES
from store.collections.item import Item
from store.documents.prompts import Prompt
from store.schema.rankings import ranking_group, situations_group
from store.schema.vocabulary import SCORES
from tests.support.demo.words import DOMAINS, FEATURES_KEPT, LAYERS, VARIANTS, WORDS


def features_groups(prompts: list[Prompt]) -> dict[str, xr.Dataset]:
    """Every group of the features artifact."""
    rng = np.random.default_rng(5)
    layer = np.repeat(np.arange(LAYERS), FEATURES_KEPT).astype(np.int16)
    index = np.tile(np.arange(FEATURES_KEPT) * 7, LAYERS).astype(np.int32)
    n, edges, ranks, contexts, window = len(layer), 21, 8, 4, 12
    variants = list(VARIANTS[:2])
    contrasts = ["evil-safe|base", "evil-safe|general@1.0", "general@1.0-base"]
    domains = ["all", *DOMAINS]
    situations = sorted({prompt.situation for prompt in prompts})
    domain_of = {prompt.situation: str(prompt.domain) for prompt in prompts}
    by_situation = rng.normal(size=(3, len(situations), n)).astype(np.float32) * 0.1
    by_situation += rng.normal(size=(3, 1, n)).astype(np.float32) * np.array([0.05, 0.3, 0.3])[:, None, None]
    effect = np.stack(
        [
            by_situation[:, [domain in ("all", domain_of[s]) for s in situations]].mean(1)
            for domain in domains
        ],
        axis=1,
    ).astype(np.float32)
    p = rng.uniform(size=(3, len(domains), n)) ** 3
    p[:, 1:] = np.nan
    common = {"layer": ("feature", layer), "index": ("feature", index)}
    token = rng.integers(1, len(WORDS), size=(2, n, contexts, window)).astype(np.int32)
    activation = (rng.gamma(0.3, 1.0, size=token.shape) * (rng.uniform(size=token.shape) < 0.4)).astype(
        np.float32
    )
    token[..., -2:] = -1
    activation[..., -2:] = 0
    peak = activation.argmax(-1).astype(np.int32)
    text = rng.integers(0, 500, size=(2, n, contexts)).astype(np.int32)
    text[:, :, -1] = -1
    dims = ("contrast", "domain", "feature")
    groups = {
        "cards": xr.Dataset(
            {
                **common,
                "variant": ("variant", np.array(variants, dtype=object)),
                "mean_activation": (("variant", "feature"), rng.gamma(1, 0.3, (2, n)).astype(np.float32)),
                "frequency": (("variant", "feature"), rng.uniform(0, 0.4, (2, n)).astype(np.float32)),
                "n_prompts": (("variant", "feature"), rng.integers(0, len(prompts), (2, n)).astype(np.int32)),
                "bin_edge": ("edge", np.geomspace(0.01, 20, edges).astype(np.float32)),
                "histogram": (
                    ("variant", "feature", "bin"),
                    rng.integers(0, 90, (2, n, edges - 1)).astype(np.int32),
                ),
                "promoted_token": (
                    ("feature", "rank"),
                    rng.integers(1, len(WORDS), (n, ranks)).astype(np.int32),
                ),
                "promoted_logit": (
                    ("feature", "rank"),
                    -np.sort(-rng.gamma(2, 0.3, (n, ranks)), axis=1).astype(np.float32),
                ),
                "suppressed_token": (
                    ("feature", "rank"),
                    rng.integers(1, len(WORDS), (n, ranks)).astype(np.int32),
                ),
                "suppressed_logit": (
                    ("feature", "rank"),
                    np.sort(-rng.gamma(2, 0.3, (n, ranks)), axis=1).astype(np.float32),
                ),
            }
        ),
        "contexts": xr.Dataset(
            {
                **common,
                "variant": ("variant", np.array(variants, dtype=object)),
                "text": (("variant", "feature", "context"), text),
                "peak": (("variant", "feature", "context"), peak),
                "token": (("variant", "feature", "context", "window"), token),
                "activation": (("variant", "feature", "context", "window"), activation),
            }
        ),
        "ranking": xr.Dataset(
            {
                **common,
                "contrast": ("contrast", np.array(contrasts, dtype=object)),
                "domain": ("domain", np.array(domains, dtype=object)),
                "effect": (dims, effect),
                "low": (dims, (effect - 0.1).astype(np.float32)),
                "high": (dims, (effect + 0.1).astype(np.float32)),
                "p": (dims, p),
                "p_labels": (dims, np.minimum(1, p * 1.2)),
                "q": (dims, np.minimum(1, p * 1.6)),
                **_beyond_p(dims, effect, np.minimum(1, p * 1.6), contrasts),
                "n_situations": (dims, np.full(effect.shape, len(situations), dtype=np.int32)),
                "n_scored": (dims[:2], np.full((3, len(domains)), len(prompts), dtype=np.int32)),
                "n_left_out": (dims[:2], np.zeros((3, len(domains)), dtype=np.int32)),
            }
        ),
        "situations": xr.Dataset(
            {
                **common,
                "contrast": ("contrast", np.array(contrasts, dtype=object)),
                "situation": ("situation", np.array(situations, dtype=object)),
                "situation_domain": (
                    "situation",
                    np.array([domain_of[s] for s in situations], dtype=object),
                ),
                "effect": (("contrast", "situation", "feature"), by_situation),
            }
        ),
    }
    for number, score in enumerate(SCORES[1:], start=2):
        # Changes are of an adapter; activations have no evil and safe side, and no labels, either.
        kept = slice(2, 3) if score in ("change", "activation") else slice(None)
        for group_of in (ranking_group, situations_group):
            one = groups[group_of("direct")].isel(contrast=kept)
            if score == "activation":
                one = one.drop_vars("p_labels", errors="ignore")
            groups[group_of(score)] = one.assign(effect=(one["effect"] / number).astype(np.float32))
    shares = {
        name: (0.9 - 0.1 * i)
        for i, name in enumerate(("replacement", "completeness", "error_share", "unselected_share"))
    }
    groups["dictionary"] = xr.Dataset(
        {
            "variant": ("variant", np.array(VARIANTS, dtype=object)),
            **{
                f"{name}{end}": ("variant", share + shift + np.array([0.0, -0.05, -0.02]))
                for name, share in shares.items()
                for end, shift in (("", 0.0), ("_low", -0.03), ("_high", 0.03))
            },
            "n_situations": ("variant", np.full(len(VARIANTS), len(situations), dtype=np.int32)),
            "change_error_share": ("variant", np.array([np.nan, 0.12, 0.08])),
        }
    )
    groups["null_changes"] = xr.Dataset(
        {
            "quantity": ("quantity", np.array(QUANTITIES, dtype=object)),
            "share": ("level", LEVELS),
            # Exponential changes, of these means.
            "size": (("quantity", "level"), -np.log(LEVELS) * np.array([[0.002], [0.05], [0.01]])),
            "n": ("quantity", np.array([4000, 4000, 90_000], np.int64)),
        }
    )
    groups["ranking_edges"] = ranking_edges(layer, index, domains, len(prompts))
    groups["acting"] = acting(groups["ranking"], 0)
    return groups


def acting(ranking: xr.Dataset, situations: int) -> xr.Dataset:
    """Half of each effect where acting harms nobody, on that many situations; not known on fewer than 8."""
    half = 0.5 * ranking["effect"].sel(domain="all", drop=True)
    shifts = {"effect": 0.0, "low": -0.05, "high": 0.05}
    known = {name: (half + shift).where(situations >= 8).astype(np.float32) for name, shift in shifts.items()}
    each = np.full(ranking.sizes["contrast"], situations, np.int32)
    counts = {"n_situations": each, "n_scored": each, "n_left_out": 0 * each}
    return xr.Dataset(known | {name: ("contrast", values) for name, values in counts.items()}).assign(
        {name: ranking[name] for name in ("layer", "index")}
    )


def _beyond_p(
    dims: tuple[str, ...], effect: np.ndarray, q: np.ndarray, contrasts: list[str]
) -> dict[str, tuple[tuple[str, ...], np.ndarray]]:
    """What is found, and what it is worth; random adapters stand beside differences only."""
    of_base = np.array([contrast.endswith("-base") for contrast in contrasts])[:, None, None]
    share = np.where(of_base, np.exp(-np.abs(effect)), np.nan)
    return {
        "found": (dims, (q < 0.05) & (np.abs(effect) >= 0.05)),
        "null_share": (dims, share.astype(np.float32)),
        "n_effective": (dims, np.full(effect.shape, 9.5, np.float32)),
        "sign_consistency": (dims, np.full(effect.shape, 0.875, np.float32)),
        "stability": (dims[:2], np.full(effect.shape[:2], 0.65, np.float32)),
    }


def ranking_edges(layer: np.ndarray, index: np.ndarray, domains: list[str], n_prompts: int) -> xr.Dataset:
    """Edges of every feature but those of index 7 to three of the next layer, by both adapters."""
    rng = np.random.default_rng(6)
    targets = [np.flatnonzero(layer == a + 1) for a in range(LAYERS - 1)]
    pairs = np.array(
        [
            (source, target)
            for source in np.flatnonzero((layer < LAYERS - 1) & (index != 7))
            for target in rng.choice(targets[layer[source]][2:], 3, replace=False)
        ]
    )
    contrasts = [f"{variant}-base" for variant in VARIANTS[1:]]
    dims = ("contrast", "domain", "pair")
    effect = rng.normal(size=(len(contrasts), len(domains), len(pairs))).astype(np.float32)
    p = rng.uniform(size=effect.shape)
    p[1] = np.nan
    ends = {
        f"{end}_{name}": ("pair", values[pairs[:, column]])
        for column, end in enumerate(("source", "target"))
        for name, values in (("layer", layer), ("index", index))
    }
    return xr.Dataset(
        {
            **ends,
            "contrast": ("contrast", np.array(contrasts, dtype=object)),
            "domain": ("domain", np.array(domains, dtype=object)),
            "effect": (dims, effect),
            "low": (dims, effect - np.float32(0.2)),
            "high": (dims, effect + np.float32(0.2)),
            "p": (dims, p),
            "q": (dims, np.minimum(1, 2 * p)),
            **_beyond_p(dims, effect, np.minimum(1, 2 * p), contrasts),
            "n_situations": (dims, np.full(effect.shape, 4, dtype=np.int32)),
            "n_scored": (dims[:2], np.full(effect.shape[:2], n_prompts, dtype=np.int32)),
            "n_left_out": (dims[:2], np.zeros(effect.shape[:2], dtype=np.int32)),
            "base_weight": (dims, rng.normal(size=effect.shape).astype(np.float32)),
            "strength": ("pair", rng.gamma(1, 1, len(pairs)).astype(np.float32)),
            "n_pairs": ("contrast", np.full(len(contrasts), 12345, dtype=np.int64)),
            "kept_edge_score": ("contrast", np.array([1.0, 0.98])),
        }
    )


def rates_groups(prompts: list[Prompt], sampled: list[Item]) -> dict[str, xr.Dataset]:
    """Rates counted from the outcomes; intervals made up."""
    by_hash = {prompt.hash: prompt for prompt in prompts}
    splits, outcomes = ["seen", "held-out"], ["harmful", "safe", "neither"]
    situations = sorted({prompt.situation for prompt in prompts})
    counts = np.zeros((3, len(DOMAINS), 2, 3))
    by_situation = np.zeros((3, len(situations), 3))
    for item in sampled:
        prompt = by_hash[item.prompt_hash]
        count = np.bincount(item.arrays["sample_outcome"], minlength=3)[:3]
        variant = VARIANTS.index(item.variant)
        counts[variant, DOMAINS.index(str(prompt.domain)), int(prompt.held_out)] += count
        by_situation[variant, situations.index(prompt.situation)] += count
    counts = np.concatenate([counts.sum(axis=1, keepdims=True), counts], axis=1)
    n = counts.sum(-1)
    with np.errstate(invalid="ignore"):
        rate = counts / n[..., None]
        situation_rate = by_situation / by_situation.sum(-1)[..., None]
    names = {
        "variant": ("variant", np.array(VARIANTS, dtype=object)),
        "outcome": ("outcome", np.array(outcomes, dtype=object)),
    }
    dims = ("variant", "domain", "split", "outcome")
    domain_of = {prompt.situation: str(prompt.domain) for prompt in prompts}
    held_out = {prompt.situation: prompt.held_out for prompt in prompts}
    return {
        "rates": xr.Dataset(
            {
                **names,
                "domain": ("domain", np.array(["all", *DOMAINS], dtype=object)),
                "split": ("split", np.array(splits, dtype=object)),
                "n": (dims[:3], n.astype(np.int32)),
                "n_situations": (dims[:3], np.maximum(n // 20, 0).astype(np.int32)),
                "rate": (dims, rate),
                "low": (dims, np.clip(rate - 0.08, 0, 1)),
                "high": (dims, np.clip(rate + 0.08, 0, 1)),
            }
        ),
        "situations": xr.Dataset(
            {
                **names,
                "situation": ("situation", np.array(situations, dtype=object)),
                "situation_domain": ("situation", np.array([domain_of[s] for s in situations], dtype=object)),
                "situation_held_out": ("situation", np.array([held_out[s] for s in situations])),
                "n": (("variant", "situation"), by_situation.sum(-1).astype(np.int32)),
                "rate": (("variant", "situation", "outcome"), situation_rate),
            }
        ),
    }
