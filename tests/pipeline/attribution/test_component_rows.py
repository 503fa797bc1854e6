"""What LoRA components point at: planted rows are first, every cosine is that of an independent model."""

from collections.abc import Iterator, Mapping

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from pipeline.analysis.component_tables import component_groups
from pipeline.attribution.component_gates import gate_arrays
from pipeline.attribution.component_rows import component_rows
from pipeline.models.lora import read_adapter_config, read_factors
from pipeline.models.pool import ModelPool
from pipeline.params.components import ComponentParams
from store.collections.item import Item
from store.schema.vocabulary import SIDES, WRITERS
from tests.support.builders import Checkpoint, add_adapter
from tests.support.local_model import LocalModel
from tests.support.replacements import DICTIONARY, LAYERS, WIDTH
from tests.support.subjects import COMPONENT_CASES, Case

PARAMS = ComponentParams(strongest=3, level=0.05)


def tables(arrays: Mapping[str, np.ndarray]) -> Mapping[str, object]:
    item = Item(key="0", prompt_hash="0", variant="x@1.0", arrays=dict(arrays), scalars={"width": WIDTH})
    return component_groups({"x@1.0": item}, PARAMS)


def planted(checkpoint: Checkpoint, rows: Mapping[int, torch.Tensor]) -> str:
    """An adapter of ``down_proj``, rank one and rank-stabilised, whose B is a given row by layer."""
    name = "planted"
    layers = "|".join(str(layer) for layer in rows)
    folder = add_adapter(
        checkpoint,
        name,
        seed=7,
        r=2,
        lora_alpha=3,
        use_rslora=True,
        rank_pattern={"down_proj": 1},
        target_modules=rf"model\.layers\.({layers})\.mlp\.down_proj",
    )
    path = folder / "adapter_model.safetensors"
    weights = load_file(path)
    for layer, row in rows.items():
        key = f"base_model.model.model.layers.{layer}.mlp.down_proj.lora_B.weight"
        assert weights[key].shape == (WIDTH, 1)
        weights[key] = 0.3 * row[:, None].clone()
    save_file(weights, path)
    return name


def fresh(case: Case, name: str) -> ModelPool:
    """A pool that knows an adapter that was just written, and no other; with the case's transcoders."""
    checkpoint = case.checkpoint
    adapters = {name: str(checkpoint.adapter(name))}
    pool = ModelPool(checkpoint.manifest(adapters=adapters, focus=name))
    pool.transcoders = case.pool.transcoders
    return pool


def test_a_planted_row_is_first_at_three_layers(component_case: Case) -> None:
    case, features = component_case, {0: 5, 1: 40, 2: 63}
    transcoders, base = case.pool.transcoders, case.pool.causal_lm("base")
    behind = transcoders.feature_output_hook == "hook_mlp_out"
    rows = {}
    for layer, feature in features.items():
        row = transcoders[layer].W_dec[feature].detach()
        if behind and base.config.model_type == "gemma2":
            row = row * (1 + base.model.layers[layer].post_feedforward_layernorm.weight.detach())
        rows[layer] = row
    name = planted(case.checkpoint, rows)
    arrays = component_rows(fresh(case, name), f"{name}@0.5", 3)
    groups = tables(arrays)
    components, matches = groups["components"], groups["matches"]
    assert components["layer"].values.tolist() == list(features)
    assert (components["module"].values == WRITERS.index("down_proj")).all()
    # alpha / sqrt(rank of the pattern), not alpha / r; times the variant's scale.
    norms = [0.5 * 3.0 * 0.3 * float(row.norm()) for row in rows.values()]
    np.testing.assert_allclose(components["norm"].values, norms, rtol=1e-6)
    first = np.argsort(matches["p"].values, kind="stable")[: len(features)]
    found = {
        int(components["layer"].values[matches["of"].values[at]]): int(matches["feature"].values[at])
        for at in first
    }
    assert found == features
    for at in first:
        assert matches["side"].values[at] == SIDES.index("decoder")
        assert matches["layer"].values[at] == components["layer"].values[matches["of"].values[at]]
        assert matches["cosine"].values[at] == pytest.approx(1.0, abs=1e-5)
        assert matches["rank"].values[at] == 0
        assert matches["p"].values[at] < 1e-20
        assert matches["q"].values[at] < 1e-20
    others = np.setdiff1d(np.arange(matches.sizes["match"]), first)
    assert (matches["p"].values[others] > 1e-6).all()


def brute_force(case: Case, variant: str) -> Iterator[tuple[tuple[int, ...], np.ndarray, np.ndarray]]:
    """By the frozen model, float64: module, layer, index, side, dictionary; cosines, products up to scale."""
    name, _, scale = variant.partition("@")
    model = case.pool.replacement(variant)
    local = LocalModel(model, case.ids)
    config = read_adapter_config(case.checkpoint.adapter(name))
    position = 3
    post = model.cfg.use_normalization_before_and_after
    behind = model.original_feature_output_hook == "hook_mlp_out"
    for module, lora in read_factors(config).items():
        _, _, layer_text, _, kind = module.split(".")
        if kind not in WRITERS:
            continue
        layer = int(layer_text)
        after = local.behind_attention[layer] if kind == "o_proj" else _behind_mlp(model, local, case, layer)
        up = float(scale) * config.scaling(module) * lora.up.double().T
        tests = [(SIDES.index("decoder"), layer, case.pool.transcoders[layer].W_dec.double())]
        reached = range(layer if kind == "o_proj" else layer + 1, LAYERS)
        tests += [(SIDES.index("encoder"), to, case.pool.transcoders[to].W_enc.double()) for to in reached]
        for side, to, rows in tests:
            through = torch.ones(WIDTH, dtype=torch.float64)
            if side == SIDES.index("encoder"):
                through = after[position] * local.into_mlp[to][position]
            elif kind == "o_proj" and post:
                through = after[position] * local.behind_mlp[layer][position]
            elif behind and post:
                through = after[position]
            pulled = rows * through
            cosine = (up @ pulled.T) / (up.norm(dim=1, keepdim=True) * pulled.norm(dim=1))
            for index, one in enumerate(cosine):
                yield (
                    (WRITERS.index(kind), layer, index, side, to),
                    one.numpy(),
                    (up[index] @ pulled.T).numpy(),
                )


def _behind_mlp(model: object, local: LocalModel, case: Case, layer: int) -> torch.Tensor:
    """Where transcoders write behind the norm, the local model has none there: its weight, up to a scale."""
    if model.cfg.use_normalization_before_and_after:
        return model.blocks[layer].ln2_post.w.double().expand(len(case.ids), -1)
    return local.behind_mlp[layer]


def test_every_row_is_that_of_the_frozen_model(component_case: Case) -> None:
    case, variant = component_case, "stabilised@2.0"
    arrays = component_rows(case.pool, variant, DICTIONARY)
    names = [arrays[name][arrays["match_of"]] for name in ("module", "layer", "index")]
    key = np.stack([*names, arrays["match_side"], arrays["match_layer"]], 1)
    expected = list(brute_force(case, variant))
    assert len(expected) * DICTIONARY == len(key)
    for name, cosine, dot in expected:
        rows = np.flatnonzero((key == name).all(1))
        feature = arrays["match_feature"][rows]
        assert sorted(feature.tolist()) == list(range(DICTIONARY))
        np.testing.assert_allclose(arrays["match_cosine"][rows], cosine[feature], atol=2e-6)
        assert (np.diff(np.abs(arrays["match_cosine"][rows])) <= 0).all()
        assert arrays["match_rank"][rows].tolist() == list(range(DICTIONARY))
        # Products but for the norms' scales, which are one positive number.
        ours, theirs = arrays["match_dot"][rows], dot[feature]
        assert ours[0] / theirs[0] > 0
        np.testing.assert_allclose(ours, theirs * ours[0] / theirs[0], atol=1e-5 * np.abs(ours).max())


def test_blocks_of_rows_give_what_one_block_does(
    component_case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = component_rows(component_case.pool, "stabilised@1.0", 5)
    monkeypatch.setattr("pipeline.attribution.component_rows._BLOCK", 24)
    parts = component_rows(component_case.pool, "stabilised@1.0", 5)
    assert (whole["match_feature"] == parts["match_feature"]).all()
    np.testing.assert_allclose(whole["match_cosine"], parts["match_cosine"], atol=1e-6)


@pytest.mark.parametrize("component_case", COMPONENT_CASES[:1], indirect=True, ids="-".join)
def test_adapters_that_write_nothing(component_case: Case) -> None:
    case = component_case
    add_adapter(case.checkpoint, "gates", r=2, lora_alpha=4, target_modules=["gate_proj", "q_proj"])
    groups = tables(component_rows(fresh(case, "gates"), "gates@1.0", 3))
    assert groups["components"].sizes == {"component": 0}
    assert groups["matches"].sizes == {"match": 0}
    gates = gate_arrays(fresh(case, "gates"), "gates@1.0", case.ids)
    assert gates["gate"].shape == gates["added"].shape == (0, len(case.ids))
    assert gates["read_scale"].shape == (LAYERS, len(case.ids))
    folder = add_adapter(case.checkpoint, "silent", r=1, lora_alpha=1, target_modules=["down_proj"])
    path = folder / "adapter_model.safetensors"
    save_file({key: value * ("lora_A" in key) for key, value in load_file(path).items()}, path)
    matches = tables(component_rows(fresh(case, "silent"), "silent@1.0", 2))["matches"]
    assert (matches["cosine"].values == 0).all()
    assert (matches["p"].values == 1).all()
