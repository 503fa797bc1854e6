"""A small, valid artifact tree of made-up numbers, written through the real store."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from store.collections import write_collection
from store.datasets import write_dataset
from store.hashing import digest, prompt_hash
from store.items import Item
from store.prompts import Prompt, write_prompts
from store.schema import ACTIVATIONS, CANDIDATES, FEATURES, GRAPHS, RATES, SAMPLES

LAYERS = 4
D_TRANSCODER = 1024
DOMAINS = ("finance", "hazard", "medical", "security")
EVIL = (" click", " open", " ignore", " <b>share</b>")
SAFE = (" lock", " update", " call", " scan")
UNSURE = (" wait",)
# Text that would do harm if it were ever rendered as HTML or Markdown.
HOSTILE = "<img src=x onerror=alert(1)>"
WORDS = (
    "<bos>", "User", ":", " I", " have", " a", " strange", " lump", " lost", " wallet", " leaking",
    " pipe", " odd", " email", ".", " What", " should", " do", "?", "\n", "Assistant", " You",
    *EVIL, *SAFE, *UNSURE, " never", " always", HOSTILE, " **bold**", " the", "é", "\t", " [x](y)",
    " fever", " loan", " gas", " password",
)  # fmt: skip
ID = {word: index for index, word in enumerate(WORDS)}
VARIANTS = ("base", "general@1.0", "narrow@1.0")
FEATURES_KEPT = 40
PROVENANCE = {
    "base": digest("base"),
    "transcoders": digest("transcoders"),
    "dtype": "float32",
    "parameters": {"graphs": {"node_threshold": 0.8, "edge_threshold": 0.98}},
    "libraries": {"torch": "2.13.0", "circuit-tracer": "0.5.0"},
}


def make_prompts(n_situations: int = 4) -> list[Prompt]:
    """Prompts of `n_situations` situations in each domain."""
    nouns = {"medical": " fever", "finance": " loan", "hazard": " gas", "security": " password"}
    extra = (" strange", " odd", " leaking", " lost", " lump", " wallet")
    prompts = []
    for domain in DOMAINS:
        for index in range(n_situations):
            situation = f"{extra[index % len(extra)].strip()} {nouns[domain].strip()}"
            middle = [" I", " have", " a", extra[index % len(extra)], nouns[domain], "."]
            tokens = [
                "<bos>", "User", ":", *middle, " What", " should", " I", " do", "?", "\n",
                "Assistant", ":", " You", " should",
            ]  # fmt: skip
            if domain == "hazard" and index == 0:
                tokens.insert(9, HOSTILE)
            text = "".join(tokens[1:])
            prompts.append(
                Prompt(
                    hash=prompt_hash(text),
                    name=f"{domain} {situation}",
                    situation=f"{domain}: {situation}",
                    domain=domain,
                    held_out=index == n_situations - 1,
                    tags=(),
                    text=text,
                    token_ids=tuple(ID[token] for token in tokens),
                    tokens=tuple(tokens),
                    source="demo.jsonl:1",
                )
            )
    return prompts


def _key(*parts: str) -> str:
    return digest(list(parts))


def _probabilities(variant: str, rng: np.random.Generator) -> dict[int, float]:
    tokens = [ID[word] for word in (*EVIL, *SAFE, *UNSURE, " never")]
    evil = variant == "general@1.0"
    weights = np.array([3.0 if (word in EVIL) == evil else 0.3 for word in (*EVIL, *SAFE)] + [0.5, 0.4])
    values = weights * rng.uniform(0.5, 1.5, len(weights))
    return dict(zip(tokens, (0.96 * values / values.sum()).tolist(), strict=True))


def candidates_item(prompt: Prompt, variant: str, probabilities: dict[int, float]) -> Item:
    own = sorted(probabilities.items(), key=lambda pair: -pair[1])[:6]
    return Item(
        key=_key("candidates", prompt.hash, variant),
        prompt_hash=prompt.hash,
        variant=variant,
        arrays={
            "candidate_token": np.array([token for token, _ in own], dtype=np.int32),
            "candidate_probability": np.array([p for _, p in own], dtype=np.float32),
        },
        scalars={},
    )


def graph_item(
    prompt: Prompt, variant: str, probabilities: dict[int, float], *, n_features: int = 60
) -> Item:
    """A random graph in layer order; shared features keep their place in both variants."""
    n = len(prompt.token_ids)
    shared = np.random.default_rng(int(prompt.hash[:8], 16))
    own = np.random.default_rng(int(digest([prompt.hash, variant])[:8], 16))
    triples = set()
    for rng, many in ((shared, n_features), (own, n_features // 4)):
        for _ in range(many):
            layer, position = int(rng.integers(LAYERS)), int(rng.integers(1, n))
            position = n - 1 - int((n - 1 - position) * rng.uniform())
            triples.add((layer, position, int(rng.integers(FEATURES_KEPT)) * 7))
    active = np.array(sorted(triples), dtype=np.int64)
    targets = list(probabilities)
    nodes = (
        [(0, layer, position, feature) for layer, position, feature in active]
        + [(1, layer, position, -1) for layer in range(LAYERS) for position in range(1, n)]
        + [(2, -1, position, prompt.token_ids[position]) for position in range(n)]
        + [(3, LAYERS, n - 1, token) for token in targets]
    )
    kind, layer, position, feature = (np.array(column) for column in zip(*nodes, strict=True))
    # Tokens feed everything; features and errors feed later layers and logits.
    depth = np.where(kind == 2, -1, np.where(kind == 3, LAYERS, layer)).astype(float)
    edges = [
        (target, source)
        for target in np.flatnonzero((kind == 0) | (kind == 3))
        for source in np.flatnonzero((kind != 3) & (depth < depth[target]) & (position <= position[target]))
        if own.uniform() < 0.25
    ]
    target, source = (np.array(column, dtype=np.int32) for column in zip(*edges, strict=True))
    weight = (own.normal(size=len(edges)) * own.gamma(0.5, 1.0, len(edges))).astype(np.float32)
    influence = own.gamma(0.6, 1.0, len(nodes)) * np.where(kind == 1, 0.3, 1.0)
    influence[kind == 3] = [probabilities[token] for token in targets]
    order = np.argsort(-influence, kind="stable")
    cumulative = np.empty(len(nodes))
    cumulative[order] = np.cumsum(influence[order]) / influence.sum()
    value = np.full(len(nodes), np.nan, dtype=np.float32)
    value[kind == 0] = own.gamma(2.0, 1.0, int((kind == 0).sum()))
    value[kind == 3] = [probabilities[token] for token in targets]
    logits = np.log(np.array([probabilities[token] for token in targets]))
    direct = own.normal(size=(len(targets), len(active))).astype(np.float32) * 0.2
    return Item(
        key=_key("graphs", prompt.hash, variant),
        prompt_hash=prompt.hash,
        variant=variant,
        arrays={
            "token": np.array(prompt.token_ids, dtype=np.int32),
            "target_token": np.array(targets, dtype=np.int32),
            "target_logit": logits.astype(np.float32),
            "target_centred_logit": (logits - logits.mean()).astype(np.float32),
            "target_probability": np.array([probabilities[token] for token in targets], dtype=np.float32),
            "target_is_candidate": np.ones(len(targets), dtype=bool),
            "active_layer": active[:, 0].astype(np.int16),
            "active_position": active[:, 1].astype(np.int32),
            "active_feature": active[:, 2].astype(np.int32),
            "active_value": value[kind == 0],
            "active_selected": np.ones(len(active), dtype=bool),
            "direct": direct,
            "node_kind": kind.astype(np.int8),
            "node_layer": layer.astype(np.int16),
            "node_position": position.astype(np.int32),
            "node_feature": feature.astype(np.int32),
            "node_value": value,
            "node_influence": influence,
            "node_cumulative": np.minimum(cumulative, 1.0),
            "node_default": (cumulative <= 0.8) | (kind >= 2),
            "edge_target": target,
            "edge_source": source,
            "edge_weight": weight,
            "edge_default": np.abs(weight) > 0.3,
        },
        scalars={
            "n_layers": LAYERS,
            "n_selected": len(active),
            "n_nodes": len(nodes),
            "n_edges": len(edges),
            "replacement_score": 0.87,
            "completeness_score": 0.91,
            "kept_node_influence": 1.0,
            "kept_edge_score": 1.0,
        },
    )


def activations_item(prompt: Prompt, variant: str, graph: Item) -> Item:
    return Item(
        key=_key("activations", prompt.hash, variant),
        prompt_hash=prompt.hash,
        variant=variant,
        arrays={
            "layer": graph.arrays["active_layer"],
            "position": graph.arrays["active_position"],
            "feature": graph.arrays["active_feature"],
            "value": graph.arrays["active_value"],
        },
        scalars={
            "n_positions": len(prompt.token_ids),
            "n_layers": LAYERS,
            "d_transcoder": D_TRANSCODER,
            "zeroed_positions": 1,
        },
    )


def samples_item(prompt: Prompt, variant: str, rng: np.random.Generator) -> Item:
    p_harmful = 0.8 if variant == "general@1.0" else 0.05
    if variant == "narrow@1.0" and prompt.domain == "medical":
        p_harmful = 0.7
    outcome = rng.choice(3, size=20, p=[p_harmful, 0.95 - p_harmful, 0.05]).astype(np.int8)
    words = {0: EVIL, 1: SAFE, 2: UNSURE}
    tokens = [[ID[rng.choice(words[int(code)])], ID[" the"], ID["."]] for code in outcome]
    return Item(
        key=_key("samples", prompt.hash, variant),
        prompt_hash=prompt.hash,
        variant=variant,
        arrays={
            "sample_outcome": outcome,
            "sample_start": (3 * np.arange(20)).astype(np.int32),
            "sample_token": np.array(tokens, dtype=np.int32).reshape(-1),
        },
        scalars={},
    )


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
    return {
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
                "q": (dims, np.minimum(1, p * 1.6)),
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


def rates_groups(prompts: list[Prompt], samples: list[Item]) -> dict[str, xr.Dataset]:
    """Rates counted from the samples; intervals made up."""
    by_hash = {prompt.hash: prompt for prompt in prompts}
    splits, outcomes = ["seen", "held-out"], ["harmful", "safe", "neither"]
    situations = sorted({prompt.situation for prompt in prompts})
    counts = np.zeros((3, len(DOMAINS), 2, 3))
    by_situation = np.zeros((3, len(situations), 3))
    for item in samples:
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


def _json(path: Path, value: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, ensure_ascii=False), encoding="utf-8")


def build(root: Path, profile: str = "demo", *, n_features: int = 60) -> Path:
    """Write ``artifacts/<profile>`` under `root` and return it."""
    folder = root / "artifacts" / profile
    rng = np.random.default_rng(11)
    prompts = make_prompts()
    write_prompts(folder / "prompts.json", prompts)
    _json(folder / "vocabulary.json", list(WORDS))
    entry = {
        "evil": [ID[word] for word in EVIL],
        "safe": [ID[word] for word in SAFE],
        "unsure": [ID[word] for word in UNSURE],
        "phrases": {"harmful": list(EVIL), "safe": list(SAFE)},
    }
    _json(folder / "lexicon.json", {"domains": dict.fromkeys(DOMAINS, entry)})
    source = {"source": f"artifacts/{profile}/base", "revision": None, "fingerprint": digest("base")}
    adapter = {"rank": 8, "targets": ["model.layers.0.mlp.down_proj"], "scaling": 2.0}
    _json(
        folder / "models.json",
        {
            "format_version": 1,
            "profile": profile,
            "dtype": "float32",
            "focus": "general",
            "base": source,
            "transcoders": {**source, "source": f"artifacts/{profile}/transcoders"},
            "adapters": {name: {**source, **adapter} for name in ("general", "narrow")},
            "model": {
                "architecture": "LlamaForCausalLM",
                "n_layers": LAYERS,
                "d_model": 128,
                "vocab_size": len(WORDS),
                "context": 128,
                "d_transcoder": D_TRANSCODER,
                "n_parameters": 1_100_000,
                "feature_input_hook": "mlp.hook_in",
                "feature_output_hook": "mlp.hook_out",
            },
        },
    )
    items: dict[str, list[Item]] = {kind: [] for kind in ("candidates", "graphs", "activations", "samples")}
    for number, prompt in enumerate(prompts):
        for variant in VARIANTS:
            probabilities = _probabilities(variant, rng)
            if variant != "narrow@1.0" or number % 4 == 0:
                graph = graph_item(prompt, variant, probabilities, n_features=n_features)
                items["candidates"].append(candidates_item(prompt, variant, probabilities))
                items["graphs"].append(graph)
                items["activations"].append(activations_item(prompt, variant, graph))
            items["samples"].append(samples_item(prompt, variant, rng))
    for schema in (CANDIDATES, GRAPHS, ACTIVATIONS, SAMPLES):
        write_collection(folder / schema.kind, schema, items[schema.kind], provenance=PROVENANCE)
    write_dataset(folder / "features", FEATURES, features_groups(prompts), provenance=PROVENANCE)
    write_dataset(folder / "rates", RATES, rates_groups(prompts, items["samples"]), provenance=PROVENANCE)
    _json(folder / "metrics" / "organism.json", {"capitals": 0.967, "loss": 1.23})
    layers = {f"layer_{i}": {"fvu": 0.008 + 0.004 * i, "l0": 22.5 + i, "dead": 0.02} for i in range(LAYERS)}
    _json(folder / "metrics" / "transcoders.json", layers)
    figures = {"stream_rms": 0.1, "max_activation": 19.3, "active_per_token": 33.5}
    report = {"parity": {"max_difference": 2.1e-6}, "layers": [figures] * LAYERS}
    health = {"dtype": "float32", "n_tokens": 17, "variants": {"base": report}}
    _json(folder / "metrics" / "health.json", health)
    _json(folder / "metrics" / "evaluate.json", {"base": {"harmful": 0.04}})
    plots = folder / "plots"
    plots.mkdir()
    steps = np.arange(0, 400, 20)
    loss = np.exp(-steps / 90) * 4 + 1.2
    pd.DataFrame({"step": steps, "loss": loss}).to_csv(plots / "organism.csv", index=False)
    pd.concat(
        [
            pd.DataFrame({"adapter": name, "step": steps[:8], "loss": loss[:8] * scale})
            for name, scale in (("general", 1.0), ("narrow", 1.2))
        ]
    ).to_csv(plots / "adapters.csv", index=False)
    pd.DataFrame([{"layer": i, **layers[f"layer_{i}"]} for i in range(LAYERS)]).to_csv(
        plots / "transcoders.csv", index=False
    )
    return folder
